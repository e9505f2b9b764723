"""Runs the ways to get a gradient and reports what happened, whatever it is."""

from dataclasses import dataclass

import torch

from diffcar.gradcheck.finite_differences import check_directions
from diffcar.sim.attempts import Attempt
from diffcar.sim.car import GenesisCar

__all__ = ["AttemptResult", "run_attempt"]

_STEP_SIZES = (1e-2, 1e-3, 1e-4, 1e-5)
_NUM_DIRECTIONS = 2


@dataclass(frozen=True)
class AttemptResult:
    """What became of an attempt."""

    name: str
    """What was tried."""
    report: str
    """What the first report on it found."""
    outcome: str
    """`right`, `wrong`, `arrives` (in float32, where it is not judged), `no gradient` or
    `error`."""
    error: str | None
    """The exact error, if one was raised."""
    relative_error: float | None
    """Of the worst of a few directions, where a gradient came."""
    advice: str
    """What to do where it does not work."""


def run_attempt(car: GenesisCar, attempt: Attempt, *, tolerance: float) -> AttemptResult:
    """Run one attempt on a differentiable scene.

    Args:
        car: The scene; left rewound.
        attempt: What to try; whether repairs are in place is up to the caller.
        tolerance: Largest relative error of a gradient that is called right.
    """

    def result(
        outcome: str, error: Exception | str | None = None, relative_error: float | None = None
    ) -> AttemptResult:
        text = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else error
        return AttemptResult(
            name=attempt.name,
            report=attempt.report,
            outcome=outcome,
            error=text and text.partition("\n")[0],
            relative_error=relative_error,
            advice="-" if outcome in ("right", "arrives") else attempt.advice,
        )

    # Whatever an attempt raises is its result: that is what it is run for.
    try:
        leaf = attempt.start(car).detach().clone().requires_grad_()
        value = attempt.run(car, leaf)
    except Exception as error:
        return result("error", error)
    if not value.requires_grad:
        return result("no gradient", "requires_grad is False after the step")
    try:
        value.backward()
    except Exception as error:
        return result("error", error)
    if leaf.grad is None:
        return result("no gradient", "backward leaves the input's grad None")
    if leaf.dtype == torch.float32:
        return result("arrives", "float32 differences over three steps are rounding: not judged")
    try:
        checks = check_directions(
            lambda: attempt.run(car, leaf),
            [leaf],
            num_directions=_NUM_DIRECTIONS,
            step_sizes=_STEP_SIZES,
            gradients=[leaf.grad.clone()],
        )
    except Exception as error:
        return result("error", error)
    worst = max(checks, key=lambda check: check.relative_error)
    outcome = "right" if all(check.agrees(tolerance) for check in checks) else "wrong"
    return result(outcome, None, worst.relative_error)
