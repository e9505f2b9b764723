"""What cars have in common wherever they roll: the order of their generalised coordinates."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from diffcar.base.geometry import constant, quaternion_from_yaw
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["RollingCar"]


class RollingCar(ABC):
    """Cars in an engine that orders coordinates by a free base, with a quaternion, then hinges."""

    vehicle: Vehicle
    variations: dict[str, Tensor]
    command_delay: Tensor | None = None
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
        steering = [dof + 1 for dof in self.steering_dofs]
        own = _Description.apply(qpos, velocity, steering, self.driven_dofs)
        position, yaw, speed, lateral, yaw_rate, angles, spins = own
        return CarState(position, yaw, speed, lateral, yaw_rate, angles, spins, qpos, velocity)


class _Description(Function):
    """What coordinates mean for a car, in one operation with its adjoint; once differentiable."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        qpos: Tensor,
        velocity: Tensor,
        steering: list[int],
        driven: list[int],
    ) -> tuple[Tensor, ...]:
        at, rate = qpos.unbind(-1), velocity.unbind(-1)
        w, x, y, z = at[3:7]
        # Sine and cosine of the heading of the rotated x axis, seen from above, times a length: a
        # quaternion whose norm drifts from one does not turn it.
        sine = torch.addcmul(w * z, x, y)
        cosine = torch.addcmul(w * w, x, x)
        cosine = torch.addcmul(torch.addcmul(cosine, y, y, value=-1), z, z, value=-1) / 2
        yaw = torch.atan2(sine, cosine)
        cos, sin = torch.cos(yaw), torch.sin(yaw)
        speed = torch.addcmul(cos * rate[0], sin, rate[1])
        lateral = torch.addcmul(cos * rate[1], sin, rate[0], value=-1)
        ctx.save_for_backward(qpos, velocity, sine, cosine, cos, sin, speed, lateral)
        ctx.columns = steering, driven
        position = torch.stack(at[:2], -1)
        angles = torch.stack([at[column] for column in steering], -1)
        spins = torch.stack([rate[column] for column in driven], -1)
        return position, yaw, speed, lateral, rate[5].clone(), angles, spins

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        by_position, by_yaw, by_speed, by_lateral, by_yaw_rate, by_angles, by_spins = gradients
        qpos, velocity, sine, cosine, cos, sin, speed, lateral = ctx.saved_tensors
        steering, driven = ctx.columns
        nothing = torch.zeros_like(sine)
        at, rate = [nothing] * qpos.shape[-1], [nothing] * velocity.shape[-1]
        at[:2] = by_position.unbind(-1)
        by_yaw = torch.addcmul(
            torch.addcmul(by_yaw, by_speed, lateral), by_lateral, speed, value=-1
        )
        by_yaw = by_yaw / torch.addcmul(sine * sine, cosine, cosine)
        quaternion = qpos[:, 3:7]
        signed = quaternion * constant((-1.0, -1.0, 1.0, 1.0), qpos.dtype, qpos.device)
        by_quaternion = (by_yaw * cosine)[:, None] * quaternion.flip(-1)
        by_quaternion = torch.addcmul(by_quaternion, (by_yaw * sine)[:, None], signed)
        at[3:7] = by_quaternion.unbind(-1)
        rate[0] = torch.addcmul(by_speed * cos, by_lateral, sin, value=-1)
        rate[1] = torch.addcmul(by_speed * sin, by_lateral, cos)
        rate[5] = by_yaw_rate
        for column, gradient in zip(steering, by_angles.unbind(-1), strict=True):
            at[column] = gradient
        for column, gradient in zip(driven, by_spins.unbind(-1), strict=True):
            rate[column] = gradient
        return torch.stack(at, -1), torch.stack(rate, -1), None, None
