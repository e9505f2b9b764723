"""The schema of `diffcar check-grad`."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from diffcar.config.schema import (
    ControllerConfig,
    Count,
    PathConfig,
    Positive,
    SceneConfig,
    Section,
)

__all__ = ["CertificateConfig", "CheckGradConfig", "DirectionsConfig"]

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

    horizons: Annotated[list[Count], Field(min_length=1)] = Field(default=[1, 10, 100, 500])
    """Control steps of the rollouts."""
    num_directions: DirectionsConfig = DirectionsConfig()
    step_sizes: Annotated[list[Positive], Field(min_length=2)] | None = None
    """Perturbations tried along each direction; null takes some that suit the precision."""
    tolerance: Positive | None = None
    """Largest relative error of a rolling car that certifies; null takes 1e-6 in float64 and
    1e-2 in float32."""


class CheckGradConfig(SceneConfig):
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
        if self.entity == "mpm" and (self.wheels or self.model):
            raise ValueError("wheels and model belong to the entity rigid")
        return self
