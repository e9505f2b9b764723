"""The check of the gradients that a training run begins with."""

import time
from dataclasses import dataclass
from typing import Any

from diffcar.base.errors import GradientError
from diffcar.base.log import logger
from diffcar.gradients.slopes import GOOD_VERDICTS, summarise, verdict
from diffcar.tasks.config import BackpropConfig
from diffcar.tasks.contract import Task

__all__ = ["ShortCertificate", "certify_before_training"]

_CERTIFIED_HORIZON = 32
# In float32 it is the differences, not the gradient, the worst of which are known to a tenth only.
_CERTIFIED_TOLERANCE = {64: 1e-5, 32: 1e-1}


@dataclass(frozen=True)
class ShortCertificate:
    """What the check of the gradients before training came to."""

    verdict: str
    """See `gradcheck.directional.verdict`."""
    horizon: int
    """Control steps."""
    tolerance: float
    """Largest relative error that is right."""
    num_directions: int
    """Directions in actions, initial state and network weights."""
    num_kinks: int
    """Those of them along which no derivative exists."""
    median_relative_error: float
    """Over the smooth ones."""
    worst_relative_error: float
    """Over the smooth ones."""
    seconds: float
    """Wall time it took [s]."""


def certify_before_training(task: Task[Any, Any]) -> ShortCertificate | None:
    """Check the gradients of the task that is about to be trained for.

    Raises:
        GradientError: If they are wrong.
        SimulationError: If Genesis meets a gradient that is not a number.
    """
    began = time.perf_counter()
    train = task.config.train
    assert isinstance(train, BackpropConfig)
    horizon = min(train.horizon, _CERTIFIED_HORIZON)
    tolerance = _CERTIFIED_TOLERANCE[task.config.precision]
    logger.info(f"comparing gradients with finite differences over {horizon} steps")
    checks = task.certify(horizon)
    if not checks:
        return None
    summary = summarise(checks)
    told = verdict(checks, tolerance)
    # Single directions can be off in float32, where differences are; the whole gradient cannot.
    is_off = told == "inexact" and summary.median_relative_error > tolerance
    if is_off or told in ("wrong", "not a number"):
        raise GradientError(
            f"the gradient is {told}: over {horizon} steps it differs from finite differences by "
            f"{summary.worst_relative_error:.2g}",
            hint="`diffcar check-grad` tells more; --no-certify trains all the same",
        )
    if told not in GOOD_VERDICTS:
        logger.warning(f"the comparison of gradients with finite differences says: {told}")
    return ShortCertificate(
        verdict=told,
        horizon=horizon,
        tolerance=tolerance,
        num_directions=summary.num_directions,
        num_kinks=summary.num_kinks,
        median_relative_error=summary.median_relative_error,
        worst_relative_error=summary.worst_relative_error,
        seconds=time.perf_counter() - began,
    )
