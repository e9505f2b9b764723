"""The forward pass of pushing: controller, tool and soft body in a closed loop, recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffcar.base.figure import new_figure, plain, save_png
from diffcar.base.geometry import rotate_into_body
from diffcar.path.reference import ReferencePath
from diffcar.sim.soft_body import GenesisSoftBody, SoftBodyState
from diffcar.tasks.pushing.controller import PushingMLP, PushObservation
from diffcar.tasks.tracking.rollout import advance_along

__all__ = ["PushStart", "PushTrajectory", "plot_push", "push"]

_NUM_DRAWN_PUSHES = 8


@dataclass(frozen=True)
class PushStart:
    """Which part of a path each of B bodies is pushed along, and how it lies to the body.

    A body always starts at the origin with the tool at its left, -x. So the path is laid to the
    body: moved and turned, and for some bodies mirrored.
    """

    path: ReferencePath
    """The reference, in its own frame."""
    arc_length: Tensor
    """Where on it the push begins [m], shape (B,)."""
    cross_track: Tensor
    """Where the body stands at the start, + left of the path [m], shape (B,)."""
    heading: Tensor
    """Direction of the path's beginning in the world [rad], shape (B,)."""
    side: Tensor
    """1, or -1 for the path's mirror image, shape (B,)."""

    def to_path_frame(self, position: Tensor) -> Tensor:
        """Return where points of the world [m], shape (..., B, 2), lie in the path's own frame."""
        begin = self.path.sample(self.arc_length)
        along, across = rotate_into_body(position, self.heading)
        local = torch.stack([along, self.side * (across + self.cross_track)], dim=-1)
        return begin.position + torch.stack(rotate_into_body(local, -begin.heading), dim=-1)

    def to_world(self, position: Tensor) -> Tensor:
        """Return where points of the path's own frame lie in the world; undoes `to_path_frame`."""
        begin = self.path.sample(self.arc_length)
        along, across = rotate_into_body(position - begin.position, begin.heading)
        local = torch.stack([along, self.side * across - self.cross_track], dim=-1)
        return torch.stack(rotate_into_body(local, -self.heading), dim=-1)

    def headings(self, arc_length: Tensor) -> Tensor:
        """Return the path's direction in the world [rad], zero where the tool faces, (B, K)."""
        begin = self.path.sample(self.arc_length[:, None])
        turned = self.path.sample(arc_length).heading - begin.heading
        return self.heading[:, None] + self.side[:, None] * turned

    def cross_track_error(self, position: Tensor, arc_length: Tensor) -> Tensor:
        """Return how far points of the world, (B, 2), are beside their projections, (B,) [m].

        Signed: + left of the path as it lies in the world.
        """
        nearest = self.path.sample(arc_length)
        gap = self.to_path_frame(position) - nearest.position
        return self.side * rotate_into_body(gap, nearest.heading)[1]


@dataclass(frozen=True)
class PushTrajectory:
    """The record of a push: T steps of B bodies, each entry taken after the step's end."""

    start: PushStart
    """Which part of the path, and how it lies."""
    centroid: Tensor
    """World x, y of the body's centre of mass [m], shape (T, B, 2)."""
    tool_position: Tensor
    """World x, y of the tool's centre [m], shape (T, B, 2)."""
    cross_track_error: Tensor
    """Of the centroid, + left of the path [m], shape (T, B)."""
    distance: Tensor
    """How far the centroid has come along the path [m], shape (T, B)."""
    target_distance: Tensor
    """How far a point has come that runs along the path at its speed [m], shape (T, B)."""
    action: Tensor
    """The network's output at the step's start, in [-1, 1], shape (T, B, 2)."""

    @property
    def progress_error(self) -> Tensor:
        """Return how far each body is ahead of the running target [m], shape (T, B)."""
        return self.distance - self.target_distance


