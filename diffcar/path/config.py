"""The settings of a reference path."""

from diffcar.base.config import Positive, Section, Seed

__all__ = ["PathConfig"]


class PathConfig(Section):
    """The reference path and the speed to drive it with."""

    source: str = "random"
    """Name of a built-in path or a CSV file."""
    scale: Positive = 1.0
    """Factor on all coordinates of a file; 0.1 turns a race track into one for a 1:10 car."""
    closed: bool | None = None
    """Whether a file's path is a loop; null decides by the gap between its ends."""
    seed: Seed | None = None
    """Seed of the built-in path `random`; null takes the run's."""
    top_speed: Positive = 3.0
    """Upper limit of the reference speed [m/s]."""
    lateral_acceleration: Positive = 4.0
    """Limit on speed² times curvature along the path [m/s²]."""
    longitudinal_acceleration: Positive = 3.0
    """Limit on speeding up and braking along the path [m/s²]."""
