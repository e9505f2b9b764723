"""Rows of the table of what can be differentiated, and at which cost."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from torch import Tensor

from diffcar.base.table import Column, Mark

__all__ = ["Capability", "measure_costs", "outcome_column"]

RowT = TypeVar("RowT")

_REPEATS = 3
_UNIT = "ms a step"
_GOOD = ("right", "arrives", "tracks", "accepted")
_DOUBTFUL = ("kinks", "vacuous", "inexact", "unresolved", "refused")


def outcome_column(
    heading: str, of: Callable[[RowT], str], *, key: str | None = None
) -> Column[RowT]:
    """Return the column of outcomes, with a mark that says at a glance what they say in words."""

    def mark(row: RowT) -> Mark | None:
        if of(row) == _UNIT:
            return None
        if of(row).startswith(_GOOD):
            return Mark.GOOD
        return Mark.DOUBTFUL if of(row).startswith(_DOUBTFUL) else Mark.BAD

    return Column(heading, of, key=key, mark=mark)


@dataclass(frozen=True)
class Capability:
    """What an attempt to differentiate something, or a measurement of its cost, came to."""

    entity: str
    """Kind of body, such as `rigid` or `mpm`."""
    kind: Literal["read", "write", "contact", "cost"]
    """What was attempted."""
    name: str
    """The quantity, call or contact."""
    outcome: str
    """`right`, `wrong`, `refused`, `no gradient` and the like; of a cost, its unit."""
    figure: float | None
    """Worst relative error of the gradient, or the cost; None where there is none."""
    detail: str
    """Under which conditions, or the text of the error."""

    def __post_init__(self) -> None:
        if self.figure is not None and math.isnan(self.figure):
            object.__setattr__(self, "figure", None)


class _Scene(Protocol):
    """What can go back through its steps, or cannot."""

    differentiable: bool

    def backward(self, loss: Tensor) -> None: ...


def measure_costs(
    entity: str,
    scene: _Scene,
    *,
    reset: Callable[[], object],
    roll_out: Callable[[], Tensor],
    num_steps: int,
    detail: str,
) -> Iterator[Capability]:
    """Time the steps of a rollout, and of its backward pass where the scene is differentiable.

    Args:
        reset: Done before every rollout, outside of its time.
        roll_out: Goes over so many steps, and returns what is differentiated, a scalar.
        detail: How large the scene is.

    Yields:
        A row for each direction, in milliseconds a step.
    """
    seconds: dict[str, list[float]] = {"forward": [], "backward": []}
    for _ in range(_REPEATS + 1):
        reset()
        began = time.perf_counter()
        loss = roll_out()
        seconds["forward"].append(time.perf_counter() - began)
        if scene.differentiable:
            began = time.perf_counter()
            scene.backward(loss)
            seconds["backward"].append(time.perf_counter() - began)
    mode = "differentiable" if scene.differentiable else "plain"
    for name, measured in seconds.items():
        if measured:
            # The first run compiles.
            figure = 1e3 * statistics.median(measured[1:]) / num_steps
            yield Capability(entity, "cost", f"{mode} {name}", _UNIT, figure, detail)
