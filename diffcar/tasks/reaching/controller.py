"""The MLP as a controller that brings an arm's hand to a target."""

import torch
from torch import Tensor

from diffcar.controllers.mlp import MLPController
from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.tasks.reaching.config import ReachConfig

__all__ = ["ReachingMLP"]

# What brings the entries to order one.
_VELOCITY_SCALE = 2.0
_HAND_ERROR_SCALE = 0.02


class ReachingMLP:
    """Turns a network's bounded outputs, untrained at first, into targets of the position servos.

    A target is the joint's present angle plus at most `joint_step`: where the hand stands off, the
    arm keeps moving, so the servos' sag under gravity and the network's own inaccuracy are made up
    for by feedback. The targets stay inside the joints' limits.

    Args:
        config: Of the network, the steps and where targets lie.
        arm: What it moves, in whose number format it computes.
        seed: Of the network's weights.
    """

    def __init__(self, config: ReachConfig, arm: GenesisArm, *, seed: int) -> None:
        self.home, self.joint_limits = arm.home, arm.joint_limits
        self.joint_step = config.joint_step
        self.target_box = low, high = arm.tensor(config.target_low), arm.tensor(config.target_high)
        """Two opposite corners of where targets lie [m], shape (3,) each."""
        self._box_centre, self._box_half_size = (low + high) / 2, (high - low) / 2
        num_joints = len(arm.home)
        generator = torch.Generator().manual_seed(seed)
        self.network = MLPController(
            2 * num_joints + 6, num_joints, config.hidden_sizes, generator=generator
        ).to(dtype=arm.dtype, device=arm.device)

    def __call__(self, state: ArmState, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's output and the joint targets that it means, shape (B, 7) each.

        Args:
            state: Of the arms.
            target: Where the hands should be [m], shape (B, 3).
        """
        output = self.network(self.observe(state, target))
        low, high = self.joint_limits
        wanted = state.joint_angles + self.joint_step * output
        return output, torch.maximum(torch.minimum(wanted, high), low)

    def observe(self, state: ArmState, target: Tensor) -> Tensor:
        """Return what the network sees, shape (B, 20)."""
        return torch.cat(
            [
                state.joint_angles - self.home,
                state.joint_velocities / _VELOCITY_SCALE,
                (state.hand_position - target) / _HAND_ERROR_SCALE,
                (target - self._box_centre) / self._box_half_size,
            ],
            dim=-1,
        )
