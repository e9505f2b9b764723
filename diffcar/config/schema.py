"""The configuration schema: every setting with its default, unit and limits."""

from typing import Annotated, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "ControllerConfig",
    "EngineConfig",
    "EvaluationConfig",
    "LossConfig",
    "PathConfig",
    "SceneConfig",
    "SimulateConfig",
    "StartConfig",
    "TrainConfig",
    "TrainE2EConfig",
    "TrainingConfig",
    "UpdatesConfig",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are not coerced between kinds."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class PathConfig(Section):
    """The reference path and the speed to drive it with."""

    source: str = "random"
    """Name of a built-in path or a CSV file."""
    scale: Positive = 1.0
    """Factor on all coordinates of a file; 0.1 turns a race track into one for a 1:10 car."""
    closed: bool | None = None
    """Whether a file's path is a loop; null decides by the gap between its ends."""
    seed: Seed | None = None
    """Seed of the built-in path `random`; null takes the run's."""
    top_speed: Positive = 3.0
    """Upper limit of the reference speed [m/s]."""
    lateral_acceleration: Positive = 4.0
    """Limit on speed² times curvature along the path [m/s²]."""
    longitudinal_acceleration: Positive = 3.0
    """Limit on speeding up and braking along the path [m/s²]."""


class EngineConfig(Section):
    """How Genesis runs, whatever is simulated."""

    seed: Seed = 0
    """Seed of everything random in the run."""
    backend: Literal["cpu", "gpu", "auto"] = "cpu"
    """Where Genesis runs; `auto` takes a GPU if there is one."""
    precision: Literal[32, 64] = 32
    """Bits of a floating-point number in the simulator and around it."""
    compiled_fields: bool = False
    """Genesis's performance mode: steps about twice as fast, but half a minute more to start."""
    dt: Annotated[float, Field(gt=0, le=0.1)] = 0.02
    """Control interval [s]."""
    substeps: Annotated[int, Field(ge=1, le=100)] = 1
    """Physics steps in a control interval."""

    @pydantic.field_validator("dt")
    @classmethod
    def _is_long_enough(cls, value: float) -> float:
        if value < 1e-4:
            raise ValueError("a control interval below 1e-4 s is not simulated usefully")
        return value


class SceneConfig(EngineConfig):
    """What every command that drives the car shares."""

    model: str | None = None
    """MJCF file of the car; null takes the shipped one."""
    actuation: Literal["torque", "pd"] = "torque"
    """`torque`: servo loops in torch; `pd`: Genesis's position and velocity servos."""
    path: PathConfig = PathConfig()


class StartConfig(Section):
    """How far from the path training rollouts start, at the most; most start much nearer."""

    cross_track: NonNegative = 0.15
    """Lateral offset [m]."""
    heading: NonNegative = 0.25
    """Heading offset [rad]."""
    speed: NonNegative = 0.5
    """Speed offset [m/s]."""
    standing_fraction: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Fraction of the environments that start at rest."""


class ControllerConfig(Section):
    """The network and what it observes."""

    hidden_sizes: Annotated[list[Count], Field(min_length=1, max_length=8)] = [64, 64]
    """Width of each hidden layer."""
    curvature_preview: Annotated[list[NonNegative], Field(min_length=1)] = [
        0.0,
        0.1,
        0.2,
        0.35,
        0.55,
        0.8,
    ]
    """Distances ahead at which the path's curvature is observed [m]."""
    speed_preview: Annotated[list[NonNegative], Field(min_length=1)] = [0.15, 0.4]
    """Distances ahead at which the reference speed is observed [m]."""


class LossConfig(Section):
    """Weights of the loss terms; a weight of zero leaves a term out."""

    cross_track: NonNegative = 700.0
    """On the cross-track error, squared up to `cross_track_scale` [1/m²]."""
    cross_track_scale: Positive = 0.003
    """Offset beyond which the cross-track cost grows linearly [m]."""
    heading: NonNegative = 0.005
    """On the squared heading error [1/rad²]; small, since a car in a curve must point inwards."""
    speed: NonNegative = 0.1
    """On the squared speed error [s²/m²]."""
    effort: NonNegative = 0.0
    """On the squared normalised action."""
    smoothness: NonNegative = 0.02
    """On the squared change of the normalised action from step to step."""
    time_indexed: NonNegative = 0.0
    """On the squared distance to the point where the car should be by now [1/m²]."""

    @pydantic.model_validator(mode="after")
    def _has_a_term(self) -> "LossConfig":
        if not any(self.model_dump(exclude={"cross_track_scale"}).values()):
            raise ValueError("every weight is zero, so nothing would be trained")
        return self


