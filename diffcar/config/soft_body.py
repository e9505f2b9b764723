"""The configuration of a soft body that a tool pushes."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from diffcar.config.schema import Count, EngineConfig, NonNegative, Positive

__all__ = ["SoftBodyConfig"]


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
