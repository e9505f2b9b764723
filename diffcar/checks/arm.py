"""`diffcar franka-test`: prove a Franka's gradients, and train it to reach through the physics."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from diffcar.base.files import kept
from diffcar.base.log import logger
from diffcar.base.table import Column, Curve, Mark, Shown, Table, number, verdict_line
from diffcar.gradients.certificate import Certificate, certify
from diffcar.gradients.hops import hops_table
from diffcar.sim.arm import ON_GROUND, GenesisArm
from diffcar.sim.build import build_scene
from diffcar.sim.video import FixedCamera
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.reaching.problem import torque_problem
from diffcar.tasks.reaching.rollout import plot_reach, reach
from diffcar.tasks.reaching.task import ReachingTask, ReachMetrics
from diffcar.training.run import TrainingResult, train
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import OnUpdate

__all__ = ["FrankaTestResult", "ReadProbe", "arm_report", "probe_reads", "run"]

_NUM_FILMED_TARGETS = 6
_OF_TRAINING = (
    "hops",
    "losses",
    "num_skipped",
    "before",
    "after",
    "mean_distances_m",
    "worst_distances_m",
    "train_seconds",
    "run_folder",
    "num_updates",
    "is_interrupted",
)


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


@dataclass
class FrankaTestResult:
    """What the test came to."""

    config: FrankaTestConfig
    """What was asked for."""
    trained: TrainingResult
    """The training; distances are missing where it was stopped before its end."""
    probes: list[ReadProbe] = field(default_factory=list)
    """The report's ways to read a state, and those that work."""
    certificates: list[Certificate] = field(default_factory=list)
    """Of the gradients by joint torques, in free space and on the ground: a single row each."""
    wall_seconds: float = 0.0
    """Wall time of the whole test, imports left out [s]."""

    @property
    def is_certified(self) -> bool:
        """Return whether the gradients are exact in every case."""
        return all(certificate.is_certified for certificate in self.certificates)

    @property
    def is_reached(self) -> bool:
        """Return whether the trained hand comes near enough to its targets."""
        after = self.trained.after
        return after is not None and after.mean_m <= self.config.reach.max_mean_distance

    def as_json(self) -> dict[str, object]:
        """Return the result as plain values for a JSON file."""
        training = self.trained.as_json()
        certificates = [
            {
                **_torque_certificates([own], self.config).records()[0],
                "is_repeatable": own.is_repeatable,
                "checks": [asdict(check) for check in own.checks],
            }
            for own in self.certificates
        ]
        return {
            "is_certified": self.is_certified,
            "is_reached": self.is_reached,
            "precision": self.config.precision,
            "dt": self.config.dt,
            "tolerance": self.config.gradients.tolerance,
            "max_mean_distance_m": self.config.reach.max_mean_distance,
            "probes": [asdict(probe) for probe in self.probes],
            "certificates": certificates,
            **{name: training.get(name, []) for name in _OF_TRAINING},
            "wall_seconds": self.wall_seconds,
        }


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
        out: The run folder of the training; None names one below `runs/`.
        resume: The run folder of a training that is to go on, in place of `out`.
        plot_file: Where to write a PNG of loss and distances.
        video_file: Where to write an mp4 of some reaches.

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
    certificates = [certify(in_air)]
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
    certificates.append(certify(on_ground))
    logger.info("training the arm to reach, through the physics")
    trained = train("e2e", config, out=out, resume=resume, scenes=arm, on_update=on_update)
    unwritten = trained.unwritten
    if plot_file is not None:
        reached = trained.task.reach_unseen()
        passing = config.reach.max_mean_distance
        with kept(unwritten, plot_file):
            plot_reach(trained.losses, reached, plot_file, dt=config.dt, max_mean_distance=passing)
    if video_file is not None:
        with kept(unwritten, video_file):
            _film(config, trained.task, video_file)
    seconds = time.perf_counter() - began
    return FrankaTestResult(config, trained, probes, certificates, seconds)


def probe_reads(arm: GenesisArm) -> list[ReadProbe]:
    """Read a state in the report's three ways and in those on the graph; leave it to be reset."""
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


