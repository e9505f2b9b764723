"""The reaching controller: bounded steps, targets inside the joints' limits."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from diffcar.sim.arm import ArmState
from diffcar.tasks.reaching.config import ReachConfig
from diffcar.tasks.reaching.controller import ReachingMLP


class Fixed(nn.Module):
    """A network that always answers one, whatever it sees."""

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        self.seen = observation
        return torch.ones(len(observation), 7)


def state_at(angle: float) -> ArmState:
    angles = torch.full((2, 7), angle)
    return ArmState(
        joint_angles=angles,
        joint_velocities=torch.full((2, 7), 4.0),
        hand_position=torch.tensor([[0.5, 0.0, 0.42], [0.5, 0.0, 0.42]]),
        qpos=torch.zeros(2, 9),
        dofs_velocity=torch.zeros(2, 9),
    )


def test_targets_lead_the_joints_by_at_most_the_step_and_stop_at_the_limits() -> None:
    """From 0.1 a full step of 0.5 leads to 0.6; from 0.8 the limit at 1 ends it."""
    config = ReachConfig(target_low=[0.3, -0.3, 0.2], target_high=[0.7, 0.3, 0.6], joint_step=0.5)
    arm = SimpleNamespace(
        home=torch.zeros(7),
        joint_limits=(torch.full((7,), -1.0), torch.full((7,), 1.0)),
        tensor=torch.tensor,
        dtype=torch.float32,
        device="cpu",
    )
    controller: Any = ReachingMLP(config, arm, seed=0)  # type: ignore[arg-type]
    controller.network = network = Fixed()
    target = torch.tensor([[0.5, 0.0, 0.4], [0.7, 0.3, 0.6]])
    for angle, expected in ((0.1, 0.6), (0.8, 1.0)):
        output, joint_targets = controller(state_at(angle), target)
        assert torch.allclose(joint_targets, torch.full((2, 7), expected))
        assert torch.equal(output, torch.ones(2, 7))
    assert network.seen.shape == (2, 20)
    assert torch.allclose(network.seen[:, :7], torch.tensor(0.8))
    assert torch.allclose(network.seen[:, 7:14], torch.tensor(2.0))
    # Two centimetres above the first target; the second target is a corner of the box.
    assert torch.allclose(network.seen[0, 14:17], torch.tensor([0.0, 0.0, 1.0]), atol=1e-5)
    assert torch.allclose(network.seen[:, 17:], torch.tensor([[0.0] * 3, [1.0] * 3]), atol=1e-5)
