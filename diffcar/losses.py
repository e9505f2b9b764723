"""What training minimises: of each term the weight, its meaning and its formula stand together.

A loss is a section of settings. Each `Weight` of it, say `heading`, has a method `heading_cost`
that takes a record of a rollout and returns what the term costs: a new term is those few lines, and
whatever names terms (settings, tables, curves, PPO's reward) follows.
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pydantic
from pydantic import Field

from diffcar.base.section import Follows, NonNegative, Positive, Section

if TYPE_CHECKING:
    from torch import Tensor

    from diffcar.tasks.pushing.rollout import PushTrajectory
    from diffcar.tasks.reaching.rollout import ReachTrajectory
    from diffcar.tasks.tracking.rollout import Trajectory

__all__ = ["Costs", "Loss", "PushingLoss", "ReachingLoss", "TrackingLoss", "Weight", "pseudo_huber"]

_IS_WEIGHT = "the weight of a term"
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False), _IS_WEIGHT]
"""The weight of a term, which has a method of its name and `_cost`."""


class Costs(dict[str, "Tensor"]):
    """What each term costs, weighted: tensors by name, shape (B,) or scalar."""

    @property
    def total(self) -> "Tensor":
        """Return the loss: the sum of the terms' means, a scalar."""
        import torch

        return torch.stack([cost.mean() for cost in self.values()]).sum()

    @property
    def per_environment(self) -> "Tensor":
        """Return the sum of the terms in each environment, shape (B,)."""
        return sum(self.values())  # type: ignore[return-value]

    def floats(self) -> dict[str, float]:
        """Return the terms' means as numbers."""
        return {name: float(cost.detach().mean()) for name, cost in self.items()}


class Loss(Section):
    """Weights of the loss terms; a weight of zero leaves a term out."""

    needs_one_of: ClassVar[tuple[str, ...]] = ()
    """Terms of which one at least must have a weight; empty for any of all."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        """Refuse a weight without its formula."""
        super().__pydantic_init_subclass__(**kwargs)
        for name in cls.term_names():
            if not callable(getattr(cls, f"{name}_cost", None)):
                raise TypeError(
                    f"{cls.__name__}.{name} is a weight, so there must be a {name}_cost"
                )

    @pydantic.model_validator(mode="after")
    def _has_an_aim(self) -> "Loss":
        needed = self.needs_one_of or self.term_names()
        if not any(getattr(self, name) for name in needed):
            which = f"{' and '.join(needed)} zero" if self.needs_one_of else "every weight zero"
            raise ValueError(f"with {which} nothing would be trained")
        return self

    @classmethod
    def term_names(cls) -> list[str]:
        """Return the names of the terms, in the order of the fields."""
        return [name for name, field in cls.model_fields.items() if _IS_WEIGHT in field.metadata]

    def costs(self, record: Any) -> Costs:  # noqa: ANN401
        """Return what the terms with a weight cost, in the order of the fields.

        Args:
            record: Of a rollout, of the kind that the formulas take.
        """
        return Costs(
            {
                name: getattr(self, f"{name}_cost")(record)
                for name in self.term_names()
                if getattr(self, name)
            }
        )


class TrackingLoss(Loss):
    """Weights of the terms of path tracking; a weight of zero leaves a term out."""

    cross_track: Annotated[Weight, Follows("per area")] = 700.0
    """On the cross-track error, squared up to `cross_track_scale` [1/m²]."""
    cross_track_scale: Annotated[Positive, Follows("length")] = 0.003
    """Offset beyond which the cross-track cost grows linearly [m]."""
    heading: Weight = 0.005
    """On the squared heading error [1/rad²]; small, since a car in a curve must point inwards."""
    speed: Annotated[Weight, Follows("per squared speed")] = 0.1
    """On the speed error, squared up to `speed_scale` [s²/m²]."""
    speed_scale: Positive | None = None
    """Speed error beyond which the speed cost grows linearly [m/s]; null squares all. A car that
    starts at rest on a fast road would outweigh all others by far."""
    effort: Weight = 0.0
    """On the squared normalised action."""
    smoothness: Weight = 0.02
    """On the squared change of the normalised action from step to step."""
    time_indexed: Annotated[Weight, Follows("per area")] = 0.0
    """On the squared distance to the point where the car should be by now [1/m²]."""

    def cross_track_cost(self, driven: "Trajectory") -> "Tensor":
        """Return the mean over the steps, shape (B,)."""
        cost = pseudo_huber(driven.cross_track_error, self.cross_track_scale)
        return (self.cross_track * cost).mean(0)

    def heading_cost(self, driven: "Trajectory") -> "Tensor":
        """Return the mean over the steps, shape (B,)."""
        return (self.heading * driven.heading_error.square()).mean(0)

    def speed_cost(self, driven: "Trajectory") -> "Tensor":
        """Return the mean over the steps, shape (B,)."""
        error, scale = driven.speed_error, self.speed_scale
        cost = error.square() if scale is None else pseudo_huber(error, scale)
        return (self.speed * cost).mean(0)

    def effort_cost(self, driven: "Trajectory") -> "Tensor":
        """Return the mean over the steps, shape (B,)."""
        return self.effort * driven.output.square().sum(-1).mean(0)

    def smoothness_cost(self, driven: "Trajectory") -> "Tensor":
        """Return the mean over the changes, shape (B,); a single step has none, and no cost."""
        change = driven.output_change
        return self.smoothness * change.square().sum((0, 2)) / max(len(change), 1)

    def time_indexed_cost(self, driven: "Trajectory") -> "Tensor":
        """Return the mean over the steps, shape (B,)."""
        gap = driven.position - driven.timed_position
        return self.time_indexed * gap.square().sum(-1).mean(0)


class ReachingLoss(Loss):
    """Weights of the terms of reaching; a weight of zero leaves a term out."""

    needs_one_of = ("distance",)

    distance: Weight = 50.0
    """On the hand's distance, squared up to `distance_scale` [1/m²]."""
    distance_scale: Positive = 0.02
    """Distance beyond which its cost grows linearly [m]."""
    late_power: NonNegative = 2.0
    """A step counts by this power of the time since the start: late ones matter most."""
    velocity: Weight = 0.001
    """On the squared joint velocities, weighted as the distance is [s²/rad²]."""
    smoothness: Weight = 0.001
    """On the squared change of the action from step to step."""

    def distance_cost(self, reached: "ReachTrajectory") -> "Tensor":
        """Return the mean over steps and arms."""
        # By the squared distance: no root stands in the way where the hand is at its target.
        gap = (reached.hand_position - reached.target).square().sum(-1)
        cost = pseudo_huber(gap, self.distance_scale, is_squared=True)
        return self.distance * (self._lateness(gap) * cost).mean()

    def velocity_cost(self, reached: "ReachTrajectory") -> "Tensor":
        """Return the mean over steps and arms."""
        squared_speed = reached.joint_velocities.square().sum(-1)
        return self.velocity * (self._lateness(squared_speed) * squared_speed).mean()

    def smoothness_cost(self, reached: "ReachTrajectory") -> "Tensor":
        """Return the mean over the changes of all arms."""
        return self.smoothness * _mean_change(reached.action)

    def _lateness(self, like: "Tensor") -> "Tensor":
        """Return what each step counts, one on average, shape (T, 1)."""
        import torch

        num_steps = len(like)
        time = torch.arange(1, num_steps + 1, dtype=like.dtype, device=like.device) / num_steps
        lateness = (time**self.late_power)[:, None]
        return lateness / lateness.mean()


