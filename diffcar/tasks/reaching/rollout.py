"""The forward pass of reaching: controller and arm in a closed loop, recorded."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.tasks.reaching.controller import ReachingMLP

__all__ = ["ReachTrajectory", "draw_targets", "reach"]


@dataclass(frozen=True)
class ReachTrajectory:
    """The record of a reach: T steps of B arms, each entry taken after the step's end."""

    hand_position: Tensor
    """World position of the hand [m], shape (T, B, 3)."""
    joint_velocities: Tensor
    """Of the seven joints [rad/s], shape (T, B, 7)."""
    action: Tensor
    """The network's output at the step's start, in [-1, 1], shape (T, B, 7)."""
    target: Tensor
    """Where the hands should be [m], shape (B, 3)."""

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
    """Let the arms reach for their targets from home, at rest.

    In a differentiable scene the trajectory is on the autograd graph from the first action to the
    last state; under `torch.no_grad` or in a plain scene it is not.

    Args:
        arm: The scene; it is reset.
        controller: What moves it.
        target: Where the hands should be [m], shape (B, 3).
        num_steps: Control steps.
        on_step: Called after each step.

    Returns:
        The record.
    """
    arm.reset(controller.home)
    state = arm.read()
    hands, velocities, actions = [], [], []
    for _ in range(num_steps):
        action, joint_targets = controller(state, target)
        arm.apply_targets(joint_targets)
        arm.step()
        state = arm.read()
        hands.append(state.hand_position)
        velocities.append(state.joint_velocities)
        actions.append(action)
        if on_step is not None:
            on_step(state)
    return ReachTrajectory(
        torch.stack(hands), torch.stack(velocities), torch.stack(actions), target
    )


def draw_targets(target_box: tuple[Tensor, Tensor], num_targets: int, *, seed: int) -> Tensor:
    """Draw targets evenly from a box.

    Args:
        target_box: Its lowest and highest corner [m], shape (3,) each.
        num_targets: How many.
        seed: Of the draw.

    Returns:
        Positions [m], shape (num_targets, 3).
    """
    low, high = target_box
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(num_targets, 3, generator=generator, dtype=torch.float64)
    return low + (high - low) * draw.to(low)
