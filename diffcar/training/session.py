"""One session of a training run: updates, judgements, checkpoints and logs."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from diffcar.controllers import TrackingMLP
from diffcar.evaluation import TrackingMetrics, tracking_metrics
from diffcar.rollout import rollout
from diffcar.sim.car import GenesisCar
from diffcar.tracking import starts_on_path
from diffcar.training.checkpoint import checkpoint_content
from diffcar.training.e2e import E2ETrainer, TrainStep
from diffcar.training.interrupt import deferred_interrupt
from diffcar.training.run_folder import RunFolder

__all__ = ["Evaluated", "SessionOutcome", "TrainingSession"]


@dataclass(frozen=True)
class Evaluated:
    """The controller was judged in the plain scene."""

    iteration: int
    """Updates done by then."""
    metrics: TrackingMetrics
    """On the training path, flying start."""


@dataclass
class SessionOutcome:
    """What one session of training did."""

    before: TrackingMetrics
    """On the training path before its first update."""
    losses: list[float] = field(default_factory=list)
    """Loss of each of its updates."""
    num_skipped: int = 0
    """Updates skipped for non-finite numbers."""
    seconds: float = 0.0
    """Wall time of its updates and evaluations [s]."""


class TrainingSession:
    """One process's share of a run: trains, judges in a plain scene, and saves.

    Args:
        folder: Where everything is written.
        trainer: The optimisation.
        plain: Plain cars to judge with.
        on_event: Called after each update and evaluation.
    """

    def __init__(
        self,
        folder: RunFolder,
        trainer: E2ETrainer,
        plain: GenesisCar,
        *,
        on_event: Callable[[TrainStep | Evaluated], None],
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.config = trainer.config
        self.folder = folder
        self.trainer = trainer
        self.plain = plain
        self.on_event = on_event
        self.best_rmse_m = math.inf
        self.writer = SummaryWriter(str(folder.tensorboard))

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        self.trainer.load_state_dict({"network": checkpoint["network"], **checkpoint["trainer"]})
        self.best_rmse_m = float(checkpoint["best_rmse_m"])
        self.folder.rewind_metrics(self.trainer.num_updates_done)

    def train(self, stop_after: int | None = None) -> SessionOutcome:
        """Run the updates that are left; a signal ends them after the one in progress.

        Args:
            stop_after: Updates after which to stop all the same.
        """
        trainer = self.trainer
        began = time.perf_counter()
        last = self.config.train.num_updates
        if stop_after is not None:
            last = min(last, trainer.num_updates_done + stop_after)
        outcome = SessionOutcome(before=self.evaluate(trainer.controller))
        if trainer.num_updates_done == 0:
            self._record(None, outcome.before)
        try:
            with deferred_interrupt() as is_interrupted:
                while trainer.num_updates_done < last and not is_interrupted():
                    step = trainer.update()
                    outcome.losses.append(step.loss)
                    outcome.num_skipped += step.is_skipped
                    self.on_event(step)
                    self._record(step, self._evaluate_if_due())
        finally:
            self._save("last")
            self.writer.close()
            outcome.seconds = time.perf_counter() - began
        return outcome

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

    def _evaluate_if_due(self) -> TrackingMetrics | None:
        """Judge the present weights at intervals and after the last update."""
        iteration = self.trainer.num_updates_done
        is_due = iteration % self.config.evaluation.interval == 0
        if is_due or iteration == self.config.train.num_updates:
            return self.evaluate(self.trainer.controller)
        return None

    def _record(self, step: TrainStep | None, metrics: TrackingMetrics | None) -> None:
        """Log an update and an evaluation, and save what they are worth."""
        iteration = self.trainer.num_updates_done
        if metrics is not None:
            self.on_event(Evaluated(iteration, metrics))
            is_first = not (self.folder.checkpoints / "best.pt").exists()
            if is_first or metrics.cross_track_rmse_m < self.best_rmse_m:
                self.best_rmse_m = metrics.cross_track_rmse_m
                self._save("best")
        self._log(iteration, step, metrics)
        if iteration % self.config.train.checkpoint_interval == 0:
            self._save("last")

    def _save(self, name: str) -> None:
        """Write a checkpoint of the present state."""
        self.folder.save_checkpoint(
            name, checkpoint_content(self.config, self.trainer.state_dict(), self.best_rmse_m)
        )

    def _log(self, iteration: int, step: TrainStep | None, metrics: TrackingMetrics | None) -> None:
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
                self.writer.add_scalar(f"{section}/{name.removeprefix('eval_')}", value, iteration)
