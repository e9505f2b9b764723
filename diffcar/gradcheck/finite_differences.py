"""Analytic against numeric directional derivatives of any function of tensors."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "FLOOR_RATIO",
    "DirectionalCheck",
    "check_directions",
    "check_environments",
    "random_directions",
    "slopes_of_rows",
    "spot_check",
    "taylor_rate",
]

_SMALLEST_SCALE = 1e-12
FLOOR_RATIO = 1e-3
# Slopes to both sides that differ by more than this share are a kink, if they do not come together
# as the step shrinks, as those of a curved function do.
_KINK_RATIO = {torch.float64: 1e-4, torch.float32: 3e-2}
_SMOOTH_DECAY = 0.6
# Differences at neighbouring steps that disagree by more than this show no plateau.
_PLATEAU_RATIO = {torch.float64: 1e-2, torch.float32: 1e-1}
# A difference known to some uncertainty only cannot refute a gradient that is this much closer.
_UNRESOLVED_MARGIN = 3.0


@dataclass(frozen=True)
class DirectionalCheck:
    """One direction's comparison."""

    analytic_gradient: float
    """Gradient times direction."""
    numeric_gradient: float
    """Central difference at the best step size."""
    relative_error: float
    """Their difference over the larger of them, or over the floor if that is larger still."""
    step_size: float
    """Step size of the numeric gradient."""
    uncertainty: float
    """Relative change of the numeric gradient from the neighbouring step size to the best one."""
    is_kink: bool
    """Whether no derivative exists here: the one-sided slopes disagree, or no two step sizes give
    the same difference."""

    def is_resolved(self, tolerance: float) -> bool:
        """Return whether the difference is known well enough to judge by a tolerance."""
        return not self.is_kink and self.uncertainty <= tolerance

    def agrees(self, tolerance: float) -> bool:
        """Return whether the gradient is right to a tolerance, or to what the difference tells."""
        limit = tolerance
        if not self.is_resolved(tolerance):
            limit = _UNRESOLVED_MARGIN * self.uncertainty
        return not self.is_kink and self.relative_error <= limit


def check_directions(
    function: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    *,
    num_directions: int = 8,
    step_sizes: Sequence[float] = (1e-4, 1e-5, 1e-6),
    seed: int = 0,
    gradients: Sequence[Tensor] | None = None,
) -> list[DirectionalCheck]:
    """Compare g·v with (f(x + h v) - f(x - h v)) / 2h along random unit directions v.

    The step size is swept, and of the differences and their extrapolations to a vanishing step the
    one is taken that agrees best with its neighbour: the plateau between truncation and rounding.
    It is chosen without regard to the analytic value.
    A direction that happens to lie almost across the gradient is measured against a floor, a
    thousandth of what a random direction gives on average: only rounding would be compared there.

    Args:
        function: Evaluates a scalar from the parameters' present values; called with and without
            autograd, so it must repeat itself exactly.
        parameters: Leaf tensors in float64 that `function` reads; restored afterwards.
        num_directions: Directions drawn over all parameters together; on top of them one each that
            changes a single parameter, if there are several.
        step_sizes: Step sizes to sweep, at least two.
        seed: Of the directions.
        gradients: Gradients to check in place of autograd's, one a parameter.

    Returns:
        A record for each direction.
    """
    base = [parameter.detach().clone() for parameter in parameters]
    if gradients is None:
        gradients = torch.autograd.grad(function(), list(parameters))
    generator = torch.Generator().manual_seed(seed)
    groups = [list(range(len(parameters)))] * num_directions
    if len(parameters) > 1:
        groups += [[index] for index in range(len(parameters))]

    def value(direction: Sequence[Tensor], step: float) -> float:
        with torch.no_grad():
            for parameter, origin, change in zip(parameters, base, direction, strict=True):
                parameter.copy_(origin + step * change)
            return float(function())

    checks = []
    try:
        centre = value([torch.zeros_like(origin) for origin in base], 0.0)
        for group in groups:
            direction = _unit_direction(base, group, generator)
            analytic = float(sum((g * v).sum() for g, v in zip(gradients, direction, strict=True)))
            floor = FLOOR_RATIO * _typical_slope([gradients[index] for index in group])
            ahead = [value(direction, step) for step in step_sizes]
            behind = [value(direction, -step) for step in step_sizes]
            checks.append(_judge(ahead, behind, centre, analytic, floor, step_sizes, base[0].dtype))
    finally:
        with torch.no_grad():
            for parameter, origin in zip(parameters, base, strict=True):
                parameter.copy_(origin)
    return checks


