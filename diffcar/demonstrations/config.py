"""The schema of `diffcar record`."""

import math
from typing import Annotated, Protocol, TypeVar

import pydantic
from pydantic import Field

from diffcar.base.section import Duration, Follows, NonNegative, Section
from diffcar.controllers.config import ControllerConfig
from diffcar.tasks.tracking.config import DrivingConfig, StartConfig

__all__ = ["DemonstrationConfig", "RecordConfig", "require_recordable"]

# What some 5 GB hold.
_MAX_ROWS = 10_000_000


class DemonstrationConfig(Section):
    """How much is recorded, and how the driver is disturbed so that recoveries are shown.

    Source:
        M. Laskey, J. Lee, R. Fox, A. Dragan and K. Goldberg, "DART: Noise Injection for Robust
        Imitation Learning", CoRL 2017: the noise is executed, what is recorded is the action
        without it.
    """

    num_episodes: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Cars that drive in parallel, each for one episode."""
    duration: Annotated[float, Field(gt=0, le=3600), Follows("time")] = 8.0
    """Simulated time of an episode [s]."""
    noisy_fraction: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Share of the episodes whose commands are disturbed."""
    steering_noise: NonNegative = 0.1
    """Standard deviation of the disturbance of the steering angle [rad]."""
    speed_noise: Annotated[NonNegative, Follows("speed")] = 0.2
    """Standard deviation of the disturbance of the commanded speed [m/s]."""
    noise_time: Annotated[Duration, Follows("time")] = 0.2
    """Time in which a disturbance is forgotten to 1/e [s]."""


class _Recording(Protocol):
    """Settings with which something is recorded."""

    dt: float
    demonstrations: DemonstrationConfig
    controller: ControllerConfig


RecordingT = TypeVar("RecordingT", bound=_Recording)


def require_recordable(config: RecordingT) -> RecordingT:
    """Refuse more rows than memory may hold, and what logs lack, as a validator of a schema.

    Raises:
        ValueError: If there are too many, or past commands are to be observed.
    """
    if config.controller.past_commands:
        raise ValueError("past_commands must be 0 where networks may learn from recordings")
    own = config.demonstrations
    num_rows = own.num_episodes * math.ceil(own.duration / config.dt)
    if num_rows > _MAX_ROWS:
        raise ValueError(
            f"demonstrations.num_episodes {own.num_episodes} of demonstrations.duration "
            f"{own.duration:g} s at dt {config.dt:g} s are {num_rows} rows; "
            f"up to {_MAX_ROWS} can be recorded"
        )
    return config


class RecordConfig(DrivingConfig):
    """`diffcar record`."""

    expert: str = "pure-pursuit"
    """Who drives: a run folder, a checkpoint, or a name that `--help` lists."""
    start: StartConfig = StartConfig()
    controller: ControllerConfig = ControllerConfig()
    """Of the network that is to learn from the recording: what it observes is recorded."""
    demonstrations: DemonstrationConfig = DemonstrationConfig()

    _is_recordable = pydantic.model_validator(mode="after")(require_recordable)
