"""How engines order a car's generalised coordinates: the free base first, then hinges."""

import torch
from torch import Tensor

from diffcar.base.geometry import quaternion_from_yaw, rotate_into_body, yaw_from_quaternion
from diffcar.sim.contract import CarState, Placement

__all__ = ["describe_car", "rolling_coordinates"]


def rolling_coordinates(
    start: Placement,
    qpos: Tensor,
    velocity: Tensor,
    *,
    height: float,
    wheel_dofs: list[int],
    wheel_radius: float,
) -> tuple[Tensor, Tensor]:
    """Fill in generalised positions and velocities of cars whose wheels roll.

    Args:
        start: Where the cars are.
        qpos: Zeros, shape (B, 13).
        velocity: Zeros, shape (B, 12).
        height: Of the base's frame [m].
        wheel_dofs: Where the wheels are among the velocities.
        wheel_radius: Of all wheels [m].
    """
    qpos[:, :2] = start.position
    qpos[:, 2] = height
    qpos[:, 3:7] = quaternion_from_yaw(start.yaw)
    velocity[:, 0] = start.speed * torch.cos(start.yaw)
    velocity[:, 1] = start.speed * torch.sin(start.yaw)
    velocity[:, 5] = start.yaw_rate
    velocity[:, wheel_dofs] = (start.speed / wheel_radius)[:, None].to(velocity)
    return qpos, velocity


def describe_car(
    qpos: Tensor,
    velocity: Tensor,
    *,
    yaw_rate: Tensor,
    steering_dofs: list[int],
    driven_dofs: list[int],
) -> CarState:
    """Return what generalised positions and velocities mean for a car.

    Args:
        qpos: Shape (B, 13).
        velocity: Shape (B, 12).
        yaw_rate: About the vertical [rad/s], shape (B,).
        steering_dofs: Where the steering joints are among the velocities.
        driven_dofs: Where the driven wheels are.
    """
    yaw = yaw_from_quaternion(qpos[:, 3:7])
    forward, left = rotate_into_body(velocity[:, :2], yaw)
    return CarState(
        position=qpos[:, :2],
        yaw=yaw,
        speed=forward,
        lateral_velocity=left,
        yaw_rate=yaw_rate,
        # The position of a hinge is one further than its velocity: the base has a quaternion.
        steering_angles=torch.stack([qpos[:, dof + 1] for dof in steering_dofs], -1),
        wheel_speeds=torch.stack([velocity[:, dof] for dof in driven_dofs], -1),
        qpos=qpos,
        dofs_velocity=velocity,
    )
