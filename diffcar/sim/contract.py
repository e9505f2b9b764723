"""The contract of a car in any physics engine, and the state it reports."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffcar.sim.model.vehicle import Vehicle

__all__ = ["CarScene", "CarState", "StartState"]


@dataclass(frozen=True)
class StartState:
    """Where cars begin; every field has shape (B,) or (B, 2)."""

    position: Tensor
    """World x, y of the base's frame [m], shape (B, 2)."""
    yaw: Tensor
    """Heading [rad], shape (B,)."""
    speed: Tensor
    """Forward speed [m/s], wheels rolling, shape (B,)."""
    yaw_rate: Tensor
    """Rate of turn [rad/s], shape (B,)."""


@dataclass(frozen=True)
class CarState:
    """What a car reports after a step."""

    position: Tensor
    """World x, y of the base's frame [m], shape (B, 2)."""
    yaw: Tensor
    """Heading [rad], not continuous across pi, shape (B,)."""
    speed: Tensor
    """Velocity along the car's x axis [m/s], shape (B,)."""
    lateral_velocity: Tensor
    """Velocity along the car's y axis [m/s], + left, shape (B,)."""
    yaw_rate: Tensor
    """Rate of turn about the vertical [rad/s], shape (B,)."""
    steering_angles: Tensor
    """Left and right steering joints [rad], shape (B, 2)."""
    wheel_speeds: Tensor
    """Left and right driven wheels [rad/s], shape (B, 2)."""
    qpos: Tensor
    """All generalised positions as the engine orders them, shape (B, 13)."""
    dofs_velocity: Tensor
    """All generalised velocities as the engine orders them, shape (B, 12)."""


class CarScene(Protocol):
    """Parallel cars on a plane."""

    num_envs: int
    """Number of cars."""
    dt: float
    """Time that `step` advances [s]."""
    dtype: torch.dtype
    """Precision of the states."""
    device: torch.device
    """Where the states lie."""
    vehicle: Vehicle
    """The cars' parameters, before any ratio."""
    friction_ratio: Tensor | None
    """Factor on the friction of each car's road and wheels, shape (B,), from the next placement on;
    None is one."""
    mass_ratio: Tensor | None
    """Factor on the mass and inertia of each car's bodies, shape (B,), from the next placement on;
    None is one."""

    def reset(self, start: StartState) -> None:
        """Place the cars; a differentiable scene begins a new graph."""

    def resume(self, state: CarState) -> None:
        """Continue from a state read earlier; a differentiable scene begins a new graph."""

    def read(self) -> CarState:
        """Return the present state, on the graph where the scene is differentiable."""

    def apply(self, action: Tensor) -> None:
        """Command steering angle [rad] and speed [m/s], shape (B, 2), for the next step."""

    def push(self, force: Tensor) -> None:
        """Push each base at its centre of mass during the next step; several pushes add up.

        Args:
            force: World x, y components [N], shape (B, 2).
        """

    def step(self) -> None:
        """Advance all cars by `dt`."""
