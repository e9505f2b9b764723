"""Settings that every task and every method share."""

from typing import Annotated

from pydantic import Field

from diffcar.base.section import Count, Positive, Section

__all__ = ["BackpropConfig", "ScheduleConfig", "UpdatesConfig"]


class UpdatesConfig(Section):
    """What the optimisation of every method has."""

    num_updates: Count = 50
    """Updates of a whole run."""
    checkpoint_interval: Count = 10
    """Updates between saves of the last checkpoint."""

    @property
    def most_updates(self) -> int:
        """Return the updates that a run has at the most."""
        return self.num_updates


class BackpropConfig(UpdatesConfig):
    """The optimisation through the physics, whatever the task."""

    horizon: Count = 24
    """Control steps in a rollout."""
    learning_rate: Positive = 0.01
    """Adam's step size at its highest."""
    decay_updates: Count | None = None
    """Updates over which the step size decays by a half cosine; after them it stays at its lowest.
    null takes `num_updates`, so that a run that is extended is not the same as a longer one."""
    final_learning_rate_ratio: Annotated[float, Field(gt=0, le=1)] = 0.02
    """The step size at the end of the cosine decay over that at its start."""
    max_gradient_norm: Positive = 1.0
    """The gradient of all weights together is scaled down to this norm."""
    max_skipped_updates: Count = 5
    """Updates with a non-finite loss or gradient in a row before the run is given up."""
    gradient_check_interval: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    """Updates between checks of the gradient against a finite difference along one direction, which
    costs two to four rollouts without gradients; 0 for none."""

    @property
    def num_decay_updates(self) -> int:
        """Return the updates over which the step size decays."""
        return self.decay_updates or self.most_updates

    @property
    def segments(self) -> list[int]:
        """Lengths of the pieces between cuts of the graph, which add up to the horizon [steps]."""
        return [self.horizon]


class ScheduleConfig(Section):
    """When training is evaluated, always without gradients."""

    interval: Count = 10
    """Updates between evaluations."""
    also_after: list[Count] = Field(default=[])
    """Further updates after which training is evaluated."""
    keep_snapshots: bool = False
    """Whether the weights of every evaluation are kept, as `checkpoints/at-<update>.pt`."""

    def is_due(self, num_updates_done: int) -> bool:
        """Return whether the weights after so many updates are evaluated."""
        return num_updates_done % self.interval == 0 or num_updates_done in self.also_after
