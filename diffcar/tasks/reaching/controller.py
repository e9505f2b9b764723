"""The MLP as a controller that brings an arm's hand to a target."""

import torch
from torch import Tensor

from diffcar.controllers.mlp import MLPController
from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.tasks.reaching.config import ReachConfig

__all__ = ["ReachingMLP", "build_reaching_mlp"]

# What brings the entries to order one.
_VELOCITY_SCALE = 2.0
_HAND_ERROR_SCALE = 0.02


class ReachingMLP:
    """Turns the network's bounded outputs into targets of the joints' position servos.

    A target is the joint's present angle plus at most `joint_step`: where the hand stands off, the
    arm keeps moving, so the servos' sag under gravity and the network's own inaccuracy are made up
    for by feedback. The targets stay inside the joints' limits.

    Args:
        network: The perceptron, from observations to one output a joint.
        home: Joint angles that observations are relative to [rad], shape (7,).
        joint_limits: Lowest and highest angle of each joint [rad], shape (7,) each.
        target_box: Two opposite corners of where targets lie [m], shape (3,) each.
        joint_step: How far ahead of the joint a target can be [rad].
    """

    def __init__(
        self,
        network: MLPController,
        *,
        home: Tensor,
        joint_limits: tuple[Tensor, Tensor],
        target_box: tuple[Tensor, Tensor],
        joint_step: float,
    ) -> None:
        self.network = network
        self.home, self.joint_limits = home, joint_limits
        self.joint_step = joint_step
        self.target_box = low, high = target_box
        self._box_centre, self._box_half_size = (low + high) / 2, (high - low) / 2

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


def build_reaching_mlp(config: ReachConfig, arm: GenesisArm, *, seed: int) -> ReachingMLP:
    """Return an untrained controller of an arm, in its number format."""
    num_joints = len(arm.home)
    generator = torch.Generator().manual_seed(seed)
    network = MLPController(
        2 * num_joints + 6, num_joints, config.hidden_sizes, generator=generator
    )
    return ReachingMLP(
        network.to(dtype=arm.dtype, device=arm.device),
        home=arm.home,
        joint_limits=arm.joint_limits,
        target_box=(arm.tensor(config.target_low), arm.tensor(config.target_high)),
        joint_step=config.joint_step,
    )
