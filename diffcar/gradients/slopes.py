"""One directional derivative, analytic and numeric, and what many of them come to."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch

__all__ = [
    "FLOOR_RATIO",
    "DirectionalCheck",
    "Summary",
    "Verdict",
    "compare_slopes",
    "is_flat",
    "relative_difference",
    "summarise",
    "verdict",
    "worst_of",
]

FLOOR_RATIO = 1e-3
"""A direction almost across the gradient is measured against this share of the typical slope."""
# Slopes to both sides that differ by more than this share are a kink, if they do not come together
# as the step shrinks, as those of a curved function do.
_KINK_RATIO = {torch.float64: 1e-4, torch.float32: 3e-2}
_SMOOTH_DECAY = 0.6
# Differences at neighbouring steps that disagree by more than this show no plateau.
_PLATEAU_RATIO = {torch.float64: 1e-2, torch.float32: 1e-1}
# A difference known to some uncertainty only cannot refute a gradient within this multiple of it;
# beyond the second multiple, that of the tolerance, it cannot confirm one either.
_UNRESOLVED_MARGIN = 3.0
_UNRESOLVED_LIMIT = 10.0
# With more kinks than this there is nothing left to go by.
_MAX_KINK_SHARE = 0.25
# Slopes below this say nothing, and where so many do, neither does the whole.
_SMALLEST_SLOPE = 1e-9
_VACUOUS_SHARE = 0.25
# A gradient that is off by less than this, or by ten tolerances, is inexact, not wrong.
_INEXACT = 1e-3


class Verdict(StrEnum):
    """What a gradient comes to, from the best to the worst; the text is what files hold."""

    explanation: str
    """What it means, in a sentence."""

    RIGHT = "right", "every direction is within the tolerance"
    RIGHT_TO_PLATEAU = (
        "right to plateau",
        "some differences are known less well than the tolerance, and the gradient is within that",
    )
    UNRESOLVED = "unresolved", "it is off by no more than the differences are uncertain"
    KINKS = "kinks", "too many directions have no derivative"
    VACUOUS = (
        "vacuous",
        "nothing is proved: too few directions change anything, or rollouts were elsewhere",
    )
    INEXACT = "inexact", "it is off by at most a thousandth or ten tolerances"
    WRONG = "wrong", "it disagrees with the differences"
    NOT_A_NUMBER = "not a number", "a derivative is not finite, which is worse than any error"
    NO_GRADIENT = "no gradient", "none arrived at the parameters"
    DOES_NOT_REPEAT = "does not repeat", "the same inputs lead elsewhere, so nothing is compared"
    REFUSED = "refused", "the attempt raised an error"

    def __new__(cls, text: str, explanation: str) -> "Verdict":
        """Make a member that is its text and carries its explanation."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.explanation = explanation
        return member

    @property
    def is_good(self) -> bool:
        """Return whether one may train on such a gradient."""
        return self in (Verdict.RIGHT, Verdict.RIGHT_TO_PLATEAU)

    @property
    def badness(self) -> int:
        """Return the place in the order from the best to the worst."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class DirectionalCheck:
    """One direction's comparison."""

    analytic_gradient: float
    """Gradient times direction."""
    numeric_gradient: float
    """Central difference at the best step size; not a number where none is finite."""
    relative_error: float
    """Their difference over the larger of them, or over the floor if that is larger still."""
    step_size: float
    """Step size of the numeric gradient."""
    uncertainty: float
    """Relative change of the numeric gradient from the neighbouring step size to the best one."""
    is_kink: bool
    """Whether no derivative exists here: the one-sided slopes disagree, or no two step sizes give
    the same difference."""

    @property
    def is_finite(self) -> bool:
        """Return whether both derivatives are numbers."""
        return math.isfinite(self.analytic_gradient) and math.isfinite(self.numeric_gradient)

    def is_resolved(self, tolerance: float) -> bool:
        """Return whether the difference is known well enough to judge by a tolerance."""
        return self.uncertainty <= tolerance

    @property
    def is_refuted(self) -> bool:
        """Return whether the difference is known well enough to say that the gradient is off."""
        return self.relative_error > _UNRESOLVED_MARGIN * self.uncertainty

    def agrees(self, tolerance: float) -> bool:
        """Return whether the gradient is right to a tolerance, or to what the difference tells."""
        limit = tolerance
        if not self.is_resolved(tolerance):
            known = _UNRESOLVED_MARGIN * self.uncertainty
            limit = max(tolerance, min(known, _UNRESOLVED_LIMIT * tolerance))
        return self.relative_error <= limit


@dataclass(frozen=True)
class Summary:
    """What directions come to."""

    num_directions: int
    """How many there were."""
    num_kinks: int
    """Those of them along which no derivative exists."""
    median_relative_error: float
    """Over the smooth ones; not a number if there is none."""
    worst_relative_error: float
    """Over the smooth ones; not a number if there is none, or if one of them is not."""
    cosine: float
    """Between the analytic and the numeric derivatives as vectors; not a number likewise."""
    uncertainty: float
    """Largest relative change of a difference between neighbouring step sizes."""

    @property
    def share_of_kinks(self) -> str:
        """Return how many directions there were and how many of them at kinks, in words."""
        return f"{self.num_directions} / {self.num_kinks}"


