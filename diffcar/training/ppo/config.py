"""The configuration of `diffcar train-ppo`."""

from typing import Annotated

import pydantic
from pydantic import Field

from diffcar.base.section import Count, Duration, Follows, NonNegative, Positive
from diffcar.tasks.config import UpdatesConfig
from diffcar.tasks.tracking.config import EvaluationConfig, RandomisedTrainingConfig

__all__ = ["PPOConfig", "PPOEvaluationConfig", "TrainPPOConfig"]

Fraction = Annotated[float, Field(ge=0, le=1)]


class PPOConfig(UpdatesConfig):
    """Proximal policy optimisation, by rsl-rl-lib."""

    num_updates: Count = 400
    """Rounds of driving and learning."""
    checkpoint_interval: Count = 25
    """Updates between saves of the last checkpoint."""
    num_envs: Count = 64
    """Cars simulated in parallel."""
    num_steps: Count = 16
    """Control steps of each car in an update."""
    episode_duration: Annotated[Duration, Follows("time")] = 4.0
    """Simulated time after which a car starts afresh elsewhere [s]."""
    lost_cross_track: Annotated[Positive, Follows("length")] = 0.5
    """Offset from the path at which it starts afresh, too [m]."""
    num_epochs: Count = 5
    """Passes over the steps of an update."""
    num_mini_batches: Count = 4
    """Optimiser steps in a pass."""
    learning_rate: Positive = 1e-3
    """Adam's first step size; after that it follows `target_divergence`."""
    target_divergence: Positive = 0.01
    """Kullback-Leibler divergence from update to update that the step size is adapted to."""
    clip: Positive = 0.2
    """How far the probability of an action may move, as a ratio, before its gradient is cut."""
    discount: Annotated[float, Field(gt=0, lt=1)] = 0.97
    """Weight of the next step's reward."""
    trace_decay: Fraction = 0.95
    """λ of the generalised advantage estimate."""
    entropy: NonNegative = 0.0
    """Weight of the action distribution's entropy."""
    first_action_std: Positive = 0.5
    """Standard deviation of the normalised actions before the first update."""
    max_gradient_norm: Positive = 1.0
    """The gradients of actor and critic are scaled down to this norm."""

    @pydantic.model_validator(mode="after")
    def _batches_have_rows(self) -> "PPOConfig":
        num_rows = self.num_envs * self.num_steps
        if num_rows < max(2, self.num_mini_batches):
            raise ValueError(
                f"num_envs {self.num_envs} times num_steps {self.num_steps} is too little for "
                f"num_mini_batches {self.num_mini_batches}"
            )
        return self


class PPOEvaluationConfig(EvaluationConfig):
    """How training is judged, always in a plain scene, without exploration."""

    interval: Count = 25
    """Updates between evaluations."""


class TrainPPOConfig(RandomisedTrainingConfig):
    """`diffcar train-ppo`."""

    train: PPOConfig = PPOConfig()
    evaluation: PPOEvaluationConfig = PPOEvaluationConfig()
