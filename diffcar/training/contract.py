"""The contract of everything that trains, and the record of an update."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

from diffcar.tasks.contract import Task, TaskConfig
from diffcar.training.run_folder import RunFolder

__all__ = ["Trainer", "UpdateRecord"]


@dataclass(frozen=True)
class UpdateRecord:
    """What one update of any method did; methods add fields of their own."""

    iteration: int
    """Number of the update, from 1."""
    loss: float
    """What is minimised, before the update."""
    terms: dict[str, float]
    """Its parts by name."""
    learning_rate: float
    """Adam's step size."""
    is_skipped: bool
    """Whether the weights were left alone because loss or gradient was not finite."""

    highlights: ClassVar[dict[str, str]] = {}
    """What is worth showing of each update besides the loss: labels and names of fields."""

    @classmethod
    def columns(cls, terms: Sequence[str]) -> list[str]:
        """Return the names of the figures in a table, given those of the terms."""
        own = [f.name for f in fields(cls) if f.name not in ("iteration", "loss", "terms")]
        return ["loss", *(f"loss_{term}" for term in terms), *own]

    def row(self) -> dict[str, object]:
        """Return the figures by the names of `columns`."""
        return vars(self) | {f"loss_{name}": term for name, term in self.terms.items()}


class Trainer(Protocol):
    """An optimisation in progress, which a session runs, evaluates and saves."""

    record_type: ClassVar[type[UpdateRecord]]
    """What `train` yields."""
    task: Task[Any, Any]
    """What is trained for."""
    config: TaskConfig
    """The run's settings."""
    term_names: Sequence[str]
    """What terms of the loss can be called."""
    num_updates_done: int = 0
    """Updates of the whole run so far."""
    is_good_enough: bool = False
    """Whether an evaluation has found the task done, in a run that goes on until then."""
    seconds_before: float = 0.0
    """Wall time that went into what the first update learns from [s]."""

    @property
    def inputs(self) -> tuple[tuple[str, str], ...]:
        """Return name and digest of each file that a run must go on with."""
        return self.task.inputs

    @property
    def num_env_steps(self) -> int:
        """Return the control steps of all environments that training has used so far."""

    @property
    def is_finished(self) -> bool:
        """Return whether there is no update left to do."""
        return self.is_good_enough or self.num_updates_done >= self.config.train.most_updates

    def begin(self, folder: RunFolder) -> None:
        """Make or take up in the run's folder what the first update needs besides the task."""
        return

    def train(self, num_updates: int | None = None) -> Iterator[UpdateRecord]:
        """Yield a record after each update.

        Args:
            num_updates: Updates to stop at, counted from the run's beginning; None takes all.
        """
        last = math.inf if num_updates is None else num_updates
        while self.num_updates_done < last and not self.is_finished:
            yield self.update()

    def update(self) -> UpdateRecord:
        """Do one update of the weights."""

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly, the weights as `network`."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier."""

    def findings(self, updates: Sequence[UpdateRecord]) -> dict[str, Any]:
        """Return what the method has to say of a session, by its key in the result's JSON."""
        return {}
