"""The only forward pass: controller and physics in a closed loop, recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from operator import attrgetter
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState, compute_error_state
from diffcar.path.reference import ReferencePath, Road
from diffcar.sim.contract import CarScene, CarState, Placement, Start, map_tensors
from diffcar.sim.model.vehicle import Vehicle

__all__ = [
    "ClosedLoop",
    "Step",
    "Trajectory",
    "accelerations",
    "advance_along",
    "rollout",
    "share_of_limits",
]


_AT_START = ("start_arc_length", "timed_start", "output_before")
_OF_STATE = ("position", "yaw", "speed", "lateral_velocity", "yaw_rate")
_OF_ERRORS = ("arc_length", "cross_track_error", "heading_error", "speed_error")


@dataclass(frozen=True)
class Step:
    """What one control step of B cars did."""

    state: CarState
    """The cars after it."""
    errors: ErrorState
    """The cars relative to the path after it."""
    action: Tensor
    """Steering angle [rad] and speed [m/s] commanded at its start, shape (B, 2)."""
    speed_before: Tensor
    """Forward speed at its start [m/s], shape (B,)."""


_ENTRIES: dict[str, Callable[[Step], Tensor]] = {
    **{name: attrgetter(f"state.{name}") for name in _OF_STATE},
    "steering_angle": attrgetter("state.steering_angles"),
    **{name: attrgetter(f"errors.{name}") for name in _OF_ERRORS},
    "action": lambda step: step.action,
    "speed_before": lambda step: step.speed_before,
}


@dataclass(frozen=True)
class Trajectory:
    """The record of a rollout: T steps of B cars, each entry taken after the step's end."""

    position: Tensor
    """World x, y [m], shape (T, B, 2), from the origin of the path (see `unshifted_position`)."""
    yaw: Tensor
    """Heading [rad], shape (T, B)."""
    speed: Tensor
    """Forward speed [m/s], shape (T, B)."""
    lateral_velocity: Tensor
    """Leftward velocity [m/s], shape (T, B)."""
    yaw_rate: Tensor
    """Rate of turn [rad/s], shape (T, B)."""
    steering_angle: Tensor
    """Mean of the steering joints [rad], shape (T, B)."""
    arc_length: Tensor
    """Of the nearest path point [m], shape (T, B)."""
    cross_track_error: Tensor
    """Signed lateral offset [m], + left of the path, shape (T, B)."""
    heading_error: Tensor
    """Car yaw - path heading [rad], shape (T, B)."""
    speed_error: Tensor
    """Speed - reference speed [m/s], shape (T, B)."""
    action: Tensor
    """Steering angle [rad] and speed [m/s] commanded at the step's start, shape (T, B, 2)."""
    speed_before: Tensor
    """Forward speed at the step's start [m/s], shape (T, B)."""
    start_arc_length: Tensor
    """Of the path point nearest to each car before the first step [m], shape (B,)."""
    final_state: CarState
    """The cars after the last step."""
    path: ReferencePath
    """What was to be followed."""
    vehicle: Vehicle
    """The cars, before any variation."""
    dt: float
    """Time between entries [s]."""
    timed_start: Tensor
    """Where the point that runs along the path at the reference speed was at the start [m],
    shape (B,)."""
    output_before: Tensor | None = None
    """`output` of the step before the first one, shape (B, 2); None where there was none."""

    @classmethod
    def of(
        cls,
        steps: Sequence[Step],
        loop: "ClosedLoop",
        *,
        start_arc_length: Tensor,
        timed_start: Tensor | None = None,
        output_before: Tensor | None = None,
    ) -> "Trajectory":
        """Return the record of steps of a closed loop."""
        entries = {
            name: torch.stack([read(step) for step in steps]) for name, read in _ENTRIES.items()
        }
        entries["steering_angle"] = entries["steering_angle"].mean(-1)
        return cls(
            **entries,
            start_arc_length=start_arc_length,
            final_state=steps[-1].state,
            # Whoever drives several paths gives each its own afterwards.
            path=cast(ReferencePath, loop.path),
            vehicle=loop.scene.vehicle,
            dt=loop.scene.dt,
            timed_start=start_arc_length if timed_start is None else timed_start,
            output_before=output_before,
        )

    @property
    def unshifted_position(self) -> Tensor:
        """Return positions in the coordinates that the path came in [m], float64 on the CPU."""
        return self.path.unshifted(self.position)

    @property
    def num_steps(self) -> int:
        """Return the number of steps recorded."""
        return self.speed.shape[0]

    @property
    def distance(self) -> Tensor:
        """Return how far each car has come along the path [m], shape (T, B)."""
        return self.arc_length - self.start_arc_length

    @property
    def output(self) -> Tensor:
        """Return the actions as fractions of the car's limits (see `share_of_limits`)."""
        return share_of_limits(self.action, self.speed_before, self.vehicle)

    @property
    def output_change(self) -> Tensor:
        """Return the changes of `output` from step to step, shape (T - 1, B, 2).

        The first is that from the step before, shape (T, B, 2), where there was one.
        """
        output = self.output
        if self.output_before is not None:
            output = torch.cat([self.output_before[None], output])
        return output[1:] - output[:-1]

    @cached_property
    def timed_arc_length(self) -> Tensor:
        """Return where the point is that runs at the reference speed, shape (T, B) [m]."""
        arc_length, reached = self.timed_start, []
        with torch.no_grad():
            for _ in range(self.num_steps):
                arc_length = advance_along(self.path, arc_length, self.dt)
                reached.append(arc_length)
        return torch.stack(reached)

    @property
    def timed_position(self) -> Tensor:
        """Return where the car should be by the reference speed [m], shape (T, B, 2)."""
        with torch.no_grad():
            return self.path.sample(self.timed_arc_length).position

    @property
    def end(self) -> Start:
        """Return where to go on from, off the graph.

        The timed point goes on where a loss has asked for it, and otherwise starts with the cars.
        """
        state = map_tensors(self.final_state, lambda tensor: tensor.detach().clone())
        timed = vars(self).get("timed_arc_length")
        return Start(state, self.arc_length[-1].detach(), None if timed is None else timed[-1])

    def until(self, num_steps: int) -> "Trajectory":
        """Return the record of the first steps; its final state is still that after the last."""
        own = {name: getattr(self, name)[:num_steps] for name in _ENTRIES}
        return replace(self, **own)

    def select(self, cars: Tensor) -> "Trajectory":
        """Return the record of some of the cars, picked by a mask or by indices."""
        own: dict[str, Any] = {
            field.name: value[cars] if field.name in _AT_START else value[:, cars]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **own, final_state=self.final_state.select(cars))


