"""Analytic against numeric directional derivatives of any function of tensors."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from diffcar.gradients.slopes import (
    FLOOR_RATIO,
    DirectionalCheck,
    compare_slopes,
    relative_difference,
)

__all__ = [
    "along_gradient",
    "check_directions",
    "check_environments",
    "random_directions",
    "spot_check",
]

_SMALLEST_SCALE = 1e-12
# Steps of a spot check, along the gradient and within one tensor, where f bends less.
_SPOT_STEPS_ALONG: tuple[float, ...] = (2e-3,)
_SPOT_STEPS_WITHIN: tuple[float, ...] = (1e-2, 3e-3)
_SPOT_FLOOR_RATIO = 0.3
# An error within so many times what differences are apart is theirs, unless it is small anyway.
_UNCERTAINTIES, _SPOT_DOUBT = 3.0, 0.1


def check_directions(
    function: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    *,
    num_directions: int = 8,
    step_sizes: Sequence[float] = (1e-4, 1e-5, 1e-6),
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
        parameters: Leaf tensors that `function` reads; restored afterwards.
        num_directions: Directions drawn over all parameters together; on top of them one each that
            changes a single parameter, if there are several.
        step_sizes: Descending, at least two.
        gradients: Gradients to check in place of autograd's, one a parameter.
    """
    if gradients is None:
        gradients = torch.autograd.grad(function(), list(parameters))
    generator = torch.Generator().manual_seed(0)
    groups = [list(range(len(parameters)))] * num_directions
    if len(parameters) > 1:
        groups += [[index] for index in range(len(parameters))]
    checks = []
    with _evaluated(function, parameters) as value:
        centre = float(function())
        for group in groups:
            direction = _unit_direction(parameters, group, generator)
            analytic = float(sum((g * v).sum() for g, v in zip(gradients, direction, strict=True)))
            floor = FLOOR_RATIO * _typical_slope([gradients[index] for index in group])
            ahead = [float(value(direction, step)) for step in step_sizes]
            behind = [float(value(direction, -step)) for step in step_sizes]
            dtype = parameters[0].dtype
            checks.append(compare_slopes(ahead, behind, centre, analytic, floor, step_sizes, dtype))
    return checks


