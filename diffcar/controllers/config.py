"""The settings of the tracking network."""

from typing import Annotated

from pydantic import Field

from diffcar.base.config import Count, NonNegative, Section

__all__ = ["ControllerConfig"]


class ControllerConfig(Section):
    """The network and what it observes."""

    hidden_sizes: Annotated[list[Count], Field(min_length=1, max_length=8)] = Field(
        default=[64, 64]
    )
    """Width of each hidden layer."""
    curvature_preview: Annotated[list[NonNegative], Field(min_length=1)] = Field(
        default=[0.0, 0.1, 0.2, 0.35, 0.55, 0.8]
    )
    """Distances ahead at which the path's curvature is observed [m]."""
    speed_preview: Annotated[list[NonNegative], Field(min_length=1)] = Field(default=[0.15, 0.4])
    """Distances ahead at which the reference speed is observed [m]."""
