"""The schemas of `diffcar check-car` and `diffcar check-grad`."""

import itertools
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from diffcar.base.section import Positive, Section, Tolerance
from diffcar.controllers.config import ControllerConfig
from diffcar.path.config import PathConfig
from diffcar.sim.config import CarConfig
from diffcar.tasks.tracking.config import DrivingConfig

__all__ = ["CertificateConfig", "CheckCarConfig", "CheckGradConfig", "DirectionsConfig"]

_SMALLEST_STEP = 1e-12
_MAX_CAR_STEPS = 2_000_000

Horizon = Annotated[int, Field(ge=1, le=100_000)]
NumDirections = Annotated[int, Field(ge=0, le=1000)]


class DirectionsConfig(Section):
    """Directions a horizon, in each kind of parameter: actions, initial state, network weights."""

    rolling: Annotated[int, Field(ge=1, le=1000)] = 22
    """Cars that steer and accelerate within the grip of their tyres: what training does."""
    sliding: NumDirections = 4
    """Cars that come sideways onto a road with a twentieth of the friction."""
    airborne: NumDirections = 4
    """Cars in free fall."""


class CertificateConfig(Section):
    """Where and how closely gradients are compared with finite differences."""

    horizons: Annotated[list[Horizon], Field(min_length=1)] = Field(default=[1, 10, 100, 500])
    """Control steps of the rollouts."""
    num_directions: DirectionsConfig = DirectionsConfig()
    step_sizes: Annotated[list[Positive], Field(min_length=2)] | None = None
    """Perturbations tried along each direction, descending; null takes some that suit the
    precision."""
    tolerance: Tolerance | None = None
    """Largest relative error of a rolling car that certifies; null takes 1e-6 in float64, 1e-4
    for wheels that are cylinders or capsules, and 1e-2 in float32."""

    @pydantic.field_validator("horizons")
    @classmethod
    def _are_different(cls, values: list[int]) -> list[int]:
        if len(set(values)) != len(values):
            raise ValueError("each horizon can be asked for once")
        return values

    @pydantic.field_validator("step_sizes")
    @classmethod
    def _descend(cls, values: list[float] | None) -> list[float] | None:
        pairs = itertools.pairwise(values or [])
        if any(fine < _SMALLEST_STEP or fine > 0.9 * coarse for coarse, fine in pairs):
            raise ValueError(f"step sizes must descend, and not below {_SMALLEST_STEP}")
        return values

    @pydantic.model_validator(mode="after")
    def _is_affordable(self) -> "CertificateConfig":
        num_cars = 3 * sum(self.num_directions.model_dump().values())
        if num_cars * max(self.horizons) > _MAX_CAR_STEPS:
            raise ValueError(
                f"{num_cars} cars (three kinds of directions) over {max(self.horizons)} steps are "
                f"more than {_MAX_CAR_STEPS} car steps a rollout"
            )
        return self


class CheckCarConfig(CarConfig):
    """`diffcar check-car`."""

    precision: Literal[32, 64] = 64
    """Bits of a floating-point number in the simulator and around it."""
    certify: bool = False
    """Whether to prove the car's gradient, too."""


class CheckGradConfig(DrivingConfig):
    """`diffcar check-grad`."""

    precision: Literal[32, 64] = 64
    """Bits of a floating-point number; 32 shows what single precision costs."""
    entity: Literal["rigid", "mpm"] = "rigid"
    """The car, or an elastic body of material points."""
    path: PathConfig = PathConfig(source="line")
    controller: ControllerConfig = ControllerConfig()
    certificate: CertificateConfig = CertificateConfig()
    wheels: bool = False
    """Whether to compare six shapes of wheels, too."""
    repairs: bool = True
    """Whether diffcar's repairs of Genesis are in place."""

    @pydantic.model_validator(mode="after")
    def _fits_the_entity(self) -> "CheckGradConfig":
        if self.wheels and self.precision != 64:
            raise ValueError("wheels are compared in float64 only: precision must be 64")
        if self.entity == "mpm":
            if self.precision != 64:
                raise ValueError("the entity mpm is compared in float64 only: precision must be 64")
            own = ("entity", "seed", "backend", "precision")
            changed = [
                name
                for name, field in type(self).model_fields.items()
                if name not in own and getattr(self, name) != field.get_default()
            ]
            if changed:
                raise ValueError(f"only for the entity rigid: {', '.join(changed)}")
        return self
