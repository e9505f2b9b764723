"""The configuration of `diffcar compare`."""

from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from diffcar.base.errors import CheckpointError, did_you_mean
from diffcar.base.files import is_there, near_runs
from diffcar.base.registry import Registry, is_own
from diffcar.base.section import Follows, Positive, Section, Seed
from diffcar.controllers.classical import CLASSICAL
from diffcar.controllers.config import CONTROLLERS, ControllerConfig
from diffcar.demonstrations.config import DemonstrationConfig, require_recordable
from diffcar.losses import TrackingLoss
from diffcar.path.config import PathConfig
from diffcar.sim.config import EngineName
from diffcar.tasks.tracking.config import DisturbanceConfig, DrivingConfig, StartConfig, TrainConfig
from diffcar.training.bc.config import CloneConfig
from diffcar.training.config import TuningConfig
from diffcar.training.methods import METHODS, is_method
from diffcar.training.ppo.config import PPOConfig

__all__ = ["CONFIG_FILE", "SUITES", "CompareConfig", "SuiteConfig", "settings_file"]

SUITES: Registry[Path] = Registry(
    "suite",
    {"limit": Path("configs/compare_limit.yaml"), "robust": Path("configs/compare_robust.yaml")},
    nor=", and there is no such file",
    known="shipped are",
)
"""Shipped settings of whole comparisons, by what their suite is about."""

_COMPARED = [
    *(name for name, method in METHODS.items() if method.is_compared),
    *(name for name, method in CLASSICAL.items() if method.by_default),
]
_KNOWN = list(dict.fromkeys([*_COMPARED, *CLASSICAL]))


CONFIG_FILE = "compare.yaml"
"""The settings of a comparison, in its folder."""


def settings_file(folder: Path) -> Path:
    """Return the settings of a comparison that was begun in a folder.

    Raises:
        CheckpointError: If none was.
    """
    file = folder / CONFIG_FILE
    if not is_there(str(file), Path.is_file):
        near = [] if is_there(str(folder)) else near_runs(str(folder), sign=CONFIG_FILE)
        raise CheckpointError(
            f"{str(folder)!r} is not the folder of a comparison: it has no {CONFIG_FILE}",
            hint=f"{did_you_mean(near)}give the folder that an earlier `diffcar compare` printed",
        )
    return file


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
    engines: list[EngineName] = Field(min_length=1, default=["genesis", "mujoco"])
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

    methods: list[str] = Field(min_length=1, default=_COMPARED)
    """What is compared: methods of training, and classical controllers, which are tuned."""
    seeds: list[Seed] = Field(min_length=1, default=[0, 1, 2])
    """Every method is trained or tuned once with each."""
    threshold: Annotated[Positive, Follows("length")] = 0.02
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

    @property
    def ranked_grip(self) -> float | None:
        """The grip that methods are ranked at where the suite's paths have several; None otherwise.

        It is that of the training path, or the nearest to it.
        """
        grips = {path.grip for path in self.suite.paths if path.grip is not None}
        trained_at = self.path.grip or 1.0
        return min(grips, key=lambda grip: abs(grip - trained_at)) if len(grips) > 1 else None

    @pydantic.field_validator("methods")
    @classmethod
    def _are_known(cls, values: list[str]) -> list[str]:
        for name in values:
            if name not in _KNOWN and name not in CONTROLLERS and not is_own(name):
                raise ValueError(
                    f"{name!r} is none of {', '.join(_KNOWN)}, nor package.module:METHOD"
                )
        return values

    _is_recordable = pydantic.model_validator(mode="after")(require_recordable)

    @pydantic.field_validator("e2e")
    @classmethod
    def _has_its_updates(cls, own: TrainConfig) -> TrainConfig:
        if own.num_updates is None:
            raise ValueError("num_updates must be a number: no method ends by its own judgement")
        return own

    @pydantic.model_validator(mode="after")
    def _has_its_experts(self) -> "CompareConfig":
        for how in (METHODS[name] for name in self.methods if is_method(name)):
            if how.expert in METHODS and how.expert not in self.methods:
                raise ValueError(f"{how.name} cannot be had without the method {how.expert}")
            if how.section not in type(self).model_fields:
                raise ValueError(f"{how.name} has no section {how.section!r} in a comparison")
        if len(set(self.methods)) < len(self.methods) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a method or a seed is named twice")
        return self
