"""The schema of `diffcar franka-test`."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from diffcar.base.section import Count, Finite, Positive, Section, Tolerance
from diffcar.losses import ReachingLoss
from diffcar.sim.config import ArmConfig
from diffcar.tasks.config import BackpropConfig, ScheduleConfig

__all__ = ["FrankaTestConfig", "ReachConfig", "TorqueGradientConfig"]

_COARSEST_FLOAT32_TOLERANCE = 1e-2

Corner = Annotated[list[Finite], Field(min_length=3, max_length=3)]


class TorqueGradientConfig(Section):
    """How the gradients by joint torques are certified."""

    horizon: Count = 50
    """Control steps between the first torque and the scored state."""
    torque_spread: Positive = 1.0
    """Standard deviation of the random torques added to those that hold the arm still [N m]."""
    tolerance: Tolerance = 1e-5
    """Largest relative error of a directional derivative that certifies."""
    max_kink_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of directions that may lie at a kink, where there is no derivative to compare."""
    min_contact_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of environments and steps in which the arm must touch the ground in the ground case."""


class ReachConfig(Section):
    """The task: bring the hand to a point."""

    target_low: Corner = Field(default=[0.35, -0.3, 0.2])
    """Lowest corner of the box that targets are drawn from, in front of the arm's base [m]."""
    target_high: Corner = Field(default=[0.65, 0.3, 0.6])
    """Highest corner of that box [m]."""
    joint_step: Positive = 0.5
    """How far ahead of a joint its servo's target can be at the most [rad]."""
    hidden_sizes: Annotated[list[Count], Field(min_length=1, max_length=8)] = Field(
        default=[64, 64]
    )
    """Width of each hidden layer."""
    num_unseen_targets: Annotated[int, Field(ge=1, le=4096)] = 128
    """Targets of the final judgement, none of them trained on."""
    max_mean_distance: Positive = 0.01
    """Mean distance over them at the end of a reach that passes [m]."""

    @pydantic.model_validator(mode="after")
    def _box_has_a_volume(self) -> "ReachConfig":
        if any(low >= high for low, high in zip(self.target_low, self.target_high, strict=True)):
            raise ValueError("target_low must be below target_high in every coordinate")
        return self


class ReachTrainConfig(BackpropConfig):
    """The optimisation."""

    num_updates: Count = 50
    """Optimiser steps."""
    horizon: Count = 40
    """Control steps in a reach."""
    learning_rate: Positive = 0.007
    """Adam's step size at its highest."""


class FrankaTestConfig(ArmConfig):
    """`diffcar franka-test`."""

    task: ClassVar[str] = "reaching"

    precision: Literal[32, 64] = 64
    """Bits of a floating-point number in the simulator and around it; gradients need 64."""
    num_envs: Annotated[int, Field(ge=1, le=4096)] = 32
    """Arms simulated in parallel in training, and directions checked in each gradient case."""
    gradients: TorqueGradientConfig = TorqueGradientConfig()
    reach: ReachConfig = ReachConfig()
    loss: ReachingLoss = ReachingLoss()
    train: ReachTrainConfig = ReachTrainConfig()
    evaluation: ScheduleConfig = ScheduleConfig()

    @pydantic.model_validator(mode="after")
    def _tolerance_can_be_resolved(self) -> "FrankaTestConfig":
        if self.precision == 32 and self.gradients.tolerance < _COARSEST_FLOAT32_TOLERANCE:
            raise ValueError(
                f"32 bits cannot tell gradients apart to gradients.tolerance = "
                f"{self.gradients.tolerance:g}; leave precision at 64, or allow "
                f"{_COARSEST_FLOAT32_TOLERANCE:g} or more"
            )
        return self
