"""One session of a training run: updates, judgements, checkpoints and logs."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import torch

from diffcar.base.errors import CheckpointError
from diffcar.controllers.checkpoint import checkpoint_content
from diffcar.controllers.errors import starts_on_path
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarScene
from diffcar.tasks.tracking.metrics import TrackingMetrics, tracking_metrics
from diffcar.tasks.tracking.rollout import rollout
from diffcar.training.contract import Trainer
from diffcar.training.optimiser import Step
from diffcar.training.run_folder import RunFolder

__all__ = ["Evaluated", "OnUpdate", "SessionOutcome", "TrainingSession", "deferred_interrupt"]

_SKIP_DISTANCE = 2.0


@dataclass(frozen=True)
class Evaluated:
    """The controller was judged in the plain scene."""

    iteration: int
    """Updates done by then."""
    metrics: TrackingMetrics
    """On the training path, half of the cars from rest."""


OnUpdate = Callable[[Step | Evaluated], None]
"""Told of each update and evaluation."""


@dataclass
class SessionOutcome:
    """What one session of training did."""

    before: TrackingMetrics
    """On the training path before its first update."""
    steps: list[Step] = field(default_factory=list)
    """The record of each of its updates."""
    seconds: float = 0.0
    """Wall time of its updates and evaluations [s]."""
    is_interrupted: bool = False
    """Whether the user asked for its end."""


class TrainingSession:
    """One process's share of a run: trains, judges in a plain scene, and saves.

    Args:
        folder: Where everything is written.
        trainer: The optimisation.
        plain: Plain cars to judge with.
        path: What they follow.
        on_update: Called after each update and evaluation.
    """

    def __init__(
        self,
        folder: RunFolder,
        trainer: Trainer,
        plain: CarScene,
        path: ReferencePath,
        *,
        on_update: OnUpdate,
    ) -> None:
        self.config = trainer.config
        self.folder = folder
        self.trainer = trainer
        self.plain = plain
        self.path = path
        self.on_update = on_update
        self.best_score = math.inf
        self.train_seconds = 0.0
        """Wall time of the updates of all sessions of this run, without evaluations [s]."""
        self.writer: Any = None

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written.

        Raises:
            CheckpointError: If it does not fit the configuration, or is damaged.
        """
        try:
            trainer_state = dict(checkpoint["trainer"])
            self.trainer.load_state_dict({"network": checkpoint["network"], **trainer_state})
            self.best_score = float(checkpoint["best_score"])
            self.train_seconds = float(checkpoint["train_seconds"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            first_line = str(error).partition("\n")[0]
            raise CheckpointError(
                f"the checkpoint does not fit the configuration: {first_line}",
                hint="resume with the controller's sizes as they were",
            ) from None
        self.folder.rewind_metrics(self.trainer.num_updates_done)

    def train(self, stop_after: int | None = None) -> SessionOutcome:
        """Run the updates that are left; a signal ends them after the one in progress.

        Args:
            stop_after: Updates after which to stop all the same.
        """
        from torch.utils.tensorboard import SummaryWriter

        trainer = self.trainer
        began = time.perf_counter()
        last = self.config.train.num_updates
        if stop_after is not None:
            last = min(last, trainer.num_updates_done + stop_after)
        # Steps that an earlier session logged after its last checkpoint are logged again.
        self.writer = SummaryWriter(
            str(self.folder.tensorboard), purge_step=trainer.num_updates_done + 1
        )
        outcome = SessionOutcome(before=self.evaluate(trainer.controller))
        if trainer.num_updates_done == 0:
            self._record(None, outcome.before)
        with deferred_interrupt() as is_interrupted:
            resumed = time.perf_counter()
            for step in trainer.train(last):
                self.train_seconds += time.perf_counter() - resumed
                outcome.steps.append(step)
                self.on_update(step)
                self._record(step, self._evaluate_if_due())
                if is_interrupted():
                    outcome.is_interrupted = True
                    break
                resumed = time.perf_counter()
        if outcome.steps and not self._is_judged():
            # So that what is left behind is the best so far, not what an early judgement found.
            self._keep_if_best(self.evaluate(trainer.controller))
        # Only here: after an exception the last periodic checkpoint is the one to trust.
        self._save("last")
        self.writer.close()
        outcome.seconds = time.perf_counter() - began
        return outcome

    def evaluate(self, controller: TrackingMLP) -> TrackingMetrics:
        """Drive cars spread over the training path for a while, every other one from rest.

        Args:
            controller: What drives.

        Returns:
            The metrics after the first metres; completion is how many of the cars came past them.
        """
        plain, path = self.plain, self.path
        duration, top_speed = self.config.evaluation.duration, self.config.path.top_speed
        index = torch.arange(plain.num_envs, dtype=plain.dtype, device=plain.device)
        reach = path.length
        if not path.closed:
            reach = max(path.length - duration * top_speed, path.length / 4)
        arc_length = index / plain.num_envs * reach
        speed = path.sample(arc_length).speed
        skip_distance = min(_SKIP_DISTANCE, duration * top_speed / 4, path.length / 4)
        with torch.no_grad():
            start = starts_on_path(path, arc_length, speed=torch.where(index % 2 == 0, speed, 0.0))
            num_steps = max(1, round(duration / plain.dt))
            trajectory = rollout(plain, controller, path, start, num_steps)
        metrics = tracking_metrics(
            trajectory, goal_distance=path.length, skip_distance=skip_distance
        )
        came_past = (trajectory.distance.amax(0) >= skip_distance).to(plain.dtype)
        return replace(metrics, completion=float(came_past.mean()))

    def _score(self, metrics: TrackingMetrics) -> float:
        """Return what the best weights are chosen by: tracking as the loss weighs it.

        Weights with which a car does not get going are never the best.
        """
        weights = self.config.loss
        score = (
            max(weights.cross_track, weights.time_indexed) * metrics.cross_track_rmse_m**2
            + weights.speed * metrics.speed_rmse_mps**2
        )
        return score if math.isfinite(score) and metrics.completion == 1.0 else math.inf

    def _evaluate_if_due(self) -> TrackingMetrics | None:
        """Judge the present weights at intervals and after the last update."""
        return self.evaluate(self.trainer.controller) if self._is_judged() else None

    def _is_judged(self) -> bool:
        """Tell whether the present weights are among those that are judged."""
        iteration, evaluation = self.trainer.num_updates_done, self.config.evaluation
        is_due = iteration % evaluation.interval == 0 or iteration in evaluation.also_after
        return is_due or self.trainer.is_finished

    def _keep_if_best(self, metrics: TrackingMetrics) -> None:
        """Save the present weights if none were better."""
        score = self._score(metrics)
        is_first = not (self.folder.checkpoints / "best.pt").exists()
        # While none has a score, the latest stand for the run, not the untrained ones.
        if is_first or score <= self.best_score:
            self.best_score = score
            self._save("best")

    def _record(self, step: Step | None, metrics: TrackingMetrics | None) -> None:
        """Log an update and an evaluation, and save what they are worth."""
        iteration = self.trainer.num_updates_done
        if metrics is not None:
            self.on_update(Evaluated(iteration, metrics))
            self._keep_if_best(metrics)
            if self.config.evaluation.keep_snapshots:
                self._save(f"at-{iteration:06d}")
        self._log(iteration, step, metrics)
        if iteration % self.config.train.checkpoint_interval == 0:
            self._save("last")

    def _save(self, name: str) -> None:
        """Write a checkpoint of the present state."""
        content = checkpoint_content(
            self.trainer.method,
            self.config,
            self.trainer.state_dict(),
            best_score=self.best_score,
            train_seconds=self.train_seconds,
            num_env_steps=self.trainer.num_env_steps,
        )
        self.folder.save_checkpoint(name, content)

    def _log(self, iteration: int, step: Step | None, metrics: TrackingMetrics | None) -> None:
        """Append to `metrics.csv` and TensorBoard."""
        columns = type(self.trainer).step_type.columns(self.trainer.term_names)
        figures = {} if step is None else step.row()
        row: dict[str, object] = {"iteration": iteration}
        row |= {name: figures.get(name, "") for name in columns}
        row["train_seconds"] = self.train_seconds
        row["num_env_steps"] = self.trainer.num_env_steps
        for name in TrackingMetrics.__dataclass_fields__:
            row[f"eval_{name}"] = "" if metrics is None else getattr(metrics, name)
        self.folder.append_metrics(row)
        for name, value in row.items():
            if isinstance(value, float) and math.isfinite(value):
                section = "eval" if name.startswith("eval_") else "training"
                self.writer.add_scalar(f"{section}/{name.removeprefix('eval_')}", value, iteration)


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
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