def share_of_limits(action: Tensor, speed: Tensor, vehicle: Vehicle) -> Tensor:
    """Return actions as fractions of the car's limits, shape (..., 2).

    Steering over its limit, and commanded minus actual speed over that of full torque.

    Args:
        action: Steering angle [rad] and speed [m/s] commanded, shape (..., 2).
        speed: The speed that the cars had [m/s], shape (...).
    """
    steering = action[..., 0] / vehicle.max_steering
    excess = action[..., 1] - speed
    return torch.stack([steering, excess / vehicle.speed_increment], dim=-1)


class ClosedLoop:
    """Cars that take actions on a path: the one place where an action becomes the next state.

    It keeps the last commands where the scene holds commands back, the start has some, or somebody
    wants to see them.

    Args:
        num_commands: How many are kept at the least.
    """

    def __init__(
        self, scene: CarScene, path: Road, start: Placement | Start, *, num_commands: int = 0
    ) -> None:
        self.scene = scene
        self.path = path = path.to(scene.dtype, scene.device)
        place = start if isinstance(start, Placement) else start.state
        if place is not None:
            scene.reset(place)
        known = place.commands if isinstance(place, CarState) else None
        late = scene.command_delay
        num_known = 0 if known is None else known.shape[1]
        num_late = 0 if late is None else int(late.max())
        self._num_commands = max(num_commands, num_late, num_known)
        if known is not None and num_known < self._num_commands:
            known = None
        self.state: CarState = self._with(known)
        """The cars now."""
        hint = None if start.arc_length is None else start.arc_length.to(self.state.speed)
        self.errors: ErrorState = compute_error_state(path, self.state, hint)
        """The cars relative to the path now."""

    def restart(self, cars: Tensor, placement: Placement) -> None:
        """Place the cars of some indices (K,) of a plain scene afresh; the placement has K rows."""
        assert placement.arc_length is not None
        self.scene.restart(cars, placement)
        commands = self.state.commands
        self.state = self._with(None)
        if commands is not None and self.state.commands is not None:
            is_fresh = torch.zeros_like(self.state.yaw, dtype=torch.bool)
            is_fresh[cars] = True
            merged = torch.where(is_fresh[:, None, None], self.state.commands, commands)
            self.state = replace(self.state, commands=merged)
        hint = self.errors.arc_length.clone()
        hint[cars] = placement.arc_length
        self.errors = compute_error_state(self.path, self.state, hint)

    def step(self, action: Tensor) -> Step:
        """Do a control step: command steering angle [rad] and speed [m/s], shape (B, 2)."""
        speed_before = self.state.speed
        # Where the car will be along the path, for the projection's first guess.
        hint = torch.add(self.errors.arc_length, speed_before, alpha=self.scene.dt).detach()
        applied, commands = action, self.state.commands
        if commands is not None:
            now = torch.stack([self.state.steering_angles.mean(-1), speed_before], -1)
            commands = torch.cat([torch.cat([action, now], -1)[:, None], commands], 1)
            if (late := self.scene.command_delay) is not None:
                applied = commands[torch.arange(len(late), device=late.device), late, :2]
            commands = commands[:, :-1]
        self.scene.apply(applied)
        self.scene.step()
        self.state = self._with(commands)
        self.errors = compute_error_state(self.path, self.state, hint)
        return Step(self.state, self.errors, action, speed_before)

    def _with(self, commands: Tensor | None) -> CarState:
        """Read the cars, which were commanded so, newest first; None lets them roll as they are."""
        state = self.scene.read()
        if commands is not None:
            state = replace(state, commands=commands)
        return state.remembering(self._num_commands)