def check_environments(
    function: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    directions: Sequence[Tensor],
    *,
    step_sizes: Sequence[float] = (1e-3, 1e-4, 1e-5, 1e-6),
    gradients: Sequence[Tensor] | None = None,
) -> list[DirectionalCheck]:
    """Compare one directional derivative in each of many independent environments at once.

    Environment b computes a value of its own from row b of every parameter, so one backward pass
    and two rollouts a step size check as many directions as there are environments.

    Args:
        function: Evaluates the environments' values, shape (B,), from the parameters' present
            rows; must repeat itself exactly.
        parameters: Leaf tensors whose first dimension is the environment; restored afterwards.
        directions: Change of each parameter for a step size of one; rows of zeros leave a parameter
            of an environment alone (see `random_directions`).
        step_sizes: Step sizes to sweep, at least two.
        gradients: Gradients of the values' sum to check in place of autograd's.

    Returns:
        A record for each environment.
    """
    base = [parameter.detach().clone() for parameter in parameters]
    if gradients is None:
        outputs = function()
        # A parameter that no environment depends on has a gradient of zero.
        gradients = torch.autograd.grad(
            outputs.sum(), list(parameters), allow_unused=True, materialize_grads=True
        )
    else:
        with torch.no_grad():
            outputs = function()
    centre = [float(value) for value in outputs.detach()]

    def values(step: float) -> list[float]:
        with torch.no_grad():
            for parameter, origin, change in zip(parameters, base, directions, strict=True):
                parameter.copy_(origin + step * change)
            return [float(value) for value in function()]

    try:
        ahead = [values(step) for step in step_sizes]
        behind = [values(-step) for step in step_sizes]
    finally:
        with torch.no_grad():
            for parameter, origin in zip(parameters, base, strict=True):
                parameter.copy_(origin)
    slopes, floors = slopes_of_rows(gradients, directions)
    return [
        _judge(
            [step[row] for step in ahead],
            [step[row] for step in behind],
            centre[row],
            slopes[row],
            FLOOR_RATIO * floors[row],
            step_sizes,
            base[0].dtype,
        )
        for row in range(len(centre))
    ]


def random_directions(like: Tensor, generator: torch.Generator, *, scale: float = 1.0) -> Tensor:
    """Draw a random direction for each row of a tensor.

    Args:
        like: Shape, dtype and device, the first dimension being the environment.
        generator: Source of randomness, on the CPU.
        scale: Norm of each row's direction; large where a parameter's natural changes are.
    """
    draw = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    norm = draw.flatten(1).norm(dim=1).reshape(-1, *[1] * (draw.dim() - 1))
    return (scale * draw / norm).to(like)


def taylor_rate(
    function: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    *,
    step_size: float = 1e-2,
    num_halvings: int = 4,
    seed: int = 0,
) -> float:
    """Return the rate at which |f(x + h v) - f(x) - h g·v| falls as h is halved.

    Two for a right gradient, one for a wrong one; meaningless where f is linear along v.

    Args:
        function: As in `check_directions`.
        parameters: As in `check_directions`.
        step_size: The first h.
        num_halvings: How often it is halved.
        seed: Of the direction.

    Returns:
        The slope of the remainder over the step size, both on logarithmic axes.
    """
    base = [parameter.detach().clone() for parameter in parameters]
    gradients = torch.autograd.grad(function(), list(parameters))
    direction = _unit_direction(base, list(range(len(base))), torch.Generator().manual_seed(seed))
    slope = float(sum((g * v).sum() for g, v in zip(gradients, direction, strict=True)))
    steps = [step_size / 2**halving for halving in range(num_halvings + 1)]
    remainders = []
    with torch.no_grad():
        centre = float(function())
        for step in steps:
            for parameter, origin, change in zip(parameters, base, direction, strict=True):
                parameter.copy_(origin + step * change)
            remainders.append(abs(float(function()) - centre - step * slope))
        for parameter, origin in zip(parameters, base, strict=True):
            parameter.copy_(origin)
    log_steps = torch.log(torch.tensor(steps, dtype=torch.float64))
    log_remainders = torch.log(torch.tensor(remainders, dtype=torch.float64).clamp_min(1e-300))
    x, y = log_steps - log_steps.mean(), log_remainders - log_remainders.mean()
    return float((x * y).sum() / x.square().sum())


def _unit_direction(
    like: Sequence[Tensor], group: Sequence[int], generator: torch.Generator
) -> list[Tensor]:
    """Draw a direction of norm one that changes only the tensors of a group."""
    parts = [
        torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
        if index in group
        else torch.zeros_like(tensor)
        for index, tensor in enumerate(like)
    ]
    norm = math.sqrt(sum(float(part.square().sum()) for part in parts))
    return [part / norm for part in parts]


