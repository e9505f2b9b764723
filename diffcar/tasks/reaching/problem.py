"""What is certified about an arm: its joint torques, and the network that reaches."""

import math

import torch
from torch import Tensor

from diffcar.controllers.mlp import with_weights
from diffcar.gradients.finite_differences import random_directions
from diffcar.gradients.problem import Case, Problem
from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.tasks.reaching.config import TorqueGradientConfig
from diffcar.tasks.reaching.controller import ReachingMLP
from diffcar.tasks.reaching.rollout import reach

__all__ = ["reaching_problem", "torque_problem"]

_SETTLING_STEPS = 50
_VELOCITY_WEIGHT = 0.1
# Small, since on the ground a contact that begins to stick or to slip is never far: with torques of
# 1 N m it can tear differences down to 1e-5, and below they are right again.
_TORQUE_STEP_SIZES = {
    torch.float64: (1e-4, 1e-5, 3e-6, 1e-6, 3e-7),
    torch.float32: (1.0, 0.3, 0.1, 0.03),
}
_WEIGHT_STEP_SIZES = {torch.float64: (1e-2, 1e-3, 1e-4, 1e-5), torch.float32: (1e-1, 3e-2, 1e-2)}
# In float32 differences are known to a tenth only.
_WEIGHT_TOLERANCES = {torch.float64: 1e-5, torch.float32: 1e-1}


def torque_problem(
    arm: GenesisArm,
    joint_angles: Tensor,
    settings: TorqueGradientConfig,
    *,
    case: str,
    seed: int,
    min_contact_fraction: float = 0.0,
) -> Problem:
    """Return what is to be certified about joint torques.

    The servos first bring the arm to rest. Then torques alone act, those that held it plus random
    ones for each joint, step and environment, and a random projection of joint angles, velocities
    and hand position at the end is differentiated along a random direction in each environment.

    Args:
        arm: A differentiable scene; left to be reset.
        joint_angles: What the servos aim at to begin with [rad], shape (7,).
        case: What to call it, such as `in free space`.
        seed: Of torques, projections and directions.
        min_contact_fraction: Least share of the steps with contact.
    """
    generator = torch.Generator().manual_seed(seed)
    start, holding = _come_to_rest(arm, joint_angles)

    def normal(*shape: int) -> Tensor:
        return arm.tensor(torch.randn(*shape, generator=generator, dtype=torch.float64))

    torques = settings.torque_spread * normal(arm.num_envs, settings.horizon, 7)
    weights = [normal(arm.num_envs, part.shape[1]) for part in _scored_parts(start)]
    direction = random_directions(torques, generator, scale=math.sqrt(torques[0].numel()))
    torques.requires_grad_()
    contacts: list[Tensor] = []

    def apply(torque: Tensor) -> None:
        arm.apply_torques(holding + torque)
        arm.step()

    def score() -> Tensor:
        contacts.clear()
        arm.resume(start)
        for step in range(settings.horizon):
            apply(torques[:, step])
            contacts.append(arm.is_touching())
        parts = _scored_parts(arm.read())
        products = [(part * weight).sum(-1) for part, weight in zip(parts, weights, strict=True)]
        return torch.stack(products).sum(0)

    def go_on() -> Tensor:
        late = torques[:, -1].detach().clone().requires_grad_()
        apply(late)
        return late

    return Problem(
        inputs={"joint torques": [torques]},
        cases=[Case(case, "joint torques")] * arm.num_envs,
        score=score,
        directions=[direction],
        step_sizes=_TORQUE_STEP_SIZES[arm.dtype],
        tolerance=settings.tolerance,
        horizon=settings.horizon,
        backward=arm.backward,
        go_on=go_on,
        shares=lambda: torch.stack(contacts).to(arm.dtype).mean(0),
        min_share=min_contact_fraction,
        max_kink_share=settings.max_kink_fraction,
    )


def reaching_problem(
    arm: GenesisArm, controller: ReachingMLP, target: Tensor, *, horizon: int, seed: int = 0
) -> Problem:
    """Return what is to be certified about a network that reaches, before it is trained.

    Each arm has weights of its own, and a random direction of all of them.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = [
        weight.detach().expand(arm.num_envs, *weight.shape).clone().requires_grad_()
        for weight in controller.network.parameters()
    ]
    policy = with_weights(controller, weights)

    def score() -> Tensor:
        reached = reach(arm, policy, target, horizon)
        return (reached.hand_position - target).square().sum(-1).mean(0)

    def go_on() -> Tensor:
        late = controller.home.expand(arm.num_envs, 7).clone().requires_grad_()
        arm.apply_targets(late)
        arm.step()
        return late

    return Problem(
        inputs={"network weights": weights},
        cases=[Case("reaching", "network weights")] * arm.num_envs,
        score=score,
        directions=[random_directions(weight.detach(), generator) for weight in weights],
        step_sizes=_WEIGHT_STEP_SIZES[arm.dtype],
        tolerance=_WEIGHT_TOLERANCES[arm.dtype],
        horizon=horizon,
        backward=arm.backward,
        go_on=go_on,
        hint="`diffcar franka-test` tells more; --no-certify trains all the same",
    )


def _come_to_rest(arm: GenesisArm, joint_angles: Tensor) -> tuple[ArmState, Tensor]:
    """Let the servos hold the arm still; return the state and the torques that hold it."""
    with torch.no_grad():
        arm.reset(joint_angles)
        targets = joint_angles.expand(arm.num_envs, 7)
        for _ in range(_SETTLING_STEPS):
            arm.apply_targets(targets)
            arm.step()
        return arm.read(), arm.servo_torques()


def _scored_parts(state: ArmState) -> list[Tensor]:
    """Return what is projected onto random weights."""
    return [state.qpos, _VELOCITY_WEIGHT * state.dofs_velocity, state.hand_position]
