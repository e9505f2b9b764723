"""The forward pass of reaching: controller and arm in a closed loop, recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffcar.base.figure import new_figure, save_png
from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.tasks.reaching.controller import ReachingMLP

__all__ = ["ReachTrajectory", "draw_targets", "plot_reach", "reach"]


@dataclass(frozen=True)
class ReachTrajectory:
    """The record of a reach: T steps of B arms, each entry taken after the step's end."""

    target: Tensor
    """Where the hands should be [m], shape (B, 3)."""
    hand_position: Tensor
    """World position of the hand [m], shape (T, B, 3)."""
    joint_velocities: Tensor
    """Of the seven joints [rad/s], shape (T, B, 7)."""
    action: Tensor
    """The network's output at the step's start, in [-1, 1], shape (T, B, 7)."""

    @property
    def distance(self) -> Tensor:
        """Return how far each hand is from its target [m], shape (T, B)."""
        return (self.hand_position - self.target).norm(dim=-1)


def reach(
    arm: GenesisArm,
    controller: ReachingMLP,
    target: Tensor,
    num_steps: int,
    *,
    on_step: Callable[[ArmState], None] | None = None,
) -> ReachTrajectory:
    """Let the arms reach for their targets (B, 3) [m] from home, at rest; the scene is reset.

    In a differentiable scene the trajectory is on the autograd graph from the first action to the
    last state; under `torch.no_grad` or in a plain scene it is not.
    """
    arm.reset(controller.home)
    state = arm.read()
    records: list[tuple[Tensor, ...]] = []
    for _ in range(num_steps):
        action, joint_targets = controller(state, target)
        arm.apply_targets(joint_targets)
        arm.step()
        state = arm.read()
        records.append((state.hand_position, state.joint_velocities, action))
        if on_step is not None:
            on_step(state)
    return ReachTrajectory(target, *(torch.stack(own) for own in zip(*records, strict=True)))


def draw_targets(target_box: tuple[Tensor, Tensor], num_targets: int, *, seed: int) -> Tensor:
    """Draw targets evenly from a box between two corners, shape (num_targets, 3) [m]."""
    low, high = target_box
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(num_targets, 3, generator=generator, dtype=torch.float64)
    return low + (high - low) * draw.to(low)


def plot_reach(
    losses: Sequence[float],
    trajectory: ReachTrajectory,
    file: Path,
    *,
    dt: float,
    max_mean_distance: float,
) -> None:
    """Draw the loss over the updates, and distances to unseen targets over a reach.

    The time between steps is `dt` [s]; a mean distance below the largest [m] passes.
    """
    figure = new_figure(10, 7)
    loss, reaches = figure.subplots(2, 1)
    loss.plot(range(1, len(losses) + 1), losses, color="black", linewidth=1.6)
    loss.set(xlabel="update", ylabel="loss")
    distance = 1e3 * trajectory.distance.double().cpu().numpy()
    time = dt * np.arange(1, len(distance) + 1)
    reaches.plot(time, distance, color="0.8", linewidth=0.6)
    reaches.plot(time, np.median(distance, axis=1), color="tab:orange", label="median")
    reaches.plot(time, distance.mean(axis=1), color="tab:blue", linewidth=1.8, label="mean")
    reaches.axhline(1e3 * max_mean_distance, color="tab:red", linewidth=0.8, linestyle="--")
    reaches.set(xlabel="time [s]", ylabel="distance to targets never\ntrained on [mm]")
    reaches.legend(loc="upper right", fontsize="small")
    for axes in (loss, reaches):
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    save_png(figure, file)
