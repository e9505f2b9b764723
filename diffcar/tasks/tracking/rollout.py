"""The only forward pass: controller and physics in a closed loop, recorded."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState, compute_error_state
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarScene, CarState

__all__ = ["Trajectory", "rollout"]


@dataclass(frozen=True)
class Trajectory:
    """The record of a rollout: T steps of B cars, each entry taken after the step's end."""

    position: Tensor
    """World x, y [m], shape (T, B, 2)."""
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
    dt: float
    """Time between entries [s]."""

    @property
    def num_steps(self) -> int:
        """Return the number of steps recorded."""
        return self.speed.shape[0]

    @property
    def distance(self) -> Tensor:
        """Return how far each car has come along the path [m], shape (T, B)."""
        return self.arc_length - self.start_arc_length

    def select(self, cars: Tensor) -> "Trajectory":
        """Return the record of some of the cars, picked by a mask or by indices."""
        over_time = {
            field.name: getattr(self, field.name)[:, cars]
            for field in fields(self)
            if field.name not in ("start_arc_length", "final_state", "dt")
        }
        state = CarState(**{name: value[cars] for name, value in vars(self.final_state).items()})
        return Trajectory(
            **over_time,
            start_arc_length=self.start_arc_length[cars],
            final_state=state,
            dt=self.dt,
        )


def rollout(
    scene: CarScene,
    controller: Controller,
    path: ReferencePath,
    num_steps: int,
    *,
    arc_length_hint: Tensor | None = None,
    on_step: Callable[[CarState, ErrorState], bool | None] | None = None,
) -> Trajectory:
    """Let a controller drive from the scene's present state.

    In a differentiable scene the trajectory is on the autograd graph from the first action to the
    last state; under `torch.no_grad` or in a plain scene it is not.

    Args:
        scene: Cars, placed by `reset` or `resume`.
        controller: What drives them.
        path: What they follow.
        num_steps: Control steps at the most.
        arc_length_hint: Arc lengths near the cars [m], shape (B,); None searches the path.
        on_step: Called after each step; a true result ends the rollout early.

    Returns:
        The record.
    """
    state = scene.read()
    errors = compute_error_state(path, state, arc_length_hint)
    start_arc_length = errors.arc_length.detach()
    records = []
    for _ in range(num_steps):
        action = controller(state, errors)
        speed_before = state.speed
        # Where the car will be along the path, for the projection's first guess.
        hint = (errors.arc_length + scene.dt * speed_before).detach()
        scene.apply(action)
        scene.step()
        state = scene.read()
        errors = compute_error_state(path, state, hint)
        records.append(_record(state, errors, action, speed_before))
        if on_step is not None and on_step(state, errors):
            break
    stacked = {name: torch.stack([record[name] for record in records]) for name in records[0]}
    return Trajectory(**stacked, start_arc_length=start_arc_length, final_state=state, dt=scene.dt)


def _record(
    state: CarState, errors: ErrorState, action: Tensor, speed_before: Tensor
) -> dict[str, Tensor]:
    """Collect one time step of a trajectory."""
    return {
        "position": state.position,
        "yaw": state.yaw,
        "speed": state.speed,
        "lateral_velocity": state.lateral_velocity,
        "yaw_rate": state.yaw_rate,
        "steering_angle": state.steering_angles.mean(-1),
        "arc_length": errors.arc_length,
        "cross_track_error": errors.cross_track_error,
        "heading_error": errors.heading_error,
        "speed_error": errors.speed_error,
        "action": action,
        "speed_before": speed_before,
    }
