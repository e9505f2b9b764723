"""`diffcar train-e2e --entity mpm`: train a tool to push a soft body along a path."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from diffcar.commands.events import Stage, Warned
from diffcar.config import TrainPushConfig
from diffcar.controllers.pushing_mlp import build_pushing_mlp
from diffcar.errors import GradientError, PathError
from diffcar.evaluation import PushMetrics
from diffcar.path import BUILTIN_PATHS, ReferencePath, load_path
from diffcar.plots import plot_push, plot_training
from diffcar.pushing import PushTask
from diffcar.sim.scene import build_soft_body_scene
from diffcar.training.checkpoint import load_checkpoint, require_method
from diffcar.training.push import PushTrainer
from diffcar.training.push_session import PushSession
from diffcar.training.run_folder import RunFolder
from diffcar.training.updates import TrainStep

__all__ = ["Event", "PushScore", "TrainPushResult", "as_json", "run"]

# Directions of the check before training: one along the gradient, others within a tensor each.
_NUM_CHECKS = 3
# Float32 differences through hundreds of substeps are known to a few percent.
_WRONG_GRADIENT_ERROR = 0.3
_ROOM_SPACING = 0.05
_BUILTIN_SCALE = TrainPushConfig().path.scale

Event = Stage | Warned | TrainStep


@dataclass(frozen=True)
class PushScore:
    """A controller on one path, judged without gradients."""

    path: str
    """Name."""
    is_unseen: bool
    """Whether training never saw it."""
    before: PushMetrics
    """With the weights that this session began with."""
    after: PushMetrics
    """With those that it ended with."""
    loss_before: float
    """What is minimised, of the same pushes as `before`."""
    loss_after: float
    """Of the same pushes as `after`."""


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
    verbose: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> TrainPushResult:
    """Train a controller and leave a run folder behind.

    Args:
        config: The resolved configuration.
        out: The run folder; None names one below `runs/`.
        resume: A run folder to go on with instead.
        stop_after: Updates after which this session stops, as if interrupted.
        certify: Whether to check the gradient against finite differences first.
        verbose: Whether Genesis may log to the terminal.
        on_event: Called with stages and updates as they happen.

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
    paths = _load_paths(config, on_event)
    on_event(Stage("building the differentiable scene (a minute or two the first time)"))
    scene = build_soft_body_scene(
        config,
        num_envs=config.train.num_envs,
        differentiable=True,
        verbose=verbose,
        **_grid_bounds(config),
    )
    for path in paths:
        path.to(scene.dtype, scene.device)
    controller = build_pushing_mlp(config, dtype=scene.dtype, device=scene.device)
    trainer = PushTrainer(config, scene, paths[0], controller)
    errors = []
    if certify and checkpoint is None:
        on_event(Stage("checking the gradient by the network's weights"))
        errors = _check_gradient(trainer)
    # Made only now, so that a scene that cannot be built leaves no folder in the way.
    folder = RunFolder.open(resume) if resume else RunFolder.create(out, "train-push")
    session = PushSession(folder, trainer, on_step=on_event)
    if checkpoint is not None:
        session.restore(checkpoint)
    folder.write_config(config)
    result = TrainPushResult(folder.path, errors_before_training=errors)
    _train_and_judge(session, paths, result, stop_after, on_event)
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
    on_event: Callable[[Event], None],
) -> None:
    """Judge, train and judge again; write what came of it into result and plots."""
    config, folder = session.config, session.folder
    on_event(Stage(f"pushing along {', '.join(path.name for path in paths)}, without gradients"))
    before = [session.judge(path) for path in paths]
    on_event(Stage("training, through the MPM solver (the first update takes longer)"))
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
    on_event(Stage("pushing along the same paths again"))
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


def _load_paths(config: TrainPushConfig, on_event: Callable[[Event], None]) -> list[ReferencePath]:
    """Load the training path and those that training never sees, at its scale."""
    sources = [config.path.source]
    sources += [name for name in config.evaluation.unseen_paths if name != config.path.source]
    paths = []
    for source in sources:
        closed = config.path.closed if source == sources[0] else None
        scale = config.path.scale
        # A user's file and the built-in paths need not be drawn at the same scale.
        if (source in BUILTIN_PATHS) != (sources[0] in BUILTIN_PATHS):
            scale = _BUILTIN_SCALE if source in BUILTIN_PATHS else 1.0
        settings = {"source": source, "scale": scale, "closed": closed}
        path = load_path(config.path.model_copy(update=settings), seed=config.seed)
        for warning in path.warnings:
            on_event(Warned(f"{path.name}: {warning}"))
        _require_room(config, path)
        paths.append(path)
    return paths


def _require_room(config: TrainPushConfig, path: ReferencePath) -> None:
    """Refuse a path with a part that a body would leave the grid on.

    Raises:
        PathError: If there is one.
    """
    begin = torch.arange(0.0, path.length, _ROOM_SPACING, dtype=path.dtype)
    zeros = torch.zeros_like(begin)
    task = PushTask(path, begin, zeros, zeros, zeros + 1)
    end = task.to_world(path.sample(begin + config.reach).position)
    aside = float(end[:, 1].abs().max()) + config.start.cross_track
    aside += config.reach * math.sin(min(config.start.heading, math.pi / 2))
    room = config.half_width - config.body_size / 2 - 3 / config.grid_density
    if aside > room:
        raise PathError(
            f"{path.name} turns so much that a push of {config.reach:.2f} m ends up to {aside:.3f} "
            f"m aside; the grid has room for {room:.3f} m",
            hint="raise half_width or --path-scale, or lower train.horizon",
        )


def _grid_bounds(config: TrainPushConfig) -> dict[str, Any]:
    """Return the corners of a grid that just holds a push along +x [m]."""
    cell = 1 / config.grid_density
    half, margin = config.body_size / 2, 4 * cell
    top = max(config.body_size, config.tool_size) + 5 * cell
    return {
        "lower_bound": (-half - margin, -config.half_width, -margin),
        "upper_bound": (config.reach + half + margin, config.half_width, top),
    }


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
