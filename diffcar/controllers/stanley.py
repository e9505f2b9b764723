"""The Stanley controller, the tracker of the 2005 DARPA Grand Challenge winner."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from diffcar.base.geometry import wrap_angle
from diffcar.controllers.errors import ErrorState
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["Stanley"]


@dataclass(eq=False)
class Stanley:
    """Steers the front axle by heading error and cross-track error, with yaw damping.

    Steering = -(heading error - its steady value) - atan(k e / (k_soft + v)) + k_yaw (path's yaw
    rate - the car's), with all errors taken at the front axle. The steady heading error of a car in
    a curve is that of the tyres' slip, k_slip · v · path's yaw rate.

    The defaults are tuned for the shipped car by `benchmarks/tune_classical.py`. All parameters are
    for a car of its size; of another one times and speeds grow with the root of `Vehicle.size`.

    Args:
        gain: Pull towards the path, k [1/s].
        softening: Keeps the pull finite at low speed, k_soft [m/s].
        yaw_damping: k_yaw [s].
        slip_gain: k_slip [s²/m].
        speed_lead: How far ahead the reference speed is taken, in time at present speed [s].

    Source:
        G. M. Hoffmann, C. J. Tomlin, M. Montemerlo and S. Thrun, "Autonomous Automobile Trajectory
        Tracking for Off-Road Driving", ACC 2007, equations 5 and 9 to 11, with errors of the sign
        of this project (car minus path).
    """

    SEARCH: ClassVar = {
        "gain": (0.2, 8.0),
        "softening": (0.1, 8.0),
        "yaw_damping": (0.0, 0.04),
        "slip_gain": (0.0, 0.01),
        "speed_lead": (0.0, 0.3),
    }
    """Range of each parameter that tuning searches."""

    vehicle: Vehicle
    _: KW_ONLY
    gain: float = 1.0
    softening: float = 1.5
    yaw_damping: float = 0.01
    slip_gain: float = 0.003
    speed_lead: float = 0.1

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        vehicle = self.vehicle
        forward = torch.stack([torch.cos(state.yaw), torch.sin(state.yaw)], dim=-1)
        front_axle_x = vehicle.wheelbase + vehicle.rear_axle_x
        front_axle = state.position + front_axle_x * forward
        nearest = errors.path.nearest(front_axle, errors.arc_length + front_axle_x)
        speed, root = state.speed.clamp_min(0.0), vehicle.root_size
        path_yaw_rate = speed * nearest.curvature
        heading_error = wrap_angle(state.yaw - nearest.heading)
        steering = (
            self.slip_gain * speed * path_yaw_rate
            - heading_error
            - torch.atan(self.gain / root * nearest.cross_track / (self.softening * root + speed))
            + self.yaw_damping * root * (path_yaw_rate - state.yaw_rate)
        )
        target_speed = errors.path.sample(errors.arc_length + self.speed_lead * root * speed).speed
        return torch.stack(
            [steering.clamp(-vehicle.max_steering, vehicle.max_steering), target_speed], -1
        )
