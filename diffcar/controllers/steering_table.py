"""How a car turns by its steering, as it was measured: from a lateral acceleration to an angle."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.sim.model.measured import Measurement
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["STEERING", "SteeringTable", "read_steering"]

STEERING = Measurement(
    "steering", ("speed_mps", "steering_rad", "lateral_acceleration_mps2"), least=-1.0
)
"""Lateral accelerations of steady turns, kept in files beside models."""

# Tyres that slide hold about the same at all angles; the smallest one that has this share is taken.
_NEARLY_ALL = 0.99


@dataclass(frozen=True, eq=False)
class SteeringTable:
    """Lateral accelerations of steady turns, by speed and steering angle.

    Args:
        wheelbase: Of the car [m].
        speeds: At which they were measured [m/s], increasing, shape (S,).
        angles: Of the steering [rad], increasing from 0, shape (A,).
        accelerations: What they came to [m/s²], shape (S, A).
    """

    wheelbase: float
    speeds: Tensor
    angles: Tensor
    accelerations: Tensor

    def angle(self, speed: Tensor, acceleration: Tensor) -> Tensor:
        """Return the steering angles [rad] for leftward accelerations [m/s²], both of shape (B,).

        Between speeds, what is interpolated is by how much the angle exceeds that of wheels which
        roll without slip, for tyres give way by the force that they hold; beyond the speeds that
        were measured it is that of the nearest. Who asks for more than tyres hold gets the angle at
        which they hold the most.
        """
        speeds, angles, accelerations = (
            own.to(speed) for own in (self.speeds, self.angles, self.accelerations)
        )
        rising = accelerations.cummax(-1).values
        last = torch.searchsorted(rising, _NEARLY_ALL * rising[:, -1:])
        most = rising.gather(1, last)[:, 0]
        # Where the steering ends before the grip, the grip is that of other speeds.
        grip = most.where(last[:, 0] < len(angles) - 1, most.max())
        above = torch.searchsorted(speeds, speed.detach().contiguous()).clamp(1, len(speeds) - 1)
        rows = torch.stack([above - 1, above])
        share = ((speed - speeds[rows[0]]) / (speeds[rows[1]] - speeds[rows[0]])).clamp(0, 1)
        wanted = torch.minimum(acceleration.abs(), torch.lerp(grip[rows[0]], grip[rows[1]], share))
        asked = torch.minimum(wanted, most[rows])[..., None]
        upper = torch.searchsorted(rising[rows], asked).clamp(1, len(angles) - 1)
        low, high = (rising[rows].gather(-1, index) for index in (upper - 1, upper))
        part = (asked - low) / (high - low).clamp_min(1e-9)
        own = torch.lerp(angles[upper - 1], angles[upper], part)[..., 0]
        slip = own - torch.atan(self.wheelbase * asked[..., 0] / speeds[rows] ** 2)
        size = torch.atan(self.wheelbase * wanted / speed**2) + torch.lerp(slip[0], slip[1], share)
        return torch.sign(acceleration) * torch.minimum(size.clamp_min(0), angles[-1])


def read_steering(vehicle: Vehicle) -> SteeringTable:
    """Return what is known of a car's steering: the mean of the engines that it was measured in.

    Raises:
        ModelError: If it was not measured, or the file is damaged.
    """
    own = STEERING.read(vehicle)
    columns = own.speeds, own.others, own.values.mean(0)
    return SteeringTable(vehicle.wheelbase, *(torch.from_numpy(column) for column in columns))
