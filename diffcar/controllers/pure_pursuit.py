"""Pure pursuit, the classical geometric tracker."""

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from diffcar.base.geometry import rotate_into_body
from diffcar.controllers.errors import ErrorState
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["PurePursuit"]


@dataclass(eq=False)
class PurePursuit:
    """Steers the rear axle along an arc to a point ahead on the path.

    The defaults are tuned for the shipped car by `benchmarks/tune_classical.py`. All parameters are
    for a car of its size; of another one lengths grow with `Vehicle.size`, times with its root, the
    lookahead with that of `Vehicle.sluggishness`, too.

    Args:
        lookahead_time: Growth of the lookahead distance with speed [s].
        min_lookahead: Lookahead distance at rest [m].
        speed_lead: How far ahead the reference speed is taken, in time at present speed [s].

    Source:
        R. C. Coulter, "Implementation of the Pure Pursuit Path Tracking Algorithm", CMU
        RI-TR-92-01, 1992; the speed-dependent lookahead follows J. M. Snider, "Automatic Steering
        Methods for Autonomous Automobile Path Tracking", CMU-RI-TR-09-08, 2009, section 2.2.
    """

    SEARCH: ClassVar = {
        "lookahead_time": (0.02, 0.5),
        "min_lookahead": (0.0, 0.4),
        "speed_lead": (0.0, 0.3),
    }
    """Range of each parameter that tuning searches."""

    vehicle: Vehicle
    _: KW_ONLY
    lookahead_time: float = 0.12
    min_lookahead: float = 0.0
    speed_lead: float = 0.12

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        vehicle = self.vehicle
        forward = torch.stack([torch.cos(state.yaw), torch.sin(state.yaw)], dim=-1)
        rear_axle = state.position + vehicle.rear_axle_x * forward
        rear_arc_length = errors.arc_length + vehicle.rear_axle_x
        pace = vehicle.root_size * state.speed.clamp_min(0.0)
        further = math.sqrt(vehicle.sluggishness)  # or it would sway
        lookahead = vehicle.size * self.min_lookahead + further * self.lookahead_time * pace
        target = errors.path.sample(rear_arc_length + lookahead).position - rear_axle
        _, left = rotate_into_body(target, state.yaw)
        distance_squared = (target**2).sum(-1).clamp_min(1e-6)
        steering = torch.atan(2 * vehicle.wheelbase * left / distance_squared)
        ahead = errors.arc_length + self.speed_lead * pace
        speed = errors.path.sample(ahead).speed
        return torch.stack([steering.clamp(-vehicle.max_steering, vehicle.max_steering), speed], -1)
