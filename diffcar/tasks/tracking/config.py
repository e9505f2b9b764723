"""The settings of path tracking."""

from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

import pydantic
from pydantic import AfterValidator, Discriminator, Field, Tag

from diffcar.base.section import Count, Duration, Finite, Follows, NonNegative, Positive, Section
from diffcar.controllers.config import ControllerConfig
from diffcar.losses import TrackingLoss
from diffcar.path.config import PathConfig, require_files
from diffcar.sim.config import CarConfig, EngineName
from diffcar.tasks.config import BackpropConfig, ScheduleConfig, UpdatesConfig

__all__ = [
    "DisturbanceConfig",
    "Drawn",
    "DrivingConfig",
    "E2EEvaluationConfig",
    "EvaluationConfig",
    "MeasureGripConfig",
    "RandomisedTrainingConfig",
    "SimulateConfig",
    "StartConfig",
    "TrainConfig",
    "TrainE2EConfig",
    "TrainingConfig",
]


_MOST_TO_TARGET, _DECAY_TO_TARGET, _DECAY = 100, 40, 100


BoundT = TypeVar("BoundT")


def _ascending(bounds: list[BoundT]) -> list[BoundT]:
    """Refuse a range whose least is more than its most."""
    if sorted(bounds) != bounds:  # type: ignore[type-var]
        raise ValueError("the first of a range is its least")
    return bounds


_Range: TypeAlias = Annotated[
    list[BoundT], Field(min_length=2, max_length=2), AfterValidator(_ascending), Tag("range")
]
Drawn: TypeAlias = Annotated[
    Annotated[BoundT, Tag("number")] | _Range[BoundT],
    Discriminator(lambda value: "range" if isinstance(value, list) else "number"),
]
"""A number, or the least and the most of what every car draws its own from, evenly."""


class DisturbanceConfig(Section):
    """What car and sensors suffer that the controller is not told of: numbers, or ranges [a, b]."""

    push_force: Annotated[Drawn[NonNegative], Follows("force")] = 0.0
    """Size of pushes to a random side of the car [N]; 0 for none."""
    push_duration: Annotated[Duration, Follows("time")] = 0.2
    """How long a push lasts [s]."""
    push_interval: Annotated[Duration, Follows("time")] = 2.0
    """Mean time from one push to the next [s]; each is drawn between half and one and a half."""
    mass_ratio: Drawn[Annotated[float, Field(ge=0.1, le=10)]] = 1.0
    """Factor on the mass and inertia of all bodies of the car."""
    mass_shift: Annotated[Drawn[Annotated[float, Field(ge=-5, le=5)]], Follows("length")] = 0.0
    """How far ahead of where the model has it the chassis's centre of mass is [m]."""
    friction_ratio: Drawn[Annotated[float, Field(ge=0.01, le=10)]] = 1.0
    """Factor on the friction between wheels and road."""
    motor_gain: Drawn[Annotated[float, Field(ge=0.1, le=10)]] = 1.0
    """Factor on the torque that the motors answer a command with, within their limit."""
    steering_gain: Drawn[Annotated[float, Field(ge=0.1, le=10)]] = 1.0
    """Factor on the commanded steering angle."""
    steering_offset: Drawn[Annotated[float, Field(ge=-0.5, le=0.5)]] = 0.0
    """Added to the commanded steering angle, + left [rad]."""
    delay_steps: Drawn[Annotated[int, Field(ge=0, le=100)]] = 0
    """Control steps from a command to its effect."""
    position_noise: Annotated[Drawn[NonNegative], Follows("length")] = 0.0
    """Standard deviation of the measured x and y [m], white."""
    yaw_noise: Drawn[NonNegative] = 0.0
    """Standard deviation of the measured heading [rad], white."""
    speed_noise: Annotated[Drawn[NonNegative], Follows("speed")] = 0.0
    """Standard deviation of the measured speed [m/s], white."""
    yaw_rate_noise: Annotated[Drawn[NonNegative], Follows("rate")] = 0.0
    """Standard deviation of the measured rate of turn [rad/s], white."""

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the least and the most of each disturbance, in the order of the fields."""
        own = {
            name: value for name, value in self if name not in ("push_duration", "push_interval")
        }
        return {name: (v[0], v[1]) if isinstance(v, list) else (v, v) for name, v in own.items()}

    @property
    def is_calm(self) -> bool:
        """Return whether nothing is disturbed."""
        return self.ranges == DisturbanceConfig().ranges


class StartConfig(Section):
    """How far from the path training rollouts start, at the most; most start much nearer."""

    cross_track: Annotated[NonNegative, Follows("length")] = 0.15
    """Lateral offset [m]."""
    heading: NonNegative = 0.25
    """Heading offset [rad]."""
    speed: Annotated[NonNegative, Follows("speed")] = 0.5
    """Speed offset [m/s]."""
    standing_fraction: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Fraction of the environments that start at rest."""


class EvaluationConfig(ScheduleConfig):
    """How training is evaluated, always in plain physics."""

    num_envs: Count = 16
    """Cars spread along the training path in an evaluation."""
    duration: Annotated[Duration, Follows("time")] = 4.0
    """Simulated time of an evaluation [s]."""
    unseen_paths: list[str] = Field(default=["figure-eight", "slalom", "double-lane-change"])
    """Paths driven after training that training has not seen."""


class DrivingConfig(CarConfig):
    """What every command that drives the car shares."""

    path: PathConfig = PathConfig()

    _has_files = pydantic.model_validator(mode="after")(require_files)


class MeasureGripConfig(CarConfig):
    """`diffcar measure-grip`."""

    engine: EngineName = "genesis"
    """Physics engine to measure in."""


