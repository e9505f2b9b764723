"""The check of the gradients that a training run begins with, whatever the task."""

import time
from dataclasses import dataclass, replace

from diffcar.base.errors import GradientError
from diffcar.base.log import logger
from diffcar.gradients.certificate import certify
from diffcar.gradients.problem import Problem
from diffcar.gradients.slopes import Verdict, summarise, verdict

__all__ = ["SHORT_HORIZON", "ShortCertificate", "certify_before_training"]

SHORT_HORIZON = 32
"""Control steps that are certified before training, at the most."""


@dataclass(frozen=True)
class ShortCertificate:
    """What the check of the gradients before a session of training came to."""

    verdict: Verdict
    """On the decisive directions together and on what they must be of."""
    num_updates: int
    """Updates done before it: 0 of a new run, with whose untrained weights it was."""
    horizon: int
    """Control steps."""
    tolerance: float
    """Largest relative error that is right."""
    num_directions: int
    """The decisive directions."""
    num_kinks: int
    """Those of them along which no derivative exists."""
    median_relative_error: float
    """Over the smooth ones."""
    worst_relative_error: float
    """Over the smooth ones."""
    seconds: float
    """Wall time it took [s]."""
    relative_errors: list[float]
    """Of every direction, the decisive ones first."""


def certify_before_training(problem: Problem, *, num_updates: int = 0) -> ShortCertificate:
    """Check the gradients of the scene that is about to be trained in.

    Args:
        num_updates: How many updates the weights have had.

    Raises:
        GradientError: If they are wrong.
        SimulationError: If Genesis meets a gradient that is not a number.
    """
    began = time.perf_counter()
    over = f"over {problem.horizon} steps"
    logger.info(f"comparing gradients with finite differences {over}")
    certificate = certify(replace(problem, guards=()))
    checks = [check for row in certificate.decisive for check in row.checks]
    others = [check for row in certificate.rows if not row.is_decisive for check in row.checks]
    if not checks:
        raise GradientError(f"no gradient arrives {over}", hint=problem.hint)
    summary, of_all = summarise(checks), verdict(checks, problem.tolerance)
    if _is_off(of_all, summary.median_relative_error, problem.tolerance):
        raise GradientError(
            f"the gradient is {of_all}: {over} it differs from finite differences by "
            f"{summary.worst_relative_error:.2g}",
            hint=problem.hint,
        )
    for row in certificate.decisive:  # a kind that is dead must not hide among others
        if row.is_dead:
            raise GradientError(f"{row.title}: nothing changes with it", hint=problem.hint)
    failures = certificate.failures
    verdicts = [of_all, *(own.verdict for own in failures)]
    verdicts += [row.verdict for row in certificate.decisive if row.verdict is Verdict.VACUOUS]
    worst = max(verdicts, key=lambda own: own.badness)
    if not worst.is_good:
        found = "; ".join(map(str, (worst, *failures)))
        told = f"the comparison of gradients with finite differences says: {found}"
        if worst is Verdict.VACUOUS:
            told += " (here they could not be compared, which says nothing against them)"
        logger.warning(told)
    return ShortCertificate(
        verdict=worst,
        num_updates=num_updates,
        horizon=problem.horizon,
        tolerance=problem.tolerance,
        num_directions=summary.num_directions,
        num_kinks=summary.num_kinks,
        median_relative_error=summary.median_relative_error,
        worst_relative_error=summary.worst_relative_error,
        seconds=time.perf_counter() - began,
        relative_errors=[check.relative_error for check in checks + others],
    )


def _is_off(of_all: Verdict, median_error: float, tolerance: float) -> bool:
    """Return whether one must not train on a gradient.

    Single directions can be off in float32, where differences are; the whole gradient cannot.
    """
    if of_all is Verdict.INEXACT:
        return median_error > tolerance
    return of_all.badness >= Verdict.WRONG.badness