def check_environments(
    function: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    directions: Sequence[Tensor],
    *,
    step_sizes: Sequence[float] = (1e-3, 1e-4, 1e-5, 1e-6),
    gradients: Sequence[Tensor] | None = None,
    values: Tensor | None = None,
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
        step_sizes: Descending, at least two.
        gradients: Gradients of the values' sum to check in place of autograd's.
        values: What the function gives at present, if that is known.
    """
    if gradients is None:
        values = function()
        # A parameter that no environment depends on has a gradient of zero.
        gradients = torch.autograd.grad(
            values.sum(), list(parameters), allow_unused=True, materialize_grads=True
        )
    with _evaluated(function, parameters) as value:
        centre = (value(directions, 0.0) if values is None else values).tolist()
        ahead = [value(directions, step).tolist() for step in step_sizes]
        behind = [value(directions, -step).tolist() for step in step_sizes]
    slopes, typical = _slopes_of_rows(gradients, directions)
    finest = [(a - b) / (2 * step_sizes[-1]) for a, b in zip(ahead[-1], behind[-1], strict=True)]
    return [
        compare_slopes(
            [step[row] for step in ahead],
            [step[row] for step in behind],
            centre[row],
            slopes[row],
            floor,
            step_sizes,
            parameters[0].dtype,
        )
        for row, floor in enumerate(_floors(typical, finest))
    ]


def _floors(typical: Sequence[float], numeric: Sequence[float]) -> list[float]:
    """Return the slope that each row is measured against at the least.

    A gradient that is far too large must not raise its own floor: the usual difference caps it.
    """
    usual = sorted(map(abs, numeric))[len(numeric) // 2]
    return [FLOOR_RATIO * max(min(own, usual), _SMALLEST_SCALE) for own in typical]


def _rows(values: Tensor) -> Tensor:
    """Return one row of numbers an environment, of which each may have one alone."""
    return values.reshape(len(values), -1)


def random_directions(like: Tensor, generator: torch.Generator, *, scale: float = 1.0) -> Tensor:
    """Draw a random direction for each row of a tensor.

    Args:
        like: Shape, dtype and device, the first dimension being the environment.
        generator: Source of randomness, on the CPU.
        scale: Norm of each row's direction; large where a parameter's natural changes are.
    """
    draw = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    norm = _rows(draw).norm(dim=1).reshape(-1, *[1] * (draw.dim() - 1))
    return (scale * draw / norm).to(like)


def along_gradient(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return gradients with rows of norm one: there a difference stands out most from rounding."""
    squares = torch.stack([_rows(gradient).square().sum(1) for gradient in gradients])
    norms = squares.sum(0).sqrt().clamp_min(_SMALLEST_SCALE)
    return [gradient / norms.reshape(-1, *[1] * (gradient.dim() - 1)) for gradient in gradients]


def spot_check(
    function: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    *,
    number: int = 0,
) -> float:
    """Compare a gradient at hand with finite differences, at the cost of two or four evaluations.

    Checks take turns: one along the gradient, where the difference stands out most from rounding;
    then one along a random direction within each tensor, which finds a tensor whose gradient is
    wrong or missing. There a long step meets bends and a short one rounding, so that the better of
    two counts; where neither agrees, and the two differ as much from each other, they tell nothing.

    Args:
        function: Evaluates the scalar whose gradient it is; called without autograd.
        parameters: What it depends on; restored afterwards.
        gradients: One a parameter.
        number: Which check it is; also the seed.

    Returns:
        The relative error, within a tensor at least over a part of the typical slope there;
        infinite where a value is not finite, not a number where everything vanishes or the
        differences tell nothing.
    """
    turn = number % (len(parameters) + 1)
    if turn == 0:
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
        direction = [g / max(norm, _SMALLEST_SCALE) for g in gradients]
        floor, steps = 0.0, _SPOT_STEPS_ALONG
    else:
        generator = torch.Generator().manual_seed(number)
        direction = _unit_direction(parameters, [turn - 1], generator)
        floor, steps = _SPOT_FLOOR_RATIO * _typical_slope([gradients[turn - 1]]), _SPOT_STEPS_WITHIN
    analytic = sum(float((g * v).sum()) for g, v in zip(gradients, direction, strict=True))
    numerics = []
    with _evaluated(function, parameters) as value:
        for step in steps:
            ahead, behind = (float(value(direction, own)) for own in (step, -step))
            numeric = (ahead - behind) / (2 * step)
            if not math.isfinite(analytic + numeric):
                return math.inf
            numerics.append(numeric)
    error = min(relative_difference(analytic, numeric, floor) for numeric in numerics)
    apart = relative_difference(numerics[0], numerics[-1], floor)
    return math.nan if _SPOT_DOUBT < error <= _UNCERTAINTIES * apart else error


def _slopes_of_rows(
    gradients: Sequence[Tensor], directions: Sequence[Tensor]
) -> tuple[list[float], list[float]]:
    """Return gradient · direction of each row, and its typical size over random signs."""
    slope, squares = (torch.zeros(len(gradients[0]), dtype=torch.float64) for _ in range(2))
    for gradient, direction in zip(gradients, directions, strict=True):
        products = _rows(gradient).double().cpu() * _rows(direction).double().cpu()
        slope = slope + products.sum(1)
        squares = squares + products.square().sum(1)
    return slope.tolist(), squares.sqrt().tolist()


@contextlib.contextmanager
def _evaluated(
    function: Callable[[], Tensor], parameters: Sequence[Tensor]
) -> Iterator[Callable[[Sequence[Tensor], float], Tensor]]:
    """Yield the function of a direction and a step along it, without autograd; restore at the end.

    Args:
        function: Reads the parameters, which are moved from where they are at first.
    """
    base = [parameter.detach().clone() for parameter in parameters]

    def value(direction: Sequence[Tensor], step: float) -> Tensor:
        for parameter, origin, change in zip(parameters, base, direction, strict=True):
            parameter.copy_(origin + step * change)
        return function()

    with torch.no_grad():
        try:
            yield value
        finally:
            for parameter, origin in zip(parameters, base, strict=True):
                parameter.copy_(origin)


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
    return [part.detach() / norm for part in parts]


def _typical_slope(gradients: Sequence[Tensor]) -> float:
    """Return the root mean square of gradient · direction over random unit directions."""
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    size = sum(gradient.numel() for gradient in gradients)
    return max(norm / math.sqrt(size), _SMALLEST_SCALE)