class PushingLoss(Loss):
    """Weights of the terms of pushing; a weight of zero leaves a term out."""

    needs_one_of = ("cross_track", "progress")

    cross_track: Weight = 100.0
    """On the centroid's cross-track error, squared up to `cross_track_scale` [1/m²]."""
    cross_track_scale: Positive = 0.02
    """Offset beyond which the cross-track cost grows linearly [m]."""
    progress: Weight = 10.0
    """On the squared way that the body is behind or ahead of the running target [1/m²]."""
    smoothness: Weight = 1.0
    """On the squared change of the action from step to step."""

    def cross_track_cost(self, pushed: "PushTrajectory") -> "Tensor":
        """Return the mean over steps and bodies."""
        cost = pseudo_huber(pushed.cross_track_error, self.cross_track_scale)
        return self.cross_track * cost.mean()

    def progress_cost(self, pushed: "PushTrajectory") -> "Tensor":
        """Return the mean over steps and bodies."""
        return self.progress * pushed.progress_error.square().mean()

    def smoothness_cost(self, pushed: "PushTrajectory") -> "Tensor":
        """Return the mean over the changes of all bodies."""
        return self.smoothness * _mean_change(pushed.action)


def pseudo_huber(error: "Tensor", scale: float, *, is_squared: bool = False) -> "Tensor":
    """Return error² for small errors and 2 · scale · |error| for large ones, smoothly in between.

    Without it the recovery from a start beside the path outweighs the last millimetres by far.

    Args:
        error: Any shape and unit.
        scale: Where the change happens, in the error's unit.
        is_squared: Whether `error` is the square already.

    Returns:
        The cost, in the error's unit squared.

    Source:
        P. Charbonnier et al., "Deterministic edge-preserving regularization in computed imaging",
        IEEE Transactions on Image Processing 6(2), 1997.
    """
    ratio = error / scale**2 if is_squared else (error / scale).square()
    return 2 * scale**2 * ((1 + ratio).sqrt() - 1)


def _mean_change(action: "Tensor") -> "Tensor":
    """Return the mean squared change of actions (T, B, n) from step to step, zero of one step."""
    change = action[1:] - action[:-1]
    return change.square().sum() / max(change[..., 0].numel(), 1)