class UpdatesConfig(Section):
    """What the optimisation of every method has."""

    num_updates: Count = 50
    """Updates of a whole run."""
    checkpoint_interval: Count = 10
    """Updates between saves of the last checkpoint."""


class TrainConfig(UpdatesConfig):
    """The optimisation through the physics."""

    num_updates: Count = 100
    """Optimiser steps."""
    num_envs: Count = 24
    """Cars simulated in parallel."""
    horizon: Count = 24
    """Control steps in a rollout."""
    episode_updates: Count = 8
    """Updates in a row in which a car drives on from where it was before it starts afresh."""
    truncation_length: Count | None = None
    """Control steps between cuts of the graph; null backpropagates through the whole horizon."""
    learning_rate: Positive = 0.01
    """Adam's step size at its highest."""
    decay_updates: Count = 100
    """Updates over which the step size decays by a half cosine; after them it stays at its lowest.
    Not tied to `num_updates`, so that a run can be extended exactly."""
    final_learning_rate_ratio: Annotated[float, Field(gt=0, le=1)] = 0.02
    """The step size at the end of the cosine decay over that at its start."""
    max_gradient_norm: Positive = 1.0
    """The gradient of all weights together is scaled down to this norm."""
    max_skipped_updates: Count = 5
    """Updates with a non-finite loss or gradient in a row before the run is given up."""
    gradient_check_interval: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    """Updates between checks of the gradient against a finite difference along one direction, which
    costs two to four plain rollouts; 0 for none."""


class EvaluationConfig(Section):
    """How training is judged, always in a plain scene."""

    interval: Count = 20
    """Updates between evaluations."""
    also_after: list[Count] = []
    """Further updates after which training is judged."""
    num_envs: Count = 16
    """Cars spread along the training path in an evaluation."""
    duration: Positive = 4.0
    """Simulated time of an evaluation [s]."""
    unseen_paths: list[str] = ["figure-eight", "slalom", "double-lane-change"]
    """Paths driven after training that training has not seen."""
    keep_snapshots: bool = False
    """Whether the weights of every evaluation are kept, as `checkpoints/at-<update>.pt`."""


class TrainingConfig(SceneConfig):
    """What every way to train a path-tracking controller shares."""

    start: StartConfig = StartConfig()
    controller: ControllerConfig = ControllerConfig()
    loss: LossConfig = LossConfig()
    """What is minimised, or by which controllers are judged where nothing else is."""
    train: UpdatesConfig = UpdatesConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


class TrainE2EConfig(TrainingConfig):
    """`diffcar train-e2e`."""

    train: TrainConfig = TrainConfig()

    @pydantic.model_validator(mode="after")
    def _segments_fit(self) -> "TrainE2EConfig":
        cut = self.train.truncation_length
        if cut is not None and cut > self.train.horizon:
            raise ValueError(
                f"train.truncation_length {cut} is longer than train.horizon {self.train.horizon}"
            )
        return self


class SimulateConfig(SceneConfig):
    """`diffcar simulate`."""

    path: PathConfig = PathConfig(source="figure-eight")
    engine: Literal["genesis", "mujoco"] = "genesis"
    """Physics engine; `mujoco` drives in Genesis, too, and compares."""
    controller: str | None = None
    """A run folder, a checkpoint, or pure-pursuit, stanley, zero; null takes the newest run."""
    start: Literal["standing", "flying"] = "standing"
    """At rest, or at the reference speed."""
    start_cross_track: Finite = 0.0
    """Initial lateral offset, + left of the path [m]."""
    start_heading: Finite = 0.0
    """Initial heading offset [rad]."""
    skip_distance: NonNegative = 2.0
    """Metrics count from this far along the path [m]."""
    max_time: Positive | None = None
    """Simulated time at the most [s]; null allows half as long again as needed."""
