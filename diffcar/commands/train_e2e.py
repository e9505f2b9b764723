"""`diffcar train-e2e`: train an MLP through the physics, judge it in plain physics."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from diffcar.commands.events import Stage, Warned
from diffcar.commands.short_certificate import ShortCertificate, certify_before_training
from diffcar.config import TrainE2EConfig
from diffcar.controllers import TrackingMLP, build_tracking_mlp
from diffcar.drive import Drive, drive
from diffcar.evaluation import TrackingMetrics, tracking_metrics
from diffcar.files import write_atomically
from diffcar.gradcheck import Hop, trace_hops
from diffcar.path import BUILTIN_PATHS, ReferencePath, load_path
from diffcar.plots import plot_drive, plot_training
from diffcar.rollout import Trajectory
from diffcar.sim.car import GenesisCar
from diffcar.sim.scene import build_scene
from diffcar.sim.vehicle import Vehicle, load_vehicle
from diffcar.tracking import PathObserver
from diffcar.training.checkpoint import (
    load_checkpoint,
    restore_tracking_mlp,
)
from diffcar.training.e2e import E2ETrainer, TrainStep, draw_starts
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import Evaluated, TrainingSession

__all__ = [
    "Event",
    "PathScore",
    "TrainE2EResult",
    "as_json",
    "run",
]

_SKIP_DISTANCE = 2.0
_DRAWN_TIME = 10.0


@dataclass(frozen=True)
class PathScore:
    """A finished controller on one path."""

    path: str
    """Name."""
    start: str
    """`standing` or `flying`."""
    metrics: TrackingMetrics
    """After the first two metres."""


@dataclass
class TrainE2EResult:
    """What a training run came to."""

    run_folder: Path
    """Where everything was written."""
    num_updates: int = 0
    """Updates done in all, earlier sessions included."""
    num_skipped: int = 0
    """Updates of this session that were skipped for non-finite numbers."""
    num_env_steps: int = 0
    """Control steps of all cars that the gradient has seen in this session."""
    is_interrupted: bool = False
    """Whether it was stopped before the last update."""
    before: TrackingMetrics | None = None
    """On the training path before the first update of this session."""
    after: TrackingMetrics | None = None
    """On the training path with the best weights."""
    scores: list[PathScore] = field(default_factory=list)
    """The best weights on paths never trained on."""
    certificate: ShortCertificate | None = None
    """The check of the gradients before training; None where it was left out."""
    worst_gradient_error: float | None = None
    """Largest error of the spot checks during training; None without any."""
    hops: list[Hop] = field(default_factory=list)
    """Gradient status from the network's output to the loss and its weights."""
    losses: list[float] = field(default_factory=list)
    """Loss of each update of this session."""
    train_seconds: float = 0.0
    """Wall time of the updates and evaluations of this session [s]."""
    wall_seconds: float = 0.0
    """Wall time of the whole session, imports left out [s]."""
    warnings: tuple[str, ...] = ()
    """What the user should know about the path."""


Event = Stage | Warned | TrainStep | Evaluated