class SimulateConfig(DrivingConfig):
    """`diffcar simulate`."""

    path: PathConfig = PathConfig(source="figure-eight")
    disturbance: DisturbanceConfig = DisturbanceConfig()
    engine: EngineName = "genesis"
    """Physics engine; another than `genesis` drives there, too, and compares."""
    controller: str | None = None
    """A run folder, a checkpoint, or a name that `--help` lists; null takes the newest run, or else
    shipped, the trained controller that comes with diffcar."""
    start: Literal["standing", "flying"] = "standing"
    """At rest, or at the reference speed."""
    start_cross_track: Finite = 0.0
    """Initial lateral offset, + left of the path [m]."""
    start_heading: Finite = 0.0
    """Initial heading offset [rad]."""
    skip_distance: NonNegative | None = None
    """Metrics count from this far along the path [m]; null takes 2 m, which follow from the car, or
    a quarter of a short path."""
    max_time: Duration | None = None
    """Simulated time at the most [s]; null allows half as long again as needed."""


class TrainConfig(BackpropConfig):
    """The optimisation through the physics."""

    num_updates: Count | None = None  # type: ignore[assignment]  # wider than elsewhere
    """Optimiser steps; null takes as many as it needs until an evaluation finds the `target`
    reached, and at most 100."""
    target: Annotated[Positive, Follows("length")] = 0.002
    """Cross-track RMSE on the training path that is good enough [m], where no `num_updates` are
    asked for."""
    num_envs: Count = 24
    """Cars simulated in parallel."""
    episode_updates: Count = 8
    """Updates in a row in which a car drives on from where it was before it starts afresh."""
    ramp_updates: Annotated[int, Field(ge=0)] = 0
    """Updates in which the reference speed rises to that of the path, at the soonest, while nine
    cars of ten stay within 0.2 m of it, which follow from the car: who has not learnt to steer
    learns nothing from a road at the limit. 0 begins with all of it."""
    ramp_from: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of the reference speed that the first of them has."""
    pace_spread: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How much slower than the reference speed the slowest of four groups of cars train, as a
    share, the others evenly between: what they learn on the way is not forgotten at the limit."""
    truncation_length: Count | None = None
    """Control steps between cuts of the graph; null backpropagates through the whole horizon."""
    decay_updates: Count | Literal["auto"] | None = "auto"  # type: ignore[assignment]
    """Updates over which the step size decays by a half cosine; after them it stays at its lowest.
    auto takes 100, or 40 where training ends at its `target`: a run that goes on from there with
    `num_updates` takes larger steps again. null takes `num_updates`, so that a run that is extended
    is not the same as a longer one."""

    @pydantic.model_validator(mode="after")
    def _segments_fit(self) -> "TrainConfig":
        cut = self.truncation_length
        if cut is not None and cut > self.horizon:
            raise ValueError(f"truncation_length {cut} is longer than horizon {self.horizon}")
        if self.ramp_updates > self.most_updates:
            raise ValueError(
                f"in {self.most_updates} updates the speed does not rise over {self.ramp_updates}"
            )
        return self

    @property
    def num_decay_updates(self) -> int:
        """Return the updates over which the step size decays."""
        if self.decay_updates == "auto":
            return _DECAY_TO_TARGET if self.num_updates is None else _DECAY
        return self.decay_updates or self.most_updates

    @property
    def most_updates(self) -> int:
        """Return the updates that a run has at the most."""
        return _MOST_TO_TARGET if self.num_updates is None else self.num_updates

    @property
    def segments(self) -> list[int]:
        """Lengths of the pieces between cuts of the graph, which add up to the horizon [steps]."""
        cut = self.truncation_length or self.horizon
        return [min(cut, self.horizon - begun) for begun in range(0, self.horizon, cut)]


class TrainingConfig(DrivingConfig):
    """What every way to train a path-tracking controller shares."""

    task: ClassVar[str] = "tracking"

    start: StartConfig = StartConfig()
    controller: ControllerConfig = ControllerConfig()
    loss: TrackingLoss = TrackingLoss()
    """What is minimised, or by which controllers are judged where nothing else is."""
    train: UpdatesConfig = UpdatesConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


class E2EEvaluationConfig(EvaluationConfig):
    """How training is evaluated, without gradients."""

    plain_scene: bool = False
    """Whether in a scene of its own without gradients, which takes as long again to build, and
    drives alike; so it is, too, with more cars than are trained. The cars of the scene share the
    unseen paths."""


class RandomisedTrainingConfig(TrainingConfig):
    """What the ways to train share that drive the network while it learns."""

    randomisation: DisturbanceConfig = DisturbanceConfig()
    """What cars suffer in training and its evaluations; each draws its own from the ranges
    whenever it starts afresh. A number is the same for all."""

    @pydantic.model_validator(mode="after")
    def _tells_delays_apart(self) -> "RandomisedTrainingConfig":
        """Refuse delays that a network which is told how likely each is would never hear of."""
        known, most = self.controller.num_delays, int(self.randomisation.ranges["delay_steps"][1])
        if known and most >= known:
            raise ValueError(
                f"with past_commands={self.controller.past_commands} the network tells delays of "
                f"up to {known - 1} steps apart, and randomisation.delay_steps goes up to {most}: "
                f"set controller.past_commands to {3 * (most + 1)}, a third of which are delays; "
                "a run that was begun otherwise is begun anew"
            )
        return self


class TrainE2EConfig(RandomisedTrainingConfig):
    """`diffcar train-e2e`."""

    train: TrainConfig = TrainConfig()
    evaluation: E2EEvaluationConfig = E2EEvaluationConfig()
