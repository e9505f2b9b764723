"""Model- and acceleration-based pursuit, which autonomous racing cars are driven by."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from diffcar.base.geometry import wrap_angle
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.steering_table import read_steering
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["AccelerationPursuit"]

# The nearest that the point to steer for may be [m], and the slowest that a car counts as [m/s], of
# the shipped one's size.
_LEAST_LOOKAHEAD, _LEAST_SPEED = 0.2, 0.5


@dataclass(eq=False)
class AccelerationPursuit:
    """Steers by the lateral acceleration that leads along an arc to a point ahead on the path.

    The acceleration is 2 v² / L sin(eta), where L is the distance of a point of the path and eta
    its direction, seen from where the middle between the axles is going. Which steering angle gives
    it at that speed is looked up in what was measured of the car (see `read_steering`), so that the
    slip of its tyres is made up for.

    The defaults are for the shipped `racer` at 90 % of its grip, in MuJoCo: among the best three of
    `benchmarks/tune_classical.py` those with the longest lookahead, which hold long turns best.
    All parameters are for a car of that size; of another one lengths grow with `Vehicle.size`, and
    times with its root.

    Args:
        lookahead_offset: What is added to the lookahead distance [m].
        lookahead_time: Growth of the lookahead distance with speed [s].
        course_lead: How far ahead the direction of travel is taken, by the present rate of turn
            [s]; not of the source. Half a control interval makes up for an engine's velocities,
            which are those on the way to its positions.
        speed_lead: How far ahead the reference speed is taken, in time at present speed [s].

    Raises:
        ModelError: If the car's steering was not measured.

    Source:
        J. Becker, N. Imholz, L. Schwarzenbach, E. Ghignone, N. Baumann and M. Magno, "Model- and
        Acceleration-based Pursuit Controller for High-Performance Autonomous Racing", ICRA 2023,
        sections III-A to III-C; the guidance is that of S. Park, J. Deyst and J. P. How, "A New
        Nonlinear Guidance Logic for Trajectory Tracking", AIAA 2004-4900.
    """

    SEARCH: ClassVar = {
        "lookahead_offset": (-0.4, 0.4),
        "lookahead_time": (0.02, 0.5),
        "course_lead": (0.0, 0.03),
        "speed_lead": (0.0, 0.3),
    }
    """Range of each parameter that tuning searches."""

    vehicle: Vehicle
    _: KW_ONLY
    lookahead_offset: float = -0.1
    lookahead_time: float = 0.16
    course_lead: float = 0.01
    speed_lead: float = 0.07

    def __post_init__(self) -> None:
        self.table = read_steering(self.vehicle)

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        size, root = self.vehicle.size, self.vehicle.root_size
        speed, least = state.speed.clamp_min(_LEAST_SPEED * root), _LEAST_LOOKAHEAD * size
        lookahead = self.lookahead_offset * size + self.lookahead_time * root * speed
        lookahead = lookahead.clamp_min(least)
        target = errors.path.sample(errors.arc_length + lookahead).position - state.position
        course = state.yaw + torch.atan2(state.lateral_velocity, speed)
        course = course + self.course_lead * root * state.yaw_rate
        direction = wrap_angle(torch.atan2(target[:, 1], target[:, 0]) - course)
        # Who goes the other way turns as hard as who goes across.
        across = torch.sin(direction.clamp(-torch.pi / 2, torch.pi / 2))
        distance = target.norm(dim=-1).clamp_min(least)
        steering = self.table.angle(speed, 2 * speed**2 / distance * across)
        most = self.vehicle.max_steering
        ahead = errors.arc_length + self.speed_lead * root * speed
        return torch.stack([steering.clamp(-most, most), errors.path.sample(ahead).speed], -1)
