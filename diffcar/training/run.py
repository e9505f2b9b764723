"""What all commands that train a path-tracking controller do around their own optimisation."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from diffcar.base.log import logger
from diffcar.controllers.checkpoint import load_checkpoint, require_method, restore_tracking_mlp
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.path.config import PATHS
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarScene
from diffcar.sim.model.vehicle import Vehicle, load_vehicle
from diffcar.tasks.tracking.drive import Drive, drive
from diffcar.tasks.tracking.metrics import TrackingMetrics, tracking_metrics
from diffcar.tasks.tracking.pictures import plot_drive
from diffcar.training.config import TrainingConfig
from diffcar.training.pictures import plot_training
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import SessionOutcome, TrainingSession

__all__ = [
    "Course",
    "PathScore",
    "TrainingResult",
    "as_json",
    "build_plain_scene",
    "complete",
    "load_course",
    "open_checkpoint",
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
class TrainingResult:
    """What a training run came to, by whatever method."""

    run_folder: Path
    """Where everything was written."""
    num_updates: int = 0
    """Updates done in all, earlier sessions included."""
    num_skipped: int = 0
    """Updates of this session that were skipped for non-finite numbers."""
    num_env_steps: int = 0
    """Control steps of all cars that training has used in all."""
    is_interrupted: bool = False
    """Whether it was stopped before the last update."""
    before: TrackingMetrics | None = None
    """On the training path before the first update of this session."""
    after: TrackingMetrics | None = None
    """On the training path with the best weights."""
    scores: list[PathScore] = field(default_factory=list)
    """The best weights on paths never trained on."""
    losses: list[float] = field(default_factory=list)
    """Loss of each update of this session."""
    train_seconds: float = 0.0
    """Wall time of the updates and evaluations of this session [s]."""
    wall_seconds: float = 0.0
    """Wall time of the whole session, imports left out [s]."""
    warnings: tuple[str, ...] = ()
    """What the user should know about the path."""


@dataclass(frozen=True)
class Course:
    """What is driven, and with which car."""

    vehicle: Vehicle
    """The car."""
    path: ReferencePath
    """What training follows."""
    unseen: list[ReferencePath]
    """What the finished controller drives."""

    def to(self, scene: CarScene) -> "Course":
        """Return the course in the number format of a scene."""
        path, *unseen = (p.to(scene.dtype, scene.device) for p in (self.path, *self.unseen))
        return Course(self.vehicle, path, unseen)


def open_checkpoint(resume: Path | None, method: str) -> dict[str, Any] | None:
    """Return the last checkpoint of the run to go on with, if there is one.

    Args:
        resume: The run folder.
        method: `e2e`, `bc` or `ppo`.

    Raises:
        CheckpointError: If there is none, or it is another method's.
    """
    if resume is None:
        return None
    checkpoint = load_checkpoint(RunFolder.open(resume).checkpoints / "last.pt")
    require_method(checkpoint, method)
    return checkpoint


def load_course(config: TrainingConfig) -> Course:
    """Load the car, the training path, and the paths for the final judgement.

    The latter are driven at the limits and the scale of the former.

    Raises:
        DiffcarError: If one cannot be used.
    """
    vehicle = load_vehicle(config.model)
    path = load_path(config.path, seed=config.seed, max_curvature=vehicle.max_curvature)
    unseen = []
    for source in config.evaluation.unseen_paths:
        if source != config.path.source:
            scale = 1.0 if source in PATHS else config.path.scale
            settings = config.path.model_copy(
                update={"source": source, "scale": scale, "closed": None}
            )
            unseen.append(
                load_path(settings, seed=config.seed, max_curvature=vehicle.max_curvature)
            )
    for warning in path.warnings:
        logger.warning(warning)
    return Course(vehicle, path, unseen)


def build_plain_scene(
    config: CarConfig,
    course: Course,
    *,
    num_envs: int,
) -> GenesisCar:
    """Build plain cars."""
    logger.info("building the plain scene (a minute or two the first time)")
    plain = build_scene(config, num_envs=num_envs, differentiable=False, vehicle=course.vehicle)
    return plain


def complete(
    result: TrainingResult,
    session: TrainingSession,
    outcome: SessionOutcome,
    course: Course,
) -> None:
    """Write into the result what a session did and, after the last update, how good it is."""
    trainer, plain = session.trainer, session.plain
    result.before = outcome.before
    result.losses = [step.loss for step in outcome.steps]
    result.num_skipped = sum(step.is_skipped for step in outcome.steps)
    result.train_seconds = outcome.seconds
    result.num_updates = trainer.num_updates_done
    result.num_env_steps = trainer.num_env_steps
    result.is_interrupted = not trainer.is_finished
    if trainer.is_finished:
        logger.info("driving paths that training has not seen")
        best = restore_tracking_mlp(
            load_checkpoint(session.folder.path),
            course.vehicle,
            dtype=plain.dtype,
            device=plain.device,
        )
        result.after = session.evaluate(best)
        _score(result, session, best, course)
    plot_training(session.folder.metrics_file, session.folder.plots / "training.png")


def _score(
    result: TrainingResult, session: TrainingSession, controller: TrackingMLP, course: Course
) -> None:
    """Drive each unseen path from standing and flying starts; draw these and the training path."""
    plain = session.plain
    is_standing = torch.arange(plain.num_envs, device=plain.device) % 2 == 0
    # Starts a little apart, so that the figures are not those of one trajectory.
    arc_length = 0.1 * torch.arange(plain.num_envs, dtype=plain.dtype, device=plain.device)
    for number, path in enumerate((course.path, *course.unseen)):
        is_training_path = path is course.path
        driven = drive(
            plain,
            controller,
            path,
            is_standing=is_standing,
            arc_length=arc_length,
            max_time=_DRAWN_TIME if is_training_path else None,
        )
        plot_drive(driven, path, session.folder.plots / f"drive-{number}-{path.name}.png")
        if not is_training_path:
            for start, selected in (("standing", is_standing), ("flying", ~is_standing)):
                metrics = _metrics_of(driven, path, selected)
                result.scores.append(PathScore(path.name, start, metrics))


def _metrics_of(driven: Drive, path: ReferencePath, selected: torch.Tensor) -> TrackingMetrics:
    """Return the metrics of some of the cars, after the first two metres."""
    return tracking_metrics(
        driven.trajectory.select(selected),
        goal_distance=driven.goal_distance[selected],
        skip_distance=min(_SKIP_DISTANCE, path.length / 4),
    )


def as_json(result: TrainingResult) -> dict[str, object]:
    """Return the result as plain values for a JSON file."""
    values = asdict(result)
    values["run_folder"] = str(result.run_folder)
    return values