def push(
    scene: GenesisSoftBody,
    controller: PushingMLP,
    start: PushStart,
    num_steps: int,
    *,
    on_step: Callable[[SoftBodyState], None] | None = None,
) -> PushTrajectory:
    """Push the bodies along their paths, from rest; the scene is reset.

    In a differentiable scene the trajectory is on the autograd graph from the first action to the
    last state; under `torch.no_grad` or in a plain scene it is not.
    """
    scene.reset(scene.resting_start())
    state = scene.read()
    undeformed = _relative_positions(state).detach()
    path, target, arc_length = start.path, start.arc_length, start.arc_length
    records: list[tuple[Tensor, ...]] = []
    previews = torch.as_tensor(controller.heading_preview).to(arc_length)
    for _ in range(num_steps):
        centroid, tool = state.centroid[:, :2], state.tool_position[:, :2]
        seen = PushObservation(
            cross_track_error=start.cross_track_error(centroid, arc_length),
            progress_error=arc_length - target,
            velocity=state.velocity[:, :2],
            tool_offset=tool - centroid,
            yaw=_yaw(_relative_positions(state), undeformed),
            path_headings=start.headings(arc_length[:, None] + previews),
        )
        action, velocity = controller(seen, path.sample(target).speed)
        scene.apply(torch.cat([velocity, torch.zeros_like(velocity[:, :1])], dim=-1))
        scene.step()
        state = scene.read()
        centroid, tool = state.centroid[:, :2], state.tool_position[:, :2]
        arc_length = path.project(start.to_path_frame(centroid), arc_length)
        target = advance_along(path, target, scene.dt)
        error = start.cross_track_error(centroid, arc_length)
        distances = (arc_length - start.arc_length, target - start.arc_length)
        records.append((centroid, tool, error, *distances, action))
        if on_step is not None:
            on_step(state)
    return PushTrajectory(start, *(torch.stack(entries) for entries in zip(*records, strict=True)))


def _relative_positions(state: SoftBodyState) -> Tensor:
    """Return the particles' x, y relative to the centroid [m], shape (B, N, 2)."""
    return state.particle_positions[..., :2] - state.centroid[:, None, :2]


def _yaw(positions: Tensor, undeformed: Tensor) -> Tensor:
    """Return the rotation that brings the undeformed body nearest to the present one [rad]."""
    dot = (undeformed * positions).sum((1, 2))
    cross = undeformed[..., 0] * positions[..., 1] - undeformed[..., 1] * positions[..., 0]
    return torch.atan2(cross.sum(1), dot)


def plot_push(before: PushTrajectory, after: PushTrajectory, file: Path) -> None:
    """Draw pushes from above, before and after training: path, centroid and tool of each body."""
    num_bodies = min(after.centroid.shape[1], _NUM_DRAWN_PUSHES)
    figure = new_figure(10, 2.4 * ((num_bodies + 1) // 2))
    drawn = figure.subplots((num_bodies + 1) // 2, 2, sharex=True, sharey=True, squeeze=False)
    start = after.start
    reference = start.to_world(start.path.sample(start.arc_length + after.target_distance).position)
    for body, axes in enumerate(drawn.flat[:num_bodies]):
        for track, style in (
            (reference, {"color": "0.65", "linewidth": 3, "label": "reference"}),
            (before.centroid, {"color": "tab:orange", "label": "body, untrained"}),
            (after.centroid, {"color": "tab:blue", "label": "body, trained"}),
            (after.tool_position, {"color": "tab:red", "linestyle": ":", "label": "tool, trained"}),
        ):
            x, y = track[:, body].double().cpu().numpy().T
            axes.plot(x, y, **style)
        axes.set_aspect("equal", adjustable="box")
        title = f"{plain(start.path.name)} from {float(start.arc_length[body]):.2f} m"
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.3)
    for axes in drawn[-1]:
        axes.set_xlabel("x [m]")
    for axes in drawn[:, 0]:
        axes.set_ylabel("y [m]")
    figure.legend(*drawn[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    save_png(figure, file)
