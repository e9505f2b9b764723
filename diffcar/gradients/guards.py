"""What must hold for a comparison with finite differences to prove anything."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffcar.gradients.slopes import Verdict

if TYPE_CHECKING:
    from diffcar.gradients.certificate import CertificateRow
    from diffcar.gradients.problem import Pass, Problem

__all__ = [
    "GUARDS",
    "ROW_GUARDS",
    "Evidence",
    "Failure",
    "Guard",
    "few_kinks",
    "gradients_agree",
    "in_regime",
    "nothing_comes_from_later",
    "repeats_exactly",
]


class Evidence:
    """The rollouts that guards look at, each made once it is asked for.

    Args:
        problem: What is rolled out.
        first: The pass whose gradient is certified.
    """

    def __init__(self, problem: "Problem", first: "Pass") -> None:
        self.problem = problem
        self.first = first

    @cached_property
    def second(self) -> "Pass":
        """Another pass like the first; where rounding is forgiven, one is saved."""
        return self.beyond if self.problem.noise else self.problem.differentiate()

    @cached_property
    def beyond(self) -> "Pass":
        """A pass that goes on after the scored state, whose zeros round differently."""
        return self.problem.differentiate(going_on=True)

    @cached_property
    def plain_scores(self) -> Tensor:
        """The scores of a rollout without gradients, shape (B,)."""
        with torch.no_grad():
            return self.problem.score()

    def are_same(self, one: Tensor, other: Tensor) -> bool:
        """Return whether two tensors agree as closely as the problem can; nothing is nothing."""
        largest = float(torch.nan_to_num(other).abs().max())
        return torch.allclose(
            one, other, rtol=0.0, atol=self.problem.noise * largest, equal_nan=True
        )


@dataclass(frozen=True)
class Failure:
    """A guard that does not hold."""

    verdict: Verdict
    """What that makes of the gradient."""
    text: str
    """What is wrong."""
    guard: str = ""
    """The guard's name."""

    def __str__(self) -> str:
        return f"{self.guard.replace('_', ' ')}: {self.text}"


Guard = Callable[[Evidence], Failure | None]
"""Returns what is wrong, if anything is."""


def repeats_exactly(evidence: Evidence) -> Failure | None:
    """Refuse rollouts that end elsewhere without gradients, where the differences are taken."""
    if evidence.are_same(evidence.plain_scores, evidence.first.scores):
        return None
    text = "a rollout without gradients ends elsewhere than one with them"
    return Failure(Verdict.DOES_NOT_REPEAT, text)


def gradients_agree(evidence: Evidence) -> Failure | None:
    """Refuse gradients that depend on more than the inputs, such as on the pass before."""
    passes = zip(evidence.first.gradients, evidence.second.gradients, strict=True)
    if all(evidence.are_same(one, other) for one, other in passes):
        return None
    closely = "" if evidence.problem.noise else " bit for bit"
    text = f"two backward passes from the same start do not agree{closely}"
    return Failure(Verdict.DOES_NOT_REPEAT, text)


def nothing_comes_from_later(evidence: Evidence) -> Failure | None:
    """Refuse a gradient that reaches what was commanded when all was over."""
    late = evidence.beyond.late_gradient
    if late is None or not torch.count_nonzero(late):
        return None
    return Failure(Verdict.WRONG, "an action after the last scored state has a gradient")


GUARDS: tuple[Guard, ...] = (repeats_exactly, gradients_agree, nothing_comes_from_later)
"""Those that need rollouts of their own; the rest is in every row's verdict and shares."""


def in_regime(problem: "Problem", row: "CertificateRow") -> Failure | None:
    """Refuse rollouts that were elsewhere most of the time."""
    if row.regime_fraction >= problem.min_share:
        return None
    share = f"only {100 * row.regime_fraction:.0f} % of the steps were so"
    return Failure(Verdict.VACUOUS, f"{row.title}: {share}")


def few_kinks(problem: "Problem", row: "CertificateRow") -> Failure | None:
    """Refuse more directions without a derivative than the problem allows."""
    num_kinks, num_directions = row.summary.num_kinks, len(row.checks)
    if num_kinks <= problem.max_kink_share * num_directions:
        return None
    share = f"{num_kinks} of {num_directions} directions are at kinks"
    return Failure(Verdict.KINKS, f"{row.title}: {share}")


ROW_GUARDS = (in_regime, few_kinks)
"""Those that look at a row of the certificate alone."""