def _film(config: FrankaTestConfig, task: ReachingTask, file: Path) -> None:
    """Film an arm reaching for one target after the other."""
    arm = build_scene(config, num_envs=1, with_ground=True, with_camera=True)
    logger.info("filming")
    camera = arm.camera
    assert isinstance(camera, FixedCamera)

    def mark(target: Tensor) -> Callable[[object], None]:
        # In each step: the reset at a reach's start wipes what was painted before it.
        return lambda _: camera.mark(target)

    with camera.recording(file), torch.no_grad():
        for target in task.reach_unseen().target[:_NUM_FILMED_TARGETS]:
            reach(arm, task.driver, target[None], config.train.horizon, on_step=mark(target))


def arm_report(result: FrankaTestResult) -> list[Shown]:
    """Return probes, certificates, the gradient's way, the training and the verdicts."""
    trained = result.trained
    shown: list[Shown] = [
        _probes(result.probes),
        _torque_certificates(result.certificates, result.config),
        hops_table(trained.hops),
        Curve("loss", trained.losses),
    ]
    if trained.before is not None and trained.after is not None:
        rows = [("untrained", trained.before), ("trained", trained.after)]
        columns: list[Column[tuple[str, ReachMetrics]]] = [
            Column("network", lambda row: row[0]),
            Column("mean", lambda row: row[1].mean_m, "mm", 1e3),
            Column("p95", lambda row: row[1].p95_m, "mm", 1e3),
            Column("max", lambda row: row[1].max_m, "mm", 1e3),
        ]
        seconds = result.config.dt * len(trained.findings["mean_distances_m"])
        title = (
            f"distance of the hand to {trained.after.num_targets} targets never trained on, after "
            f"{number(seconds)} s in plain physics"
        )
        shown.append(Table(title, columns, rows))
    limit = number(1e3 * result.config.reach.max_mean_distance)
    return [
        *shown,
        f"{len(trained.losses)} updates, {trained.num_skipped} skipped, "
        f"{trained.train_seconds:.0f} s of training, {result.wall_seconds:.0f} s in all",
        verdict_line("certified", result.is_certified, "gradients by joint torques:  {}"),
        verdict_line("reached", result.is_reached, f"mean distance at most {limit} mm:  {{}}"),
    ]


def _passed(is_passed: bool) -> Mark:
    return Mark.GOOD if is_passed else Mark.BAD


def _probes(probes: list[ReadProbe]) -> Table[ReadProbe]:
    """Return what each way to read a state gave in this run."""

    def norm(probe: ReadProbe) -> str:
        if probe.error is not None:
            return ""
        return number(probe.gradient_norm) if probe.gradient_norm else "none arrived"

    columns: list[Column[ReadProbe]] = [
        Column("read", lambda probe: probe.expression),
        Column(
            "requires_grad",
            lambda probe: probe.error or str(probe.requires_grad),
            max_width=24,
            mark=lambda probe: _passed(probe.error is None and bool(probe.requires_grad)),
        ),
        Column("grad_fn", lambda probe: "" if probe.error else probe.grad_fn),
        Column(
            "|gradient|\nby torques",
            lambda probe: probe.gradient_norm,
            words=norm,
            mark=lambda probe: None if probe.gradient_norm else Mark.BAD,
        ),
    ]
    title = "reading a state after a step with torques that require gradients, tried just now"
    return Table(title, columns, probes)


def _torque_certificates(
    certificates: list[Certificate], config: FrankaTestConfig
) -> Table[Certificate]:
    """Return how exact the gradients are, case by case."""

    def figure(heading: str, name: str, key: str) -> Column[Certificate]:
        return Column(heading, lambda own: getattr(own.summary, name), key=key)

    return Table(
        f"gradients by joint torques against central differences in float{config.precision}"
        f", at most {config.gradients.tolerance:g} apart",
        (
            Column("case", lambda own: own.rows[0].regime, key="case", is_whole=True),
            Column("steps", lambda own: own.rows[0].horizon, key="horizon"),
            figure("directions", "num_directions", "num_directions"),
            figure("median error", "median_relative_error", "median_error"),
            figure("worst error", "worst_relative_error", "worst_error"),
            figure("kinks", "num_kinks", "num_kinks"),
            Column(
                "contact",
                lambda own: own.rows[0].regime_fraction,
                "%",
                factor=100.0,
                key="contact_fraction",
            ),
            Column(
                "verdict",
                lambda own: own.is_certified,
                key="is_certified",
                words=lambda own: verdict_line("certified", own.is_certified, "{}").text,
                is_whole=True,
                mark=lambda own: _passed(own.is_certified),
            ),
        ),
        certificates,
    )
