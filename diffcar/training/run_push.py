"""`diffcar train-e2e --entity mpm`: train a tool to push a soft body along a path."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from diffcar.base.errors import GradientError
from diffcar.base.log import logger
from diffcar.controllers.checkpoint import load_checkpoint, require_method
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_soft_body_scene
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.controller import build_pushing_mlp
from diffcar.tasks.pushing.pictures import plot_push
from diffcar.tasks.pushing.task import PushScore, grid_bounds, load_push_paths
from diffcar.training.optimiser import TrainStep
from diffcar.training.pictures import plot_training
from diffcar.training.push import PushTrainer
from diffcar.training.push_session import PushSession
from diffcar.training.run_folder import RunFolder

__all__ = ["TrainPushResult", "as_json", "run"]

# Directions of the check before training: one along the gradient, others within a tensor each.
_NUM_CHECKS = 3
# Float32 differences through hundreds of substeps are known to a few percent.
_WRONG_GRADIENT_ERROR = 0.3


@dataclass
class TrainPushResult:
    """What the run came to."""

    run_folder: Path
    """Where everything was written."""
    num_updates: int = 0
    """Updates done in all, earlier sessions included."""
    num_skipped: int = 0
    """Updates of this session that were skipped for non-finite numbers."""
    is_interrupted: bool = False
    """Whether it was stopped before the last update."""
    losses: list[float] = field(default_factory=list)
    """Loss of each update of this session."""
    scores: list[PushScore] = field(default_factory=list)
    """The training path first, then those never trained on."""
    skip_distance_m: float = 0.0
    """Errors of the scores count from where the running target has come this far [m]."""
    errors_before_training: list[float] = field(default_factory=list)
    """Of the gradient by the weights against finite differences, a direction each."""
    errors_in_training: list[float] = field(default_factory=list)
    """What the spot checks during training found."""
    train_seconds: float = 0.0
    """Wall time of this session's updates [s]."""
    wall_seconds: float = 0.0
    """Wall time of the whole session, imports left out [s]."""


def run(
    config: TrainPushConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    stop_after: int | None = None,
    certify: bool = True,
    on_update: Callable[[TrainStep], None] = lambda step: None,
) -> TrainPushResult:
    """Train a controller and leave a run folder behind.

    Args:
        config: The resolved configuration.
        out: The run folder; None names one below `runs/`.
        resume: A run folder to go on with instead.
        stop_after: Updates after which this session stops, as if interrupted.
        certify: Whether to check the gradient against finite differences first.
        on_update: Called after each update.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If configuration, path or checkpoint is unusable, the simulator refuses, the
            gradient is wrong, or it stays non-finite.
    """
    began = time.perf_counter()
    checkpoint = None
    if resume is not None:
        checkpoint = load_checkpoint(RunFolder.open(resume).checkpoints / "last.pt")
        require_method(checkpoint, "push")
    elif out is not None:
        RunFolder.require_free(out)
    paths = load_push_paths(config)
    logger.info("building the differentiable scene (a minute or two the first time)")
    scene = build_soft_body_scene(
        config,
        num_envs=config.train.num_envs,
        differentiable=True,
        **grid_bounds(config),
    )
    paths = [path.to(scene.dtype, scene.device) for path in paths]
    controller = build_pushing_mlp(config, dtype=scene.dtype, device=scene.device)
    trainer = PushTrainer(config, scene, paths[0], controller)
    errors = []
    if certify and checkpoint is None:
        logger.info("checking the gradient by the network's weights")
        errors = _check_gradient(trainer)
    # Made only now, so that a scene that cannot be built leaves no folder in the way.
    folder = RunFolder.open(resume) if resume else RunFolder.create(out, "train-push")
    session = PushSession(folder, trainer, on_step=on_update)
    if checkpoint is not None:
        session.restore(checkpoint)
    folder.write_config(config)
    result = TrainPushResult(folder.path, errors_before_training=errors)
    _train_and_judge(session, paths, result, stop_after)
    result.wall_seconds = time.perf_counter() - began
    return result


def as_json(result: TrainPushResult) -> dict[str, object]:
    """Return the result as plain values for a JSON file."""
    return {**asdict(result), "run_folder": str(result.run_folder)}


def _train_and_judge(
    session: PushSession,
    paths: list[ReferencePath],
    result: TrainPushResult,
    stop_after: int | None,
) -> None:
    """Judge, train and judge again; write what came of it into result and plots."""
    config, folder = session.config, session.folder
    logger.info(f"pushing along {', '.join(path.name for path in paths)}, without gradients")
    before = [session.judge(path) for path in paths]
    logger.info("training, through the MPM solver (the first update takes longer)")
    outcome = session.train(stop_after)
    steps = outcome.steps
    result.losses = [step.loss for step in steps]
    result.num_skipped = sum(step.is_skipped for step in steps)
    checked = [step.gradient_error for step in steps if not math.isnan(step.gradient_error)]
    result.errors_in_training = checked
    result.train_seconds = outcome.seconds
    result.num_updates = session.trainer.num_updates_done
    result.is_interrupted = result.num_updates < config.train.num_updates
    result.skip_distance_m = config.evaluation.skip_distance
    logger.info("pushing along the same paths again")
    for number, (path, first) in enumerate(zip(paths, before, strict=True)):
        last = session.judge(path)
        result.scores.append(
            PushScore(
                path.name,
                is_unseen=number > 0,
                before=session.metrics(first),
                after=session.metrics(last),
                loss_before=session.loss(first),
                loss_after=session.loss(last),
            )
        )
        plot_push(first, last, folder.plots / f"push-{number}-{path.name}.png")
    plot_training(folder.metrics_file, folder.plots / "training.png")


def _check_gradient(trainer: PushTrainer) -> list[float]:
    """Compare the gradient of an untrained network with finite differences.

    Raises:
        GradientError: If it is wrong along itself, where differences are told best from rounding.
    """
    errors = trainer.check_gradient(_NUM_CHECKS)
    if not errors[0] <= _WRONG_GRADIENT_ERROR:
        raise GradientError(
            "the gradient by the network's weights differs from finite differences by "
            + ", ".join(f"{error:.2g}" for error in errors),
            hint="try --precision 64, more substeps, or leave the check out: --no-certify",
        )
    return errors