def summarise(checks: Sequence[DirectionalCheck]) -> Summary:
    """Return the figures of directions, kinks left out."""
    smooth = [check for check in checks if not check.is_kink]
    errors = [check.relative_error for check in smooth] or [math.nan]
    analytic = torch.tensor([check.analytic_gradient for check in smooth], dtype=torch.float64)
    numeric = torch.tensor([check.numeric_gradient for check in smooth], dtype=torch.float64)
    return Summary(
        num_directions=len(checks),
        num_kinks=len(checks) - len(smooth),
        median_relative_error=statistics.median(errors),
        worst_relative_error=worst_of(errors),
        cosine=float(analytic @ numeric / (analytic.norm() * numeric.norm())),
        uncertainty=worst_of([check.uncertainty for check in smooth] or [math.nan]),
    )


def worst_of(errors: Sequence[float]) -> float:
    """Return the largest error; one that is not a number is worse than any, as `max` forgets."""
    return math.nan if any(map(math.isnan, errors)) else max(errors)


def verdict(checks: Sequence[DirectionalCheck], tolerance: float) -> Verdict:
    """Say what directions come to.

    Args:
        checks: At least one, of one kind: a kind that is dead must not hide among others.
        tolerance: Largest relative error that is right.
    """
    if not all(check.is_finite for check in checks):
        return Verdict.NOT_A_NUMBER
    smooth = [check for check in checks if not check.is_kink]
    if len(checks) - len(smooth) > _MAX_KINK_SHARE * len(checks):
        return Verdict.KINKS
    odd = [check for check in smooth if not check.agrees(tolerance)]
    if any(check.is_refuted for check in odd):
        near = max(_INEXACT, 10 * tolerance)
        is_near = all(check.relative_error <= near for check in odd)
        return Verdict.INEXACT if is_near else Verdict.WRONG
    # Where so many directions are flat, even a dead gradient would pass.
    if sum(map(is_flat, smooth)) >= _VACUOUS_SHARE * len(smooth):
        return Verdict.VACUOUS
    median = statistics.median(check.relative_error for check in smooth)
    if odd or median > tolerance:
        return Verdict.UNRESOLVED
    is_resolved = all(check.is_resolved(tolerance) for check in smooth)
    return Verdict.RIGHT if is_resolved else Verdict.RIGHT_TO_PLATEAU


def is_flat(check: DirectionalCheck) -> bool:
    """Return whether nothing changes along a direction, so that it says nothing."""
    return max(abs(check.analytic_gradient), abs(check.numeric_gradient)) < _SMALLEST_SLOPE


def relative_difference(slope: float, other: float, floor: float) -> float:
    """Return the difference over the larger slope or the floor; no number where all vanish."""
    larger = max(abs(slope), abs(other), floor)
    return abs(slope - other) / larger if larger > 0 else math.nan


def compare_slopes(
    ahead: Sequence[float],
    behind: Sequence[float],
    centre: float,
    analytic: float,
    floor: float,
    step_sizes: Sequence[float],
    dtype: torch.dtype,
) -> DirectionalCheck:
    """Find the plateau of the differences along one direction and compare it.

    Args:
        ahead: Values after a positive step of each size.
        behind: Values after a negative one.
        centre: Value without a step.
        analytic: Gradient times direction.
        floor: Smallest slope that an error is measured against.
        step_sizes: The sizes, descending.
        dtype: Precision of the values.
    """
    differences = [(a - b) / (2 * h) for a, b, h in zip(ahead, behind, step_sizes, strict=True)]
    # One comparison a pair of neighbouring steps, plain and extrapolated to a vanishing step.
    candidates = [
        (abs(b - a), index + 1 + skipped, b)
        for skipped, sequence in enumerate((differences, _extrapolated(differences, step_sizes)))
        for index, (a, b) in enumerate(itertools.pairwise(sequence))
        if math.isfinite(a) and math.isfinite(b)
    ]
    if not candidates or not math.isfinite(centre) or not math.isfinite(analytic):
        return DirectionalCheck(analytic, math.nan, math.nan, step_sizes[-1], math.inf, False)
    change, best, numeric = min(candidates)
    uncertainty = change / max(abs(numeric), floor)
    # Slopes to the right less slopes to the left: of first order in the step where f is smooth.
    bends = [abs(a - 2 * centre + b) / h for a, b, h in zip(ahead, behind, step_sizes, strict=True)]
    bend = bends[best] / max(abs(numeric), floor)
    is_bent = bend > _KINK_RATIO[dtype] and bends[best] > _SMOOTH_DECAY * bends[best - 1]
    return DirectionalCheck(
        analytic_gradient=analytic,
        numeric_gradient=numeric,
        relative_error=relative_difference(analytic, numeric, floor),
        step_size=step_sizes[best],
        uncertainty=uncertainty,
        is_kink=is_bent or uncertainty > _PLATEAU_RATIO[dtype],
    )


def _extrapolated(differences: Sequence[float], step_sizes: Sequence[float]) -> list[float]:
    """Return what neighbouring central differences tend to, their error being of second order.

    Source:
        L. F. Richardson, "The approximate arithmetical solution by finite differences of physical
        problems", Philosophical Transactions of the Royal Society A 210, 1911.
    """
    pairs = zip(itertools.pairwise(differences), itertools.pairwise(step_sizes), strict=True)
    return [fine + (fine - coarse) / ((h / k) ** 2 - 1) for (coarse, fine), (h, k) in pairs]