def _typical_slope(gradients: Sequence[Tensor]) -> float:
    """Return the root mean square of gradient · direction over random unit directions."""
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    size = sum(gradient.numel() for gradient in gradients)
    return max(norm / math.sqrt(size), _SMALLEST_SCALE)


def spot_check(
    function: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    *,
    step_size: float = 2e-3,
    seed: int = 0,
) -> float:
    """Compare a gradient at hand with one finite difference, at the cost of two evaluations.

    The direction lies between the gradient and a random one: along the gradient the difference
    stands out most from rounding, and the random half finds components that are wrong.

    Args:
        function: Evaluates the scalar whose gradient it is; called without autograd.
        parameters: What it depends on; restored afterwards.
        gradients: One a parameter.
        step_size: Norm of the change.
        seed: Of the random half.

    Returns:
        The relative error; not a number where the gradient vanishes.
    """
    base = [parameter.detach().clone() for parameter in parameters]
    everything = list(range(len(base)))
    random = _unit_direction(base, everything, torch.Generator().manual_seed(seed))
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
    if not norm > 0:
        return math.nan
    direction = [(g / norm + r) / math.sqrt(2) for g, r in zip(gradients, random, strict=True)]
    analytic = sum(float((g * v).sum()) for g, v in zip(gradients, direction, strict=True))
    values = []
    try:
        with torch.no_grad():
            for signed_step in (step_size, -step_size):
                for parameter, origin, change in zip(parameters, base, direction, strict=True):
                    parameter.copy_(origin + signed_step * change)
                values.append(float(function()))
    finally:
        with torch.no_grad():
            for parameter, origin in zip(parameters, base, strict=True):
                parameter.copy_(origin)
    numeric = (values[0] - values[1]) / (2 * step_size)
    return abs(analytic - numeric) / max(abs(analytic), abs(numeric))


def slopes_of_rows(
    gradients: Sequence[Tensor], directions: Sequence[Tensor]
) -> tuple[list[float], list[float]]:
    """Return gradient · direction of each row, and its typical size over random directions."""
    slope, squares, length, size = (torch.zeros(len(gradients[0]), dtype=torch.float64),) * 4
    for gradient, direction in zip(gradients, directions, strict=True):
        g, v = gradient.flatten(1).double().cpu(), direction.flatten(1).double().cpu()
        slope = slope + (g * v).sum(1)
        squares = squares + (g * (v != 0)).square().sum(1)
        length = length + v.square().sum(1)
        size = size + (v != 0).sum(1)
    typical = (squares * length / size).sqrt().clamp_min(_SMALLEST_SCALE)
    return slope.tolist(), typical.tolist()


def _extrapolated(differences: Sequence[float], step_sizes: Sequence[float]) -> list[float]:
    """Return what neighbouring central differences tend to, their error being of second order.

    Source:
        L. F. Richardson, "The approximate arithmetical solution by finite differences of physical
        problems", Philosophical Transactions of the Royal Society A 210, 1911.
    """
    pairs = zip(itertools.pairwise(differences), itertools.pairwise(step_sizes), strict=True)
    return [fine + (fine - coarse) / ((h / k) ** 2 - 1) for (coarse, fine), (h, k) in pairs]


def _judge(
    ahead: Sequence[float],
    behind: Sequence[float],
    centre: float,
    analytic: float,
    floor: float,
    step_sizes: Sequence[float],
    dtype: torch.dtype,
) -> DirectionalCheck:
    """Find the plateau of the differences along one direction and compare it."""
    differences = [(a - b) / (2 * h) for a, b, h in zip(ahead, behind, step_sizes, strict=True)]
    change, best, numeric = min(
        (abs(b - a), index + 1 + skipped, b)
        for skipped, sequence in enumerate((differences, _extrapolated(differences, step_sizes)))
        for index, (a, b) in enumerate(itertools.pairwise(sequence))
    )
    larger = max(abs(analytic), abs(numeric), floor)
    uncertainty = change / max(abs(numeric), floor)
    # Slopes to the right less slopes to the left: of first order in the step where f is smooth.
    bends = [abs(a - 2 * centre + b) / h for a, b, h in zip(ahead, behind, step_sizes, strict=True)]
    bend = bends[best] / max(abs(numeric), floor)
    is_bent = bend > _KINK_RATIO[dtype] and bends[best] > _SMOOTH_DECAY * bends[best - 1]
    # A comparison with what is not a number is false: such a difference is a kink, too.
    is_smooth = uncertainty <= _PLATEAU_RATIO[dtype] and not is_bent
    return DirectionalCheck(
        analytic_gradient=analytic,
        numeric_gradient=numeric,
        relative_error=abs(analytic - numeric) / larger,
        step_size=step_sizes[best],
        uncertainty=uncertainty,
        is_kink=not is_smooth,
    )
