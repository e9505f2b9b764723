"""`diffcar franka-test`: prove a Franka's gradients, and train it to reach through the physics."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from diffcar.base.files import plain_values
from diffcar.base.log import logger
from diffcar.gradients.certificate import Problem, certify
from diffcar.gradients.hops import Hop
from diffcar.gradients.slopes import DirectionalCheck
from diffcar.sim.arm import ON_GROUND, GenesisArm
from diffcar.sim.build import build_scene
from diffcar.sim.video import FixedCamera
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.reaching.problem import torque_problem
from diffcar.tasks.reaching.rollout import plot_reach, reach
from diffcar.tasks.reaching.task import ReachingTask, ReachMetrics
from diffcar.training.run import train
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import OnUpdate

__all__ = [
    "FrankaTestResult",
    "ReadProbe",
    "TorqueCertificate",
    "as_json",
    "certify_torques",
    "probe_reads",
    "run",
]

_NUM_FILMED_TARGETS = 6


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
    """Whether the same torques gave the same result and the same gradient bit for bit."""
    is_certified: bool
    """Whether everything is within what the configuration allows."""
    checks: list[DirectionalCheck]
    """Every direction."""


@dataclass
class FrankaTestResult:
    """What the test came to."""

    precision: int
    """Bits of a floating-point number."""
    dt: float
    """Control interval [s]."""
    tolerance: float
    """Largest relative error that certifies a gradient."""
    max_mean_distance_m: float
    """Mean distance that passes [m]."""
    probes: list[ReadProbe] = field(default_factory=list)
    """The report's ways to read a state, and those that work."""
    certificates: list[TorqueCertificate] = field(default_factory=list)
    """Exactness of the gradients by joint torques."""
    hops: list[Hop] = field(default_factory=list)
    """Gradient status from the network's output to the loss and its weights."""
    losses: list[float] = field(default_factory=list)
    """Loss of each update."""
    num_skipped: int = 0
    """Updates skipped for non-finite numbers."""
    before: ReachMetrics | None = None
    """Of the untrained network."""
    after: ReachMetrics | None = None
    """Of the trained one."""
    mean_distances_m: list[float] = field(default_factory=list)
    """Mean distance over the unseen targets after each step of a reach [m]."""
    worst_distances_m: list[float] = field(default_factory=list)
    """Largest distance over the unseen targets after each step of a reach [m]."""
    train_seconds: float = 0.0
    """Wall time of the updates [s]."""
    wall_seconds: float = 0.0
    """Wall time of the whole test, imports left out [s]."""
    run_folder: Path | None = None
    """Where the training was written."""
    num_updates: int = 0
    """Updates of the training, earlier sessions among them."""
    is_interrupted: bool = False
    """Whether the training was stopped before its end; distances are then missing."""

    @property
    def is_certified(self) -> bool:
        """Return whether the gradients are exact in every case."""
        return all(certificate.is_certified for certificate in self.certificates)

    @property
    def is_reached(self) -> bool:
        """Return whether the trained hand comes near enough to its targets."""
        return self.after is not None and self.after.mean_m <= self.max_mean_distance_m


def run(
    config: FrankaTestConfig,
    *,
    out: Path | None = None,
    resume: RunFolder | None = None,
    plot_file: Path | None = None,
    video_file: Path | None = None,
    on_update: OnUpdate = lambda event: None,
) -> FrankaTestResult:
    """Probe and certify an arm's gradients, train it to reach, and judge it in plain physics.

    Args:
        config: The resolved configuration.
        out: The run folder of the training; None names one below `runs/`.
        resume: The run folder of a training that is to go on, in place of `out`.
        plot_file: Where to write a PNG of loss and distances.
        video_file: Where to write an mp4 of some reaches.
        on_update: Called after each update.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If the simulator refuses, or the gradient stays non-finite.
    """
    began = time.perf_counter()
    if out is not None and resume is None:
        RunFolder.require_free(out)
    arm = build_scene(config, num_envs=config.num_envs, differentiable=True)
    logger.info("reading states, and checking gradients by joint torques in free space")
    probes = probe_reads(arm)
    in_air = torque_problem(arm, arm.home, config.gradients, case="in free space", seed=config.seed)
    certificates = [certify_torques(in_air)]
    grounded = build_scene(config, num_envs=config.num_envs, differentiable=True, with_ground=True)
    logger.info("checking gradients by joint torques on the ground")
    on_ground = torque_problem(
        grounded,
        grounded.tensor(ON_GROUND),
        config.gradients,
        case="on the ground",
        seed=config.seed,
        min_contact_fraction=config.gradients.min_contact_fraction,
    )
    certificates.append(certify_torques(on_ground))
    logger.info("training the arm to reach, through the physics")
    trained = train("e2e", config, out=out, resume=resume, scenes=arm, on_update=on_update)
    if plot_file is not None:
        reached = trained.task.reach_unseen()
        passing = config.reach.max_mean_distance
        plot_reach(trained.losses, reached, plot_file, dt=config.dt, max_mean_distance=passing)
    if video_file is not None:
        _film(config, trained.task, video_file)
    return FrankaTestResult(
        precision=config.precision,
        dt=config.dt,
        tolerance=config.gradients.tolerance,
        max_mean_distance_m=config.reach.max_mean_distance,
        probes=probes,
        certificates=certificates,
        hops=trained.hops,
        losses=trained.losses,
        num_skipped=trained.num_skipped,
        before=trained.before,
        after=trained.after,
        mean_distances_m=trained.findings.get("mean_distances_m", []),
        worst_distances_m=trained.findings.get("worst_distances_m", []),
        train_seconds=trained.train_seconds,
        run_folder=trained.run_folder,
        num_updates=trained.num_updates,
        is_interrupted=trained.is_interrupted,
        wall_seconds=time.perf_counter() - began,
    )


def as_json(result: FrankaTestResult) -> dict[str, object]:
    """Return the result as plain values for a JSON file."""
    verdicts = {"is_certified": result.is_certified, "is_reached": result.is_reached}
    values = plain_values(result)
    assert isinstance(values, dict)
    return {**verdicts, **values}


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


def certify_torques(problem: Problem) -> TorqueCertificate:
    """Certify the gradients of a `torque_problem`."""
    certificate = certify(problem)
    (row,) = certificate.rows
    return TorqueCertificate(
        case=row.regime,
        horizon=row.horizon,
        num_directions=len(row.checks),
        median_error=row.summary.median_relative_error,
        worst_error=row.summary.worst_relative_error,
        num_kinks=row.summary.num_kinks,
        contact_fraction=row.regime_fraction,
        is_repeatable=certificate.is_repeatable,
        is_certified=certificate.is_certified,
        checks=list(row.checks),
    )


def _film(config: FrankaTestConfig, task: ReachingTask, file: Path) -> None:
    """Film an arm reaching for one target after the other."""
    arm = build_scene(config, num_envs=1, with_ground=True, with_camera=True)
    logger.info("filming")
    camera = arm.camera
    assert isinstance(camera, FixedCamera)

    def film_one(target: Tensor) -> None:
        # Marked in each step: the reset at a reach's start wipes what was painted before it.
        reach(
            arm,
            task.driver,
            target[None],
            config.train.horizon,
            on_step=lambda _: camera.mark(target),
        )

    with camera.recording(file), torch.no_grad():
        for target in task.reach_unseen().target[:_NUM_FILMED_TARGETS]:
            film_one(target)
