"""The schema of `diffcar train-e2e --entity mpm`."""

from typing import Annotated, ClassVar

import pydantic
from pydantic import Field

from diffcar.base.errors import ConfigError
from diffcar.base.section import Count, NonNegative, Positive, Section
from diffcar.losses import PushingLoss
from diffcar.path.config import PATHS, PathConfig, require_files
from diffcar.sim.config import SoftBodyConfig
from diffcar.tasks.config import BackpropConfig, ScheduleConfig

__all__ = ["TrainPushConfig"]


class PushStartConfig(Section):
    """How the path lies to the body at the start of a training push, drawn evenly."""

    cross_track: NonNegative = 0.015
    """The path begins this far beside the body at the most [m]."""
    heading: NonNegative = 0.15
    """It begins turned this far from the +x axis at the most [rad]."""


class PushControllerConfig(Section):
    """The network, what it observes and what it may command."""

    hidden_sizes: Annotated[list[Count], Field(min_length=1, max_length=8)] = Field(
        default=[64, 64]
    )
    """Width of each hidden layer."""
    heading_preview: Annotated[list[NonNegative], Field(min_length=1)] = Field(
        default=[0.0, 0.05, 0.1, 0.15, 0.2]
    )
    """Distances ahead at which the path's heading is observed [m]."""
    max_correction: Positive = 0.3
    """How far the tool's velocity can be from straight ahead at the reference speed [m/s]."""


class PushTrainConfig(BackpropConfig):
    """The optimisation."""

    num_updates: Count = 20
    """Optimiser steps."""
    num_envs: Count = 6
    """Bodies simulated in parallel, in training and in evaluations."""
    horizon: Count = 70
    """Control steps in a push."""
    learning_rate: Positive = 0.005
    """Adam's step size at its highest."""
    final_learning_rate_ratio: Annotated[float, Field(gt=0, le=1)] = 0.05
    """The step size at the end of the cosine decay over that at its start."""


class PushEvaluationConfig(ScheduleConfig):
    """How training is evaluated, always without gradients."""

    unseen_paths: list[str] = Field(default=["slalom", "figure-eight"])
    """Paths pushed along before and after training that training has not seen."""
    skip_distance: NonNegative = 0.1
    """Errors count from where the running target has come this far [m]."""


class TrainPushConfig(SoftBodyConfig):
    """`diffcar train-e2e --entity mpm`."""

    task: ClassVar[str] = "pushing"

    dt: Annotated[float, Field(gt=0, le=0.1)] = 0.02
    """Control interval [s]."""
    substeps: Annotated[int, Field(ge=1, le=100)] = 4
    """Physics steps in a control interval."""
    ground_friction: NonNegative = 0.2
    """Coefficient of friction between ground and body."""
    half_width: Positive = 0.42
    """The grid reaches this far to each side of the x axis [m], three cells of which are margin;
    along the axis it reaches as far as a push does."""
    path: PathConfig = Field(
        default=PathConfig(source="random", top_speed=0.3), validate_default=True
    )
    start: PushStartConfig = PushStartConfig()
    controller: PushControllerConfig = PushControllerConfig()
    loss: PushingLoss = PushingLoss()
    train: PushTrainConfig = PushTrainConfig()
    evaluation: PushEvaluationConfig = PushEvaluationConfig()

    @pydantic.field_validator("path")
    @classmethod
    def _is_small(cls, path: PathConfig) -> PathConfig:
        """Scale a built-in path, but no file, to half a metre of pushing, where no scale is set."""
        if "scale" in path.model_fields_set or path.source not in PATHS:
            return path
        return path.model_copy(update={"scale": 0.8})

    _has_files = pydantic.model_validator(mode="after")(require_files)

    @pydantic.model_validator(mode="after")
    def _has_figures(self) -> "TrainPushConfig":
        if self.evaluation.skip_distance >= self.reach:
            raise ConfigError(
                f"evaluation.skip_distance {self.evaluation.skip_distance:g} leaves nothing of a "
                f"push, which comes {self.reach:.3g} m",
                hint="lower it, or raise train.horizon",
            )
        return self

    @property
    def reach(self) -> float:
        """How far the running target comes in a push, at the most [m]."""
        return self.train.horizon * self.dt * self.path.top_speed