def run(
    config: TrainE2EConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    stop_after: int | None = None,
    certify: bool = True,
    verbose: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> TrainE2EResult:
    """Train a controller and leave a run folder behind.

    Args:
        config: The resolved configuration.
        out: The run folder; None names one below `runs/`.
        resume: A run folder to go on with instead.
        stop_after: Updates after which this session stops, as if interrupted.
        certify: Whether to check the gradients against finite differences first.
        verbose: Whether Genesis may log to the terminal.
        on_event: Called with stages, updates and evaluations as they happen.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If configuration, path, model or checkpoint is unusable, the simulator
            refuses, the gradient is wrong, or it stays non-finite.
    """
    began = time.perf_counter()
    checkpoint = None
    if resume is not None:
        RunFolder.open(resume)
        checkpoint = load_checkpoint(resume / "checkpoints" / "last.pt")
    vehicle = load_vehicle(config.model)
    path = load_path(config.path, seed=config.seed, max_curvature=vehicle.max_curvature)
    unseen = _unseen_paths(config, vehicle)
    if resume is None and out is not None:
        RunFolder.require_free(out)
    for warning in path.warnings:
        on_event(Warned(warning))

    scene, plain = _build_scenes(config, vehicle, verbose=verbose, on_event=on_event)
    for reference in (path, *unseen):
        reference.to(scene.dtype, scene.device)
    controller = build_tracking_mlp(
        config.controller, path, vehicle, dtype=scene.dtype, device=scene.device, seed=config.seed
    )
    certificate = None
    if certify and checkpoint is None:
        certificate = certify_before_training(config, scene, controller, path, on_event)
    # Made only now, so that a scene that cannot be built leaves no folder in the way.
    folder = RunFolder.open(resume) if resume else RunFolder.create(out, "train-e2e")
    session = TrainingSession(
        folder, E2ETrainer(config, scene, path, controller), plain, on_event=on_event
    )
    if checkpoint is not None:
        session.restore(checkpoint)
        if certify:  # with the weights that training goes on with
            certificate = certify_before_training(config, scene, controller, path, on_event)
    folder.write_config(config)
    result = TrainE2EResult(run_folder=folder.path, warnings=path.warnings, certificate=certificate)
    if certificate is not None:
        text = json.dumps(asdict(certificate), indent=2) + "\n"
        write_atomically(folder.path / "certificate.json", lambda file: file.write_text(text))
    outcome = session.train(stop_after)
    result.before, result.losses = outcome.before, outcome.losses
    result.num_skipped, result.train_seconds = outcome.num_skipped, outcome.seconds
    result.worst_gradient_error = max(outcome.gradient_errors, default=None)
    result.num_updates = session.trainer.num_updates_done
    result.num_env_steps = len(outcome.losses) * config.train.horizon * config.train.num_envs
    result.is_interrupted = result.num_updates < config.train.num_updates
    if not result.is_interrupted:
        on_event(Stage("driving paths that training has not seen"))
        best = restore_tracking_mlp(
            load_checkpoint(folder.path), path, vehicle, dtype=scene.dtype, device=scene.device
        )
        result.after = session.evaluate(best)
        _score(result, session, best, unseen)
    plot_training(folder.metrics_file, folder.plots / "training.png")
    result.hops = _trace(session)
    result.wall_seconds = time.perf_counter() - began
    return result


def _build_scenes(
    config: TrainE2EConfig,
    vehicle: Vehicle,
    *,
    verbose: bool,
    on_event: Callable[[Event], None],
) -> tuple[GenesisCar, GenesisCar]:
    """Build the cars to train with and the plain ones to judge with."""
    scenes = []
    for is_differentiable, kind, num_envs in (
        (True, "differentiable", config.train.num_envs),
        (False, "plain", config.evaluation.num_envs),
    ):
        on_event(Stage(f"building the {kind} scene (a minute or two the first time)"))
        scenes.append(
            build_scene(
                config,
                num_envs=num_envs,
                differentiable=is_differentiable,
                vehicle=vehicle,
                verbose=verbose,
            )
        )
    return scenes[0], scenes[1]


def _unseen_paths(config: TrainE2EConfig, vehicle: Vehicle) -> list[ReferencePath]:
    """Load the paths for the final judgement, at the limits and the scale of the training's."""
    paths = []
    for source in config.evaluation.unseen_paths:
        if source != config.path.source:
            scale = 1.0 if source in BUILTIN_PATHS else config.path.scale
            settings = config.path.model_copy(
                update={"source": source, "scale": scale, "closed": None}
            )
            paths.append(load_path(settings, seed=config.seed, max_curvature=vehicle.max_curvature))
    return paths


def _score(
    result: TrainE2EResult,
    session: TrainingSession,
    controller: TrackingMLP,
    unseen: list[ReferencePath],
) -> None:
    """Drive each unseen path from standing and flying starts; draw these and the training path."""
    plain = session.plain
    is_standing = torch.arange(plain.num_envs, device=plain.device) % 2 == 0
    # Starts a little apart, so that the figures are not those of one trajectory.
    arc_length = 0.1 * torch.arange(plain.num_envs, dtype=plain.dtype, device=plain.device)
    for number, path in enumerate((controller.observer.path, *unseen)):
        is_training_path = path is controller.observer.path
        driven = drive(
            plain,
            TrackingMLP(
                controller.network,
                PathObserver(path, session.config.controller),
                controller.vehicle,
            ),
            path,
            is_standing=is_standing,
            arc_length=arc_length,
            max_time=_DRAWN_TIME if is_training_path else None,
        )
        plot_drive(driven, path, session.folder.plots / f"drive-{number}-{path.name}.png")
        if not is_training_path:
            for start, selected in (("standing", is_standing), ("flying", ~is_standing)):
                result.scores.append(PathScore(path.name, start, _metrics_of(driven, selected)))


def _metrics_of(driven: Drive, selected: torch.Tensor) -> TrackingMetrics:
    """Return the metrics of some of the cars, after the first two metres."""
    return tracking_metrics(
        driven.trajectory.select(selected),
        goal_distance=driven.goal_distance[selected],
        skip_distance=_SKIP_DISTANCE,
    )


def _trace(session: TrainingSession) -> list[Hop]:
    """Report the gradient's way through one short rollout with the final weights."""
    trainer = session.trainer
    arc_length, start = draw_starts(trainer.path, trainer.config, 0, trainer.scene)

    def loss_of(trajectory: Trajectory) -> Tensor:
        terms, _ = trainer.loss_terms(trajectory, arc_length)
        return torch.stack(list(terms.values())).sum()

    return trace_hops(
        trainer.scene,
        trainer.controller,
        trainer.path,
        start,
        arc_length=arc_length,
        loss_of=loss_of,
    )


def as_json(result: TrainE2EResult) -> dict[str, object]:
    """Return the result as plain values for a JSON file."""
    values = asdict(result)
    values["run_folder"] = str(result.run_folder)
    return values