def rollout(
    scene: CarScene,
    controller: Controller,
    path: Road,
    start: Placement | Start,
    num_steps: int,
    *,
    on_step: Callable[[CarState, ErrorState], bool | None] | None = None,
) -> Trajectory:
    """Let a controller drive.

    In a differentiable scene the trajectory is on the autograd graph from the first action to the
    last state; under `torch.no_grad` or in a plain scene it is not.

    Args:
        num_steps: Control steps at the most.
        on_step: Called after each step; a true result ends the rollout early.
    """
    loop = ClosedLoop(scene, path, start, num_commands=getattr(controller, "past_commands", 0))
    start_arc_length = loop.errors.arc_length.detach()
    steps = []
    for _ in range(num_steps):
        steps.append(loop.step(controller(loop.state, loop.errors)))
        if on_step is not None and on_step(loop.state, loop.errors):
            break
    timed = None if isinstance(start, Placement) else start.timed_arc_length
    return Trajectory.of(steps, loop, start_arc_length=start_arc_length, timed_start=timed)


def accelerations(driven: Trajectory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first car's speed [m/s], and its accelerations leftward and forward [m/s²]."""
    speed, yaw_rate, before = (
        own[:, 0].detach().double().cpu().numpy()
        for own in (driven.speed, driven.yaw_rate, driven.speed_before)
    )
    return speed, speed * yaw_rate, (speed - before) / driven.dt


def advance_along(path: Road, arc_length: Tensor, dt: float) -> Tensor:
    """Let points run from an arc length [m] along a path at its speed, by the midpoint rule."""
    middle = arc_length + dt / 2 * path.sample(arc_length).speed
    return arc_length + dt * path.sample(middle).speed
