"""What of an arm's gradients works: ways to read a state, and exactness by joint torques."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.gradients.finite_differences import check_environments, random_directions
from diffcar.gradients.hops import Hop, HopRecorder
from diffcar.gradients.slopes import GOOD_VERDICTS, DirectionalCheck, summarise, verdict
from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.tasks.reaching.config import TorqueGradientConfig
from diffcar.tasks.reaching.controller import ReachingMLP
from diffcar.tasks.reaching.rollout import ReachTrajectory, reach

__all__ = ["ReadProbe", "TorqueCertificate", "certify_torques", "probe_reads", "trace_reach_hops"]

_SETTLING_STEPS = 50
_VELOCITY_WEIGHT = 0.1
# Small, since on the ground a contact that begins to stick or to slip is never far: with torques of
# 1 N m it can tear differences down to 1e-5, and below they are right again.
_STEP_SIZES = {
    torch.float64: (1e-4, 1e-5, 3e-6, 1e-6, 3e-7),
    torch.float32: (1.0, 0.3, 0.1, 0.03),
}


@dataclass(frozen=True)
class ReadProbe:
    """What came of reading a part of the state after a step driven by torques with gradients."""

    expression: str
    """What was read, as a user would write it."""
    requires_grad: bool | None
    """Whether autograd tracks it; None where there was nothing to look at."""
    grad_fn: str
    """The operation that made it, or `none`."""
    gradient_norm: float | None
    """Norm of the gradient of its sum by the torques; None where none arrived."""
    error: str | None
    """The exception that reading it raised, if it did."""


@dataclass(frozen=True)
class TorqueCertificate:
    """How exact the gradients by joint torques are in one case."""

    case: str
    """`in free space` or `on the ground`."""
    horizon: int
    """Control steps."""
    num_directions: int
    """Random directions in the space of all torques, one in each environment."""
    median_error: float
    """Of the relative errors where there is a derivative."""
    worst_error: float
    """The largest of them."""
    num_kinks: int
    """Directions in which differences do not settle to within the tolerance, left out above: there
    is no derivative, or a kink lies nearer than the step sizes."""
    contact_fraction: float
    """Share of environments and steps in which contact pushed on the arm."""
    is_repeatable: bool
    """Whether the same torques gave the same result bit for bit."""
    is_certified: bool
    """Whether everything is within what the configuration allows."""
    checks: list[DirectionalCheck]
    """Every direction."""


def probe_reads(arm: GenesisArm) -> list[ReadProbe]:
    """Read a state in the report's three ways and in those that are on the graph.

    Args:
        arm: A differentiable scene; left to be reset.

    Returns:
        What each way gave just now.
    """
    solver, entity = arm.scene.sim.rigid_solver, arm.entity
    reads: dict[str, Callable[[], Tensor]] = {
        "franka.get_qpos()": entity.get_qpos,
        "rigid_solver.get_qvel()": lambda: solver.get_qvel(),
        "franka.get_dofs_velocity()": entity.get_dofs_velocity,
        "rigid_solver.get_state().qpos": lambda: solver.get_state().qpos,
        "rigid_solver.get_state().dofs_vel": lambda: solver.get_state().dofs_vel,
        "rigid_solver.get_state().links_pos": lambda: solver.get_state().links_pos,
    }
    return [_probe(arm, expression, read) for expression, read in reads.items()]


def _probe(arm: GenesisArm, expression: str, read: Callable[[], Tensor]) -> ReadProbe:
    """Take a step with torques that track gradients, read, and see whether they get one."""
    arm.reset(arm.home)
    torques = torch.ones(arm.num_envs, 7, dtype=arm.dtype, device=arm.device, requires_grad=True)
    arm.apply_torques(torques)
    arm.step()
    try:
        value = read()
    except Exception as error:  # whatever it is, it is what this probe reports
        text = f"{type(error).__name__}: {error}"
        return ReadProbe(expression, None, "none", None, text)
    if value.requires_grad:
        arm.backward(value.sum())
    return ReadProbe(
        expression=expression,
        requires_grad=value.requires_grad,
        grad_fn="none" if value.grad_fn is None else type(value.grad_fn).__name__,
        gradient_norm=None if torques.grad is None else float(torques.grad.norm()),
        error=None,
    )


def certify_torques(
    arm: GenesisArm,
    case: str,
    joint_angles: Tensor,
    settings: TorqueGradientConfig,
    *,
    seed: int,
    min_contact_fraction: float = 0.0,
) -> TorqueCertificate:
    """Compare gradients by joint torques with central differences.

    The servos first bring the arm to rest. Then torques alone act, those that held it plus random
    ones for each joint, step and environment, and a random projection of joint angles, velocities
    and hand position at the end is differentiated along a random direction in each environment.

    Args:
        arm: A differentiable scene; left to be reset.
        case: What to call it.
        joint_angles: What the servos aim at to begin with [rad], shape (7,).
        settings: Horizon, torques and tolerances.
        seed: Of torques, projections and directions.
        min_contact_fraction: Least share of environments and steps with contact.

    Returns:
        The certificate.
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

    def final_values() -> Tensor:
        arm.resume(start)
        for step in range(settings.horizon):
            arm.apply_torques(holding + torques[:, step])
            arm.step()
            if not torch.is_grad_enabled():
                contacts.append(arm.is_touching())
        parts = _scored_parts(arm.read())
        products = [(part * weight).sum(-1) for part, weight in zip(parts, weights, strict=True)]
        return torch.stack(products).sum(0)

    with torch.no_grad():
        is_repeatable = torch.equal(final_values(), final_values())
    contact_fraction = float(torch.stack(contacts).to(arm.dtype).mean())
    checks = check_environments(
        final_values, [torques], [direction], step_sizes=_STEP_SIZES[arm.dtype]
    )
    summary = summarise(checks)
    return TorqueCertificate(
        case=case,
        horizon=settings.horizon,
        num_directions=len(checks),
        median_error=summary.median_relative_error,
        worst_error=summary.worst_relative_error,
        num_kinks=summary.num_kinks,
        contact_fraction=contact_fraction,
        is_repeatable=is_repeatable,
        is_certified=verdict(checks, settings.tolerance) in GOOD_VERDICTS
        and summary.num_kinks <= settings.max_kink_fraction * len(checks)
        and contact_fraction >= min_contact_fraction
        and is_repeatable,
        checks=checks,
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


def trace_reach_hops(
    arm: GenesisArm,
    controller: ReachingMLP,
    target: Tensor,
    *,
    loss_of: Callable[[ReachTrajectory], Tensor],
    num_steps: int = 8,
) -> list[Hop]:
    """Reach, backpropagate, and report what was found at each hop of the first step.

    Args:
        arm: A differentiable scene; left rewound.
        controller: The network; its gradients are cleared.
        target: Where the hands should be [m], shape (B, 3).
        loss_of: Returns the scalar loss of the reach.
        num_steps: Length of the reach.

    Returns:
        The hops in forward order, then the network's weights.
    """
    recorder = HopRecorder(controller.network, "MLP output")

    def after_step(state: ArmState) -> None:
        # The command is what the entity was handed: the last tensor before Genesis.
        for name, tensor in arm.last_command.items():
            recorder.watch(name, tensor)
        recorder.watch("state: qpos", state.qpos)
        recorder.watch("state: dofs_velocity", state.dofs_velocity)
        recorder.watch("hand position", state.hand_position)

    try:
        trajectory = reach(arm, controller, target, num_steps, on_step=after_step)
    finally:
        recorder.stop()
    loss = loss_of(trajectory)
    recorder.watch("loss", loss)
    if loss.requires_grad:
        arm.backward(loss)
    return recorder.report()
