"""The contract of everything that trains a path-tracking controller."""

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.training.config import TrainingConfig
from diffcar.training.optimiser import Step

__all__ = ["Trainer"]


class Trainer(Protocol):
    """An optimisation in progress, which a session runs, judges and saves."""

    method: ClassVar[str]
    """What a checkpoint calls it."""
    step_type: ClassVar[type[Step]]
    """The record that `train` yields."""
    num_updates_done: int
    """Updates of the whole run so far."""

    @property
    def config(self) -> TrainingConfig:
        """Return the run's configuration."""

    @property
    def controller(self) -> TrackingMLP:
        """Return what is trained."""

    @property
    def term_names(self) -> list[str]:
        """Return the names that terms of the loss can have."""

    @property
    def num_env_steps(self) -> int:
        """Return the control steps of all cars that training has used so far."""

    @property
    def is_finished(self) -> bool:
        """Return whether there is no update left to do."""

    def train(self, num_updates: int | None = None) -> Iterator[Step]:
        """Yield a record after each update.

        Args:
            num_updates: Updates to stop at, counted from the run's beginning; None takes all.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly, the weights as `network`."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier."""
