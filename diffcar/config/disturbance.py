"""Settings of what a controller is disturbed by; the defaults disturb nothing."""

from typing import Annotated

from pydantic import Field

from diffcar.config.schema import NonNegative, Positive, Section

__all__ = ["DisturbanceConfig"]


class DisturbanceConfig(Section):
    """What the car and its sensors suffer that the controller was not told of."""

    push_force: NonNegative = 0.0
    """Size of pushes to a random side of the car [N]; 0 for none."""
    push_duration: Positive = 0.2
    """How long a push lasts [s]."""
    push_interval: Positive = 2.0
    """Mean time from one push to the next [s]; each is drawn between half and one and a half."""
    mass_ratio: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """Factor on the mass and inertia of all bodies of the car."""
    friction_ratio: Annotated[float, Field(ge=0.01, le=10)] = 1.0
    """Factor on the friction between wheels and road."""
    delay_steps: Annotated[int, Field(ge=0, le=100)] = 0
    """Control steps from a command to its effect."""
    position_noise: NonNegative = 0.0
    """Standard deviation of the measured x and y [m], white."""
    yaw_noise: NonNegative = 0.0
    """Standard deviation of the measured heading [rad], white."""
    speed_noise: NonNegative = 0.0
    """Standard deviation of the measured speed [m/s], white."""
    yaw_rate_noise: NonNegative = 0.0
    """Standard deviation of the measured rate of turn [rad/s], white."""
