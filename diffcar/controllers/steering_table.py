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
        speeds: At which they were measured [m/s], increasing, shape (S,).
        angles: Of the steering [rad], increasing from 0, shape (A,).
        accelerations: What they came to [m/s²], shape (S, A).
    """

    speeds: Tensor
    angles: Tensor
    accelerations: Tensor

    def angle(self, speed: Tensor, acceleration: Tensor) -> Tensor:
        """Return the steering angles [rad] for leftward accelerations [m/s²], both of shape (B,).

        Between speeds, the curvature is interpolated, which speed changes little as long as tyres
        hold; beyond the speeds that were measured it is that of the nearest. Who asks for more than
        tyres hold gets the angle at which they hold the most.
        """
        speeds, angles, accelerations = (
            own.to(speed) for own in (self.speeds, self.angles, self.accelerations)
        )
        curvatures = accelerations / speeds[:, None] ** 2
        above = torch.searchsorted(speeds, speed.detach().contiguous()).clamp(1, len(speeds) - 1)
        share = (speed - speeds[above - 1]) / (speeds[above] - speeds[above - 1])
        own = torch.lerp(curvatures[above - 1], curvatures[above], share.clamp(0, 1)[:, None])
        rising = own.cummax(-1).values
        wanted = torch.minimum(acceleration.abs() / speed**2, _NEARLY_ALL * rising[:, -1])[:, None]
        upper = torch.searchsorted(rising, wanted).clamp(1, len(angles) - 1)
        low, high = rising.gather(1, upper - 1), rising.gather(1, upper)
        part = ((wanted - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)[:, 0]
        size = torch.lerp(angles[upper[:, 0] - 1], angles[upper[:, 0]], part)
        return torch.sign(acceleration) * size


def read_steering(vehicle: Vehicle) -> SteeringTable:
    """Return what is known of a car's steering: the mean of the engines that it was measured in.

    Raises:
        ModelError: If it was not measured, or the file is damaged.
    """
    own = STEERING.read(vehicle)
    columns = own.speeds, own.others, own.values.mean(0)
    return SteeringTable(*(torch.from_numpy(column) for column in columns))
