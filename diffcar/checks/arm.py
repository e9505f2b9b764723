"""`diffcar franka-test`: prove a Franka's gradients, and train it to reach through the physics."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from diffcar.base.log import logger
from diffcar.gradients.hops import Hop
from diffcar.sim.arm import ON_GROUND, GenesisArm
from diffcar.sim.build import build_scene
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.reaching.controller import ReachingMLP
from diffcar.tasks.reaching.pictures import plot_reach
from diffcar.tasks.reaching.problem import (
    ReadProbe,
    TorqueCertificate,
    certify_torques,
    probe_reads,
)
from diffcar.tasks.reaching.task import (
    ReachMetrics,
    reach,
)
from diffcar.training.run import TrainingResult, train
from diffcar.training.session import OnUpdate

__all__ = ["FrankaTestResult", "as_json", "run"]

_NUM_FILMED_TARGETS = 6


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
    plot_file: Path | None = None,
    video_file: Path | None = None,
    on_update: OnUpdate = lambda event: None,
) -> FrankaTestResult:
    """Probe and certify an arm's gradients, train it to reach, and judge it in plain physics.

    Args:
        config: The resolved configuration.
        plot_file: Where to write a PNG of loss and distances.
        video_file: Where to write an mp4 of some reaches.
        on_update: Called after each update.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If the simulator refuses, or the gradient stays non-finite.
    """
    began = time.perf_counter()
    test = _FrankaTest(config, on_update)
    num_envs = config.num_envs
    arm = test.build("differentiable", num_envs, differentiable=True)
    logger.info("reading states, and checking gradients by joint torques in free space")
    test.result.probes = probe_reads(arm)
    test.certify(arm, "in free space", arm.home)
    grounded = test.build("differentiable ground", num_envs, differentiable=True, with_ground=True)
    logger.info("checking gradients by joint torques on the ground")
    share = config.gradients.min_contact_fraction
    test.certify(grounded, "on the ground", grounded.tensor(ON_GROUND), share)

    logger.info("training the arm to reach, through the physics")
    trained = train("e2e", config, certify=False, scenes=arm, on_update=on_update)
    test.take(trained)
    if plot_file is not None:
        passing = config.reach.max_mean_distance
        losses = test.result.losses
        trajectory = trained.task.reach_unseen()
        plot_reach(losses, trajectory, plot_file, dt=config.dt, max_mean_distance=passing)
    if video_file is not None:
        target = trained.task.reach_unseen().target[:_NUM_FILMED_TARGETS]
        test.film(trained.task.driver, target, video_file)
    test.result.wall_seconds = time.perf_counter() - began
    return test.result


def as_json(result: FrankaTestResult) -> dict[str, object]:
    """Return the result as plain values for a JSON file."""
    verdicts = {"is_certified": result.is_certified, "is_reached": result.is_reached}
    return {**verdicts, **asdict(result)}


class _FrankaTest:
    """A test in progress: what its parts share."""

    def __init__(self, config: FrankaTestConfig, on_update: OnUpdate) -> None:
        self.config = config
        self.on_update = on_update
        self.result = FrankaTestResult(
            precision=config.precision,
            dt=config.dt,
            tolerance=config.gradients.tolerance,
            max_mean_distance_m=config.reach.max_mean_distance,
        )

    def build(
        self,
        kind: str,
        num_envs: int,
        *,
        differentiable: bool = False,
        with_ground: bool = False,
        with_camera: bool = False,
    ) -> GenesisArm:
        """Build a scene, which takes long."""
        logger.info(f"building the {kind} scene (a minute or two the first time)")
        return build_scene(
            self.config,
            num_envs=num_envs,
            differentiable=differentiable,
            with_ground=with_ground,
            with_camera=with_camera,
        )

    def certify(
        self, arm: GenesisArm, case: str, joint_angles: Tensor, min_contact_fraction: float = 0.0
    ) -> None:
        """Certify the gradients of one case."""
        self.result.certificates.append(
            certify_torques(
                arm,
                case,
                joint_angles,
                self.config.gradients,
                seed=self.config.seed,
                min_contact_fraction=min_contact_fraction,
            )
        )

    def take(self, trained: TrainingResult) -> None:
        """Keep the figures of the training."""
        result = self.result
        result.losses, result.num_skipped = trained.losses, trained.num_skipped
        result.before, result.after = trained.before, trained.after
        result.hops, result.train_seconds = trained.hops, trained.train_seconds
        result.mean_distances_m = trained.findings["mean_distances_m"]
        result.worst_distances_m = trained.findings["worst_distances_m"]

    def film(self, controller: ReachingMLP, targets: Tensor, file: Path) -> None:
        """Film an arm reaching for one target after the other."""
        arm = self.build("filmed", 1, with_ground=True, with_camera=True)
        logger.info("filming")
        camera = arm.camera
        assert camera is not None
        num_steps = self.config.train.horizon

        def film_one(target: Tensor) -> None:
            # Marked in each step: the reset at a reach's start wipes what was painted before it.
            reach(arm, controller, target[None], num_steps, on_step=lambda _: camera.mark(target))

        with camera.recording(file), torch.no_grad():
            for target in targets:
                film_one(target)
