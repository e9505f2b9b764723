"""The contract of a scene in any physics engine, where cars begin, and the state they report."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from diffcar.sim.model.vehicle import Vehicle

__all__ = ["CarScene", "CarState", "Placement", "Scene", "Start", "map_tensors"]

RecordT = TypeVar("RecordT")
StateT = TypeVar("StateT", covariant=True)


def map_tensors(record: RecordT, change: Callable[[Tensor], Tensor]) -> RecordT:
    """Return a dataclass with each tensor that is a field of it changed."""
    values: dict[str, object] = vars(record)
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    return replace(record, **{name: change(own) for name, own in tensors.items()})  # type: ignore[type-var]


@dataclass(frozen=True)
class Placement:
    """Where cars are put on a road, in no engine's terms."""

    position: Tensor
    """World x, y of the base's frame [m], shape (B, 2)."""
    yaw: Tensor
    """Heading [rad], shape (B,)."""
    speed: Tensor
    """Forward speed [m/s], wheels rolling, shape (B,)."""
    yaw_rate: Tensor
    """Rate of turn [rad/s], shape (B,)."""
    arc_length: Tensor | None = None
    """Near which point of the path they are [m], shape (B,); None where nobody knows."""

    @classmethod
    def at_origin(cls, speed: Tensor) -> "Placement":
        """Return cars at the origin that face along x; `speed` as above."""
        zero = torch.zeros_like(speed)
        return cls(torch.stack([zero, zero], -1), zero, speed, zero)


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
    """Driven wheels [rad/s], as `Vehicle.driven_joints` orders them, shape (B, 2) or (B, 4)."""
    qpos: Tensor
    """All generalised positions as the engine orders them, shape (B, 13)."""
    dofs_velocity: Tensor
    """All generalised velocities as the engine orders them, shape (B, 12)."""
    commands: Tensor | None = None
    """Of the last steps, newest first: steering angle [rad] and speed [m/s] as commanded, and as
    they were then, shape (B, K, 4); None where nobody keeps them. `ClosedLoop` does, no engine."""

    def remembering(self, num_commands: int) -> "CarState":
        """Return it with so many last commands; unknown ones kept it rolling as it is."""
        if num_commands == (0 if self.commands is None else self.commands.shape[1]):
            return self
        rolling = torch.stack([self.steering_angles.mean(-1), self.speed] * 2, dim=-1)
        return replace(self, commands=rolling[:, None].expand(-1, num_commands, -1))

    def select(self, cars: Tensor | slice) -> "CarState":
        """Return some of the cars, by a mask, indices or a slice."""
        return map_tensors(self, lambda tensor: tensor[cars])


@dataclass(frozen=True)
class Start:
    """Where a rollout begins, and where the last one ended."""

    state: CarState | None
    """The cars; None leaves them where the scene has them."""
    arc_length: Tensor | None
    """Near which point of the path each is [m], shape (B,); None searches the path."""
    timed_arc_length: Tensor | None = None
    """Where the point is by now that runs along the path at the reference speed [m], shape (B,);
    None lets it start with the car."""

    def where(self, is_fresh: Tensor, fresh: "Start") -> "Start":
        """Return a start with some cars, a mask of shape (B,), from another one."""
        assert self.state is not None and fresh.state is not None
        assert self.arc_length is not None and fresh.arc_length is not None
        merged = {
            name: torch.where(
                is_fresh.reshape(-1, *[1] * (old.dim() - 1)), getattr(fresh.state, name), old
            )
            for name, old in vars(self.state).items()
            if old is not None
        }
        arc_length = torch.where(is_fresh, fresh.arc_length, self.arc_length)
        return Start(CarState(**merged), arc_length)


class Scene(Protocol[StateT]):
    """Parallel environments in any physics engine."""

    num_envs: int
    """Number of environments."""
    dt: float
    """Time that `step` advances [s]."""
    dtype: torch.dtype
    """Precision of the states."""
    device: torch.device
    """Where the states lie."""

    def read(self) -> StateT:
        """Return the present state, on the graph where the scene is differentiable."""

    def step(self) -> None:
        """Advance all environments by `dt`."""


class CarScene(Scene[CarState], Protocol):
    """Parallel cars on a plane."""

    vehicle: Vehicle
    """The cars' parameters, before any variation."""
    variations: dict[str, Tensor]
    """What differs from car to car, shape (B,) each, from a placement on: `mass_ratio` on the mass
    and inertia of a car's bodies, `friction_ratio` on the friction of its road and wheels,
    `mass_shift` how far ahead of where the model has it the chassis's centre of mass is [m]; any
    other name is an error."""
    command_delay: Tensor | None
    """Control steps by which `ClosedLoop` holds back the commands to each car, shape (B,), whole
    numbers; None for none."""

    def reset(self, start: Placement | CarState) -> None:
        """Place the cars, or continue from a state; a differentiable scene begins a new graph."""

    def restart(self, cars: Tensor, placement: Placement) -> None:
        """Place some of the cars of a plain scene afresh, as `reset` places all.

        `cars` are their indices, shape (K,), and `placement` has K rows.
        """

    def state_of(self, placement: Placement) -> CarState:
        """Return the state that cars have once they are placed so, which may be fewer or more."""

    def apply(self, action: Tensor) -> None:
        """Command steering angle [rad] and speed [m/s], shape (B, 2), for the next step."""

    def apply_force(self, force: Tensor) -> None:
        """Push each base at its centre of mass during the next step; several pushes add up.

        `force` has world x, y components [N], shape (B, 2).
        """
