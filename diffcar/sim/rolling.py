"""What cars have in common wherever they roll: the order of their generalised coordinates."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from diffcar.base.geometry import quaternion_from_yaw, rotate_into_body, yaw_from_quaternion
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["RollingCar"]


class RollingCar(ABC):
    """Cars in an engine that orders coordinates by a free base, with a quaternion, then hinges."""

    vehicle: Vehicle
    variations: dict[str, Tensor]
    device: torch.device
    rest_height: float
    """Of the base's frame of a car that stands [m]."""
    steering_dofs: list[int]
    """Where the steering joints are among the velocities; among the positions one further."""
    wheel_dofs: list[int]
    """Where the four wheels are."""
    driven_dofs: list[int]
    """Where the driven wheels are."""

    @abstractmethod
    def _dof(self, joint: str) -> int:
        """Return where a named hinge is among the velocities."""

    def _find_joints(self, vehicle: Vehicle) -> None:
        """Take over what all cars are, and find its joints."""
        self.vehicle = vehicle
        self.rest_height = vehicle.base_height
        self.variations = {}
        self.steering_dofs = list(map(self._dof, vehicle.steering_joints))
        self.wheel_dofs = list(map(self._dof, vehicle.wheel_joints))
        self.driven_dofs = list(map(self._dof, vehicle.driven_joints))

    def rolling(self, start: Placement, qpos: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """Fill in zeros, shapes (B, 13) and (B, 12), what cars have whose wheels roll."""
        qpos[:, :2] = start.position
        qpos[:, 2] = self.rest_height
        qpos[:, 3:7] = quaternion_from_yaw(start.yaw)
        velocity[:, 0] = start.speed * torch.cos(start.yaw)
        velocity[:, 1] = start.speed * torch.sin(start.yaw)
        velocity[:, 5] = start.yaw_rate
        spin = start.speed / self.vehicle.wheel_radius
        velocity[:, self.wheel_dofs] = spin[:, None].to(velocity)
        return qpos, velocity

    def describe(self, qpos: Tensor, velocity: Tensor) -> CarState:
        """Return what generalised positions and velocities mean for a car."""
        yaw = yaw_from_quaternion(qpos[:, 3:7])
        forward, left = rotate_into_body(velocity[:, :2], yaw)
        return CarState(
            position=qpos[:, :2],
            yaw=yaw,
            speed=forward,
            lateral_velocity=left,
            yaw_rate=self._yaw_rate(qpos, velocity),
            steering_angles=torch.stack([qpos[:, dof + 1] for dof in self.steering_dofs], -1),
            wheel_speeds=torch.stack([velocity[:, dof] for dof in self.driven_dofs], -1),
            qpos=qpos,
            dofs_velocity=velocity,
        )

    def _yaw_rate(self, qpos: Tensor, velocity: Tensor) -> Tensor:
        """Return the rate of turn [rad/s], shape (B,)."""
        return velocity[:, 5]
