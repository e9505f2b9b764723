"""The configuration of `diffcar compare`."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from diffcar.base.config import Positive, Section, Seed
from diffcar.controllers.config import ControllerConfig
from diffcar.demonstrations.config import DemonstrationConfig
from diffcar.losses import TrackingLoss
from diffcar.path.config import PathConfig
from diffcar.tasks.tracking.config import DisturbanceConfig, DrivingConfig, StartConfig, TrainConfig
from diffcar.training.bc.config import CloneConfig
from diffcar.training.config import TuningConfig
from diffcar.training.ppo.config import PPOConfig

__all__ = ["METHODS", "CompareConfig", "Method", "SuiteConfig"]

Method = Literal[
    "e2e",
    "ppo",
    "bc-pure-pursuit",
    "bc-e2e",
    "dagger-e2e",
    "stanley",
    "pure-pursuit",
]

METHODS: tuple[Method, ...] = (
    "e2e",
    "ppo",
    "bc-pure-pursuit",
    "bc-e2e",
    "dagger-e2e",
    "stanley",
    "pure-pursuit",
)
"""What can be compared; those that clone e2e need it."""


class SuiteConfig(Section):
    """What every controller drives, and under which conditions."""

    paths: list[PathConfig] = Field(
        min_length=1,
        default=[
            PathConfig(source="figure-eight"),
            PathConfig(source="slalom"),
            PathConfig(source="sine"),
            PathConfig(source="double-lane-change"),
            PathConfig(source="obstacle-avoidance"),
        ],
    )
    """Paths that nothing was trained or tuned on."""
    conditions: dict[str, DisturbanceConfig] = Field(
        default={
            "push": DisturbanceConfig(push_force=30.0),
            "mass +30 %": DisturbanceConfig(mass_ratio=1.3),
            "mass -30 %": DisturbanceConfig(mass_ratio=0.7),
            "friction +30 %": DisturbanceConfig(friction_ratio=1.3),
            "friction -30 %": DisturbanceConfig(friction_ratio=0.7),
            "delay": DisturbanceConfig(delay_steps=1),
            "noise": DisturbanceConfig(
                position_noise=0.005, yaw_noise=0.01, speed_noise=0.05, yaw_rate_noise=0.05
            ),
        }
    )
    """Disturbances, each alone; the undisturbed drive is always there as `nominal`."""
    engines: list[Literal["genesis", "mujoco"]] = Field(min_length=1, default=["genesis", "mujoco"])
    """Physics engines."""

    @pydantic.field_validator("conditions")
    @classmethod
    def _leaves_nominal_alone(
        cls, value: dict[str, DisturbanceConfig]
    ) -> dict[str, DisturbanceConfig]:
        if "nominal" in value:
            raise ValueError("`nominal` is the undisturbed drive; call the condition otherwise")
        return value


class CompareConfig(DrivingConfig):
    """`diffcar compare`."""

    methods: list[Method] = Field(min_length=1, default=list(METHODS))
    """What is compared."""
    seeds: list[Seed] = Field(min_length=1, default=[0, 1, 2])
    """Every method is trained or tuned once with each."""
    threshold: Positive = 0.02
    """Cross-track RMSE on the suite whose cost is told for each method [m]."""
    num_snapshots: Annotated[int, Field(ge=2, le=200)] = 30
    """Points on the learning curve of a training."""
    start: StartConfig = StartConfig()
    controller: ControllerConfig = ControllerConfig()
    loss: TrackingLoss = TrackingLoss()
    e2e: TrainConfig = TrainConfig(num_updates=300, decay_updates=300, gradient_check_interval=0)
    """Training through the physics, without checks of the gradient, which cost further drives."""
    ppo: PPOConfig = PPOConfig(num_updates=1200)
    """Reinforcement learning."""
    demonstrations: DemonstrationConfig = DemonstrationConfig()
    """Recordings of the experts."""
    bc: CloneConfig = CloneConfig(num_updates=80, dagger_rounds=3)
    """Behaviour cloning; passes are those of each round, and the rounds those of `dagger-e2e`."""
    tuning: TuningConfig = TuningConfig()
    suite: SuiteConfig = SuiteConfig()

    @pydantic.model_validator(mode="after")
    def _has_its_experts(self) -> "CompareConfig":
        needs_e2e = [name for name in self.methods if name.endswith("-e2e")]
        if needs_e2e and "e2e" not in self.methods:
            raise ValueError(f"{', '.join(needs_e2e)} cannot be had without the method e2e")
        if len(set(self.methods)) < len(self.methods) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a method or a seed is named twice")
        cut = self.e2e.truncation_length
        if cut is not None and cut > self.e2e.horizon:
            raise ValueError(
                f"e2e.truncation_length {cut} is longer than e2e.horizon {self.e2e.horizon}"
            )
        if "ppo" in self.methods and self.loss.time_indexed:
            raise ValueError("PPO has no reward for loss.time_indexed; leave the method ppo out")
        return self
