"""The settings of training, whatever the method."""

from typing import Annotated

import pydantic
from pydantic import Field

from diffcar.base.config import Count, Positive, Section
from diffcar.controllers.config import ControllerConfig
from diffcar.losses import TrackingLoss
from diffcar.tasks.tracking.config import DrivingConfig, EvaluationConfig, StartConfig

__all__ = ["TrainConfig", "TrainE2EConfig", "TrainingConfig", "TuningConfig", "UpdatesConfig"]


class TuningConfig(Section):
    """The search for the parameters of the classical controllers, on the training path."""

    num_generations: Count = 5
    """Rounds; each searches nearer around the best of the round before."""
    num_candidates: Annotated[int, Field(ge=8, le=4096)] = 64
    """Sets of parameters in a round, each driving two cars of its own."""
    duration: Positive = 15.0
    """Simulated time of a drive [s]."""


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


class TrainingConfig(DrivingConfig):
    """What every way to train a path-tracking controller shares."""

    start: StartConfig = StartConfig()
    controller: ControllerConfig = ControllerConfig()
    loss: TrackingLoss = TrackingLoss()
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
