"""Analytic against numeric directional derivatives of any function of tensors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["DirectionalCheck", "check_directions", "taylor_rate"]

_SMALLEST_SCALE = 1e-12
_FLOOR_RATIO = 1e-3
_KINK_RATIO = 0.1


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
    is_kink: bool
    """Whether the one-sided slopes disagree, so that no derivative exists here."""


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

    The step size is swept and the one at which two neighbouring differences agree best is taken:
    the plateau between truncation and rounding. It is chosen without regard to the analytic value.
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
            floor = _FLOOR_RATIO * _typical_slope([gradients[index] for index in group])
            checks.append(_compare(value, direction, centre, analytic, floor, step_sizes))
    finally:
        with torch.no_grad():
            for parameter, origin in zip(parameters, base, strict=True):
                parameter.copy_(origin)
    return checks


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


def _compare(
    value: Callable[[Sequence[Tensor], float], float],
    direction: Sequence[Tensor],
    centre: float,
    analytic: float,
    floor: float,
    step_sizes: Sequence[float],
) -> DirectionalCheck:
    """Sweep the step size along one direction."""
    differences, one_sided = [], []
    for step in step_sizes:
        ahead, behind = value(direction, step), value(direction, -step)
        differences.append((ahead - behind) / (2 * step))
        one_sided.append(((ahead - centre) / step, (centre - behind) / step))
    changes = [abs(a - b) for a, b in zip(differences[1:], differences, strict=False)]
    best = min(range(len(changes)), key=changes.__getitem__) + 1
    numeric = differences[best]
    larger = max(abs(analytic), abs(numeric), floor)
    right, left = one_sided[best]
    return DirectionalCheck(
        analytic_gradient=analytic,
        numeric_gradient=numeric,
        relative_error=abs(analytic - numeric) / larger,
        step_size=step_sizes[best],
        is_kink=abs(right - left) > _KINK_RATIO * max(abs(right), abs(left), floor),
    )
