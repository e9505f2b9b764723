"""The settings of every simulated scene."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

import pydantic
from pydantic import Field

from diffcar.base.registry import Registry
from diffcar.base.section import Count, Follows, NonNegative, Positive, Section, Seed

if TYPE_CHECKING:
    from diffcar.sim.build import Engine

__all__ = [
    "ENGINES",
    "ArmConfig",
    "CarConfig",
    "CarReadingConfig",
    "DrivenWheels",
    "EngineConfig",
    "EngineName",
    "SoftBodyConfig",
]

DrivenWheels = Literal["rear", "front", "all"]

EngineName = Literal["genesis", "mujoco"]

ENGINES: "Registry[Engine]" = Registry(
    "engine", {name: f"diffcar.sim.build:{name.upper()}" for name in get_args(EngineName)}
)
"""What can simulate."""


class EngineConfig(Section):
    """How Genesis runs, whatever is simulated."""

    seed: Seed = 0
    """Seed of everything random in the run."""
    backend: Literal["cpu", "gpu", "auto"] = "cpu"
    """Where Genesis runs; `auto` takes a GPU if there is one."""
    precision: Literal[32, 64] = 32
    """Bits of a floating-point number in the simulator and around it."""
    compiled_fields: bool = False
    """Genesis's performance mode: quicker steps, but kernels of its own for each number of cars."""
    dt: Annotated[float, Field(gt=0, le=0.1)] = 0.02
    """Control interval [s]."""
    substeps: Annotated[int, Field(ge=1, le=100)] = 1
    """Physics steps in a control interval."""
    verbose: bool = Field(default=False, exclude=True)
    """Whether Genesis may log to the terminal; no part of what a run is."""
    viewer: bool = Field(default=False, exclude=True)
    """Whether Genesis shows its first scene in a window; no part of what a run is."""

    @pydantic.field_validator("dt")
    @classmethod
    def _is_long_enough(cls, value: float) -> float:
        if value < 1e-4:
            raise ValueError("a control interval below 1e-4 s is not simulated usefully")
        return value


class CarReadingConfig(Section):
    """How a car is read that is not written as diffcar writes its own."""

    steering_joints: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    """Its two steering joints; null finds them by where they are."""
    wheel_joints: Annotated[list[str], Field(min_length=4, max_length=4)] | None = None
    """Its four wheel joints; null finds them by where they are."""
    wheels: Literal["spheres", "as-is"] = "spheres"
    """`spheres`: each wheel collides as a sphere of its radius, nothing else of the car collides,
    and all keeps its looks; `as-is`: what collides in the file does."""

    @pydantic.field_validator("steering_joints", "wheel_joints", mode="before")
    @classmethod
    def _split(cls, value: object, info: pydantic.ValidationInfo) -> object:
        """Take names with commas between them for a list."""
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
        wanted = 2 if info.field_name == "steering_joints" else 4
        if isinstance(names, list) and len(names) != wanted:
            raise ValueError(f"a car has {wanted} of them, and {len(names)} are named")
        return names


class CarConfig(EngineConfig):
    """The car and how it is driven."""

    dt: Annotated[float, Field(gt=0, le=0.1), Follows("control interval")] = 0.02
    """Control interval [s]."""
    model: str | None = None
    """MJCF or URDF file of the car, or `car`, which has rear drive, `racer` or `buggy`, which have
    all-wheel drive, or `sedan`, which has its full size and front drive; null takes `car`."""
    car_reading: CarReadingConfig = CarReadingConfig()
    drive: DrivenWheels | None = None
    """Which wheels are driven, with the torque that all motors have together; null leaves it to the
    model's actuators."""
    torque_split: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The front wheels' share of the torque where `drive` is `all`."""

    @pydantic.model_validator(mode="after")
    def _says_nothing_in_vain(self) -> "CarConfig":
        if self.torque_split != 0.5 and self.drive != "all":
            raise ValueError("torque_split has no effect unless drive is `all`")
        reading = self.car_reading
        if self.model is None and (reading.steering_joints or reading.wheel_joints):
            raise ValueError("joints are named together with a `model` of one's own")
        return self

    actuation: Literal["torque", "pd"] = "torque"
    """`torque`: servo loops in torch; `pd`: Genesis's position and velocity servos."""


class ArmConfig(EngineConfig):
    """A Franka arm, from the model that comes with Genesis."""


class SoftBodyConfig(EngineConfig):
    """An elastic block of MPM particles on a plane, and a block-shaped tool."""

    dt: Annotated[float, Field(gt=0, le=0.1)] = 0.01
    """Control interval [s]."""
    substeps: Annotated[int, Field(ge=1, le=100)] = 5
    """Physics steps in a control interval."""
    material: Literal["elastic", "corotated", "muscle"] = "elastic"
    """`elastic`: neo-Hookean; `corotated`: Genesis's default elastic material; `muscle`: the
    neo-Hookean one with fibres that contract."""
    stiffness: Positive = 1e4
    """Young's modulus [Pa]; the substep must resolve the sound it carries through a grid cell."""
    density: Positive = 500.0
    """Mass over volume [kg/m³]."""
    body_size: Positive = 0.12
    """Edge of the body [m]."""
    particle_size: Positive = 0.02
    """Distance of the particles [m]."""
    grid_density: Positive = 24.0
    """Grid cells per metre."""
    tool_size: Positive = 0.12
    """Edge of the tool [m]; thinner than a grid cell it would slip between the nodes."""
    tool_friction: NonNegative = 0.5
    """Coefficient of friction between tool and body."""
    ground_friction: NonNegative = 0.5
    """Coefficient of friction between ground and body."""
    half_width: Positive = 0.5
    """The grid reaches this far to each side of the origin [m], three cells of which are margin."""
    num_muscles: Count = 2
    """Groups of fibres that are actuated together; of the material `muscle` alone."""

    @pydantic.model_validator(mode="after")
    def _fits_the_grid(self) -> "SoftBodyConfig":
        cell = 1.0 / self.grid_density
        if self.tool_size < cell:
            raise ValueError(f"tool_size {self.tool_size} m is thinner than a grid cell, {cell} m")
        if self.half_width < self.body_size / 2 + 3 * cell:
            raise ValueError(f"half_width {self.half_width} m leaves no room around the body")
        return self
