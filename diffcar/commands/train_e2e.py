"""`diffcar train-e2e`: train an MLP through the physics, judge it in plain physics."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import torch

from diffcar.config import TrainE2EConfig
from diffcar.controllers import TrackingMLP
from diffcar.drive import Drive, drive
from diffcar.evaluation import TrackingMetrics, tracking_metrics
from diffcar.gradcheck import Hop, trace_hops
from diffcar.path import ReferencePath, load_path
from diffcar.plots import plot_drive, plot_training
from diffcar.rollout import rollout
from diffcar.sim.car import GenesisCar
from diffcar.sim.scene import build_scene
from diffcar.sim.vehicle import load_vehicle
from diffcar.tracking import PathObserver, starts_on_path
from diffcar.training.checkpoint import (
    build_tracking_mlp,
    checkpoint_content,
    load_checkpoint,
    restore_tracking_mlp,
)
from diffcar.training.e2e import E2ETrainer, TrainStep, draw_starts
from diffcar.training.run_folder import RunFolder

__all__ = ["Evaluated", "PathScore", "Stage", "TrainE2EResult", "run"]

_SKIP_DISTANCE = 2.0
_DRAWN_TIME = 10.0


@dataclass(frozen=True)
class Stage:
    """Something long has begun."""

    description: str
    """What."""


@dataclass(frozen=True)
class Evaluated:
    """The controller was judged in the plain scene."""

    iteration: int
    """Updates done by then."""
    metrics: TrackingMetrics
    """On the training path, flying start."""


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


Event = Stage | TrainStep | Evaluated


def run(
    config: TrainE2EConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    stop_after: int | None = None,
    verbose: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> TrainE2EResult:
    """Train a controller and leave a run folder behind.

    Args:
        config: The resolved configuration.
        out: The run folder; None names one below `runs/`.
        resume: A run folder to go on with instead.
        stop_after: Updates after which this session stops, as if interrupted.
        verbose: Whether Genesis may log to the terminal.
        on_event: Called with stages, updates and evaluations as they happen.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If configuration, path, model or checkpoint is unusable, the simulator
            refuses, or the gradient stays non-finite.
    """
    began = time.perf_counter()
    checkpoint = None
    if resume is not None:
        RunFolder.open(resume)
        checkpoint = load_checkpoint(resume / "checkpoints" / "last.pt")
    vehicle = load_vehicle(config.model)
    path = load_path(config.path, max_curvature=vehicle.max_curvature)
    unseen = _unseen_paths(config)
    folder = RunFolder.open(resume) if resume else RunFolder.create(out, "train-e2e")
    folder.write_config(config)

    on_event(Stage("building the differentiable scene (about two minutes the first time)"))
    scene = build_scene(
        config, num_envs=config.train.num_envs, differentiable=True, vehicle=vehicle,
        verbose=verbose,
    )
    on_event(Stage("building the plain scene"))
    plain = build_scene(
        config, num_envs=config.evaluation.num_envs, differentiable=False, vehicle=vehicle,
        verbose=verbose,
    )
    for reference in (path, *unseen):
        reference.to(scene.dtype, scene.device)
    controller = build_tracking_mlp(
        config.controller, path, vehicle, dtype=scene.dtype, device=scene.device, seed=config.seed
    )
    session = _Session(config, folder, E2ETrainer(config, scene, path, controller), plain, on_event)
    if checkpoint is not None:
        session.restore(checkpoint)
    result = TrainE2EResult(run_folder=folder.path, warnings=path.warnings)
    session.train(result, stop_after)

    if not result.is_interrupted:
        on_event(Stage("driving paths that training has not seen"))
        best = restore_tracking_mlp(
            load_checkpoint(folder.path), path, vehicle, dtype=scene.dtype, device=scene.device
        )
        result.after = session.evaluate(best)
        _score(result, session, best, unseen)
    result.hops = _trace(session)
    plot_training(folder.metrics_file, folder.plots / "training.png")
    result.wall_seconds = time.perf_counter() - began
    return result


class _Session:
    """One process's share of a run: trains, judges and saves."""

    def __init__(
        self,
        config: TrainE2EConfig,
        folder: RunFolder,
        trainer: E2ETrainer,
        plain: GenesisCar,
        on_event: Callable[[Event], None],
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.config = config
        self.folder = folder
        self.trainer = trainer
        self.plain = plain
        self.on_event = on_event
        self.best_rmse_m = math.inf
        self.writer = SummaryWriter(str(folder.tensorboard))

    def restore(self, checkpoint: dict[str, object]) -> None:
        """Go on where a checkpoint was written."""
        trainer_state = dict(checkpoint["trainer"])  # type: ignore[call-overload]
        self.trainer.load_state_dict({"network": checkpoint["network"], **trainer_state})
        self.best_rmse_m = float(checkpoint["best_rmse_m"])  # type: ignore[arg-type]
        self.folder.rewind_metrics(self.trainer.num_updates_done)

    def train(self, result: TrainE2EResult, stop_after: int | None) -> None:
        """Run the updates of this session; a signal ends it after the one in progress."""
        trainer, train = self.trainer, self.config.train
        began = time.perf_counter()
        last = train.num_updates
        if stop_after is not None:
            last = min(last, trainer.num_updates_done + stop_after)
        try:
            if trainer.num_updates_done == 0:
                self._judge(None)
            result.before = self.evaluate(trainer.controller)
            with _deferred_interrupt() as interrupted:
                while trainer.num_updates_done < last and not interrupted():
                    step = trainer.update()
                    result.losses.append(step.loss)
                    result.num_skipped += step.is_skipped
                    result.num_env_steps += train.horizon * train.num_envs
                    self.on_event(step)
                    self._judge(step)
        finally:
            self._save("last")
            self.writer.close()
            result.num_updates = trainer.num_updates_done
            result.is_interrupted = trainer.num_updates_done < train.num_updates
            result.train_seconds = time.perf_counter() - began

    def evaluate(self, controller: TrackingMLP) -> TrackingMetrics:
        """Drive cars spread over the training path for a while, from a flying start."""
        plain, path = self.plain, controller.observer.path
        duration = self.config.evaluation.duration
        fraction = torch.arange(plain.num_envs, dtype=plain.dtype, device=plain.device)
        reach = path.length
        if not path.closed:
            reach = max(path.length - duration * self.config.path.top_speed, path.length / 4)
        arc_length = fraction / plain.num_envs * reach
        with torch.no_grad():
            plain.reset(starts_on_path(path, arc_length))
            trajectory = rollout(
                plain,
                controller,
                path,
                max(1, round(duration / plain.dt)),
                arc_length_hint=arc_length,
            )
        return tracking_metrics(trajectory, goal_distance=path.length)

    def _judge(self, step: TrainStep | None) -> None:
        """Evaluate if it is time, keep the best weights, and log."""
        iteration = self.trainer.num_updates_done
        is_last = iteration == self.config.train.num_updates
        metrics = None
        if iteration % self.config.evaluation.interval == 0 or is_last:
            metrics = self.evaluate(self.trainer.controller)
            self.on_event(Evaluated(iteration, metrics))
            rmse = metrics.cross_track_rmse_m
            if rmse < self.best_rmse_m or not (self.folder.checkpoints / "best.pt").exists():
                self.best_rmse_m = min(rmse, self.best_rmse_m)
                self._save("best")
        self._log(iteration, step, metrics)
        if step is not None and iteration % self.config.train.checkpoint_interval == 0:
            self._save("last")

    def _save(self, name: str) -> None:
        """Write a checkpoint of the present state."""
        self.folder.save_checkpoint(
            name, checkpoint_content(self.config, self.trainer.state_dict(), self.best_rmse_m)
        )

    def _log(
        self, iteration: int, step: TrainStep | None, metrics: TrackingMetrics | None
    ) -> None:
        """Append to `metrics.csv` and TensorBoard."""
        row: dict[str, object] = {"iteration": iteration, "loss": "" if step is None else step.loss}
        weights = self.config.loss.model_dump(exclude={"cross_track_scale"})
        names = [name for name, weight in weights.items() if weight]
        row |= {f"loss_{n}": "" if step is None else step.terms.get(n, "") for n in names}
        for name in (
            "gradient_norm",
            "clipped_gradient_norm",
            "learning_rate",
            "forward_seconds",
            "backward_seconds",
            "is_skipped",
        ):
            row[name] = "" if step is None else getattr(step, name)
        for name in TrackingMetrics.__dataclass_fields__:
            row[f"eval_{name}"] = "" if metrics is None else getattr(metrics, name)
        self.folder.append_metrics(row)
        for name, value in row.items():
            if isinstance(value, float) and math.isfinite(value):
                section = "eval" if name.startswith("eval_") else "training"
                self.writer.add_scalar(
                    f"{section}/{name.removeprefix('eval_')}", value, iteration
                )


def _unseen_paths(config: TrainE2EConfig) -> list[ReferencePath]:
    """Load the paths for the final judgement, at the limits of the training path."""
    limits = config.path.model_dump(
        include={"top_speed", "lateral_acceleration", "longitudinal_acceleration"}
    )
    return [
        load_path(type(config.path)(source=source, **limits))
        for source in config.evaluation.unseen_paths
        if source != config.path.source
    ]


def _score(
    result: TrainE2EResult,
    session: _Session,
    controller: TrackingMLP,
    unseen: list[ReferencePath],
) -> None:
    """Drive each unseen path from standing and flying starts; draw these and the training path."""
    plain = session.plain
    is_standing = torch.arange(plain.num_envs, device=plain.device) % 2 == 0
    # Starts a little apart, so that the figures are not those of one trajectory.
    arc_length = 0.1 * torch.arange(plain.num_envs, dtype=plain.dtype, device=plain.device)
    for path in (controller.observer.path, *unseen):
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
        plot_drive(driven, path, session.folder.plots / f"{path.name}.png", car=0)
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


def _trace(session: _Session) -> list[Hop]:
    """Report the gradient's way through one short rollout with the final weights."""
    trainer = session.trainer
    arc_length, start = draw_starts(trainer.path, trainer.config, 0, trainer.scene)
    return trace_hops(
        trainer.scene,
        trainer.controller,
        trainer.path,
        trainer.config.loss,
        start,
        arc_length=arc_length,
    )


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a flag, so that an update is never cut in two.

    A second one interrupts at once.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            # Only the main thread may do this; elsewhere signals keep their meaning.
            with contextlib.suppress(ValueError):
                previous[number] = signal.signal(number, handle)
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def as_json(result: TrainE2EResult) -> dict[str, object]:
    """Return the result as plain values for a JSON file."""
    values = asdict(result)
    values["run_folder"] = str(result.run_folder)
    return values
