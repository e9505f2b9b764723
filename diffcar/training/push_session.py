"""One session of a training run with a soft body: updates, judgements, checkpoints and logs."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from diffcar.base.errors import CheckpointError
from diffcar.controllers.checkpoint import checkpoint_content
from diffcar.path.reference import ReferencePath
from diffcar.tasks.pushing.rollout import PushTrajectory, push
from diffcar.tasks.pushing.task import PushMetrics, push_metrics, spread_task
from diffcar.training.optimiser import TrainStep
from diffcar.training.push import PushTrainer
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import deferred_interrupt

__all__ = ["PushOutcome", "PushSession"]


@dataclass
class PushOutcome:
    """What one session of training did."""

    steps: list[TrainStep] = field(default_factory=list)
    """The record of each of its updates."""
    seconds: float = 0.0
    """Wall time of its updates and judgements [s]."""


class PushSession:
    """One process's share of a run: trains, judges without gradients, and saves.

    Args:
        folder: Where everything is written.
        trainer: The optimisation.
        on_step: Called after each update.
    """

    def __init__(
        self, folder: RunFolder, trainer: PushTrainer, *, on_step: Callable[[TrainStep], None]
    ) -> None:
        self.config = trainer.config
        self.folder = folder
        self.trainer = trainer
        self.on_step = on_step
        self.train_seconds = 0.0
        """Wall time of the updates of all sessions of this run [s]."""
        self.writer: Any = None

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written.

        Raises:
            CheckpointError: If it does not fit the configuration, or is damaged.
        """
        try:
            state = dict(checkpoint["trainer"])
            self.trainer.load_state_dict({"network": checkpoint["network"], **state})
            self.train_seconds = float(checkpoint["train_seconds"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            first_line = str(error).partition("\n")[0]
            raise CheckpointError(
                f"the checkpoint does not fit the configuration: {first_line}",
                hint="resume with the controller's sizes as they were",
            ) from None
        self.folder.rewind_metrics(self.trainer.num_updates_done)

    def train(self, stop_after: int | None = None) -> PushOutcome:
        """Run the updates that are left; a signal ends them after the one in progress.

        Args:
            stop_after: Updates after which to stop all the same.
        """
        from torch.utils.tensorboard import SummaryWriter

        trainer, outcome = self.trainer, PushOutcome()
        began = time.perf_counter()
        last = self.config.train.num_updates
        if stop_after is not None:
            last = min(last, trainer.num_updates_done + stop_after)
        # Steps that an earlier session logged after its last checkpoint are logged again.
        self.writer = SummaryWriter(
            str(self.folder.tensorboard), purge_step=trainer.num_updates_done + 1
        )
        if trainer.num_updates_done == 0:
            self._log(None, self.metrics(self.judge(trainer.path)))
        with deferred_interrupt() as is_interrupted:
            resumed = time.perf_counter()
            for step in trainer.train(last):
                self.train_seconds += time.perf_counter() - resumed
                outcome.steps.append(step)
                self.on_step(step)
                is_due = step.iteration % self.config.evaluation.interval == 0
                is_due |= step.iteration == self.config.train.num_updates
                self._log(step, self.metrics(self.judge(trainer.path)) if is_due else None)
                if step.iteration % self.config.train.checkpoint_interval == 0:
                    self._save()
                if is_interrupted():
                    break
                resumed = time.perf_counter()
        # Only here: after an exception the last periodic checkpoint is the one to trust.
        self._save()
        self.writer.close()
        outcome.seconds = time.perf_counter() - began
        return outcome

    def judge(self, path: ReferencePath) -> PushTrajectory:
        """Push bodies along parts spread over a path, without gradients."""
        scene = self.trainer.scene
        task = spread_task(path, self.config, scene)
        with torch.no_grad():
            return push(scene, self.trainer.controller, task, self.config.train.horizon)

    def metrics(self, trajectory: PushTrajectory) -> PushMetrics:
        """Return the figures of a judgement."""
        return push_metrics(trajectory, skip_distance=self.config.evaluation.skip_distance)

    def loss(self, trajectory: PushTrajectory) -> float:
        """Return the loss of a judgement, which unlike training's is always of the same pushes."""
        return sum(self.config.loss.costs(trajectory).floats().values())

    def _save(self) -> None:
        """Write a checkpoint of the present state."""
        train = self.config.train
        content = checkpoint_content(
            "push",
            self.config,
            self.trainer.state_dict(),
            train_seconds=self.train_seconds,
            num_env_steps=self.trainer.num_updates_done * train.num_envs * train.horizon,
        )
        self.folder.save_checkpoint("last", content)

    def _log(self, step: TrainStep | None, metrics: PushMetrics | None) -> None:
        """Append to `metrics.csv` and TensorBoard."""
        iteration = 0 if step is None else step.iteration
        figures = {} if step is None else step.row() | {"loss": step.loss}
        columns = TrainStep.columns(["cross_track", "progress", "smoothness"])
        row: dict[str, object] = {"iteration": iteration}
        row |= {name: figures.get(name, "") for name in columns}
        row["train_seconds"] = self.train_seconds
        for name in PushMetrics.__dataclass_fields__:
            row[f"eval_{name}"] = "" if metrics is None else getattr(metrics, name)
        self.folder.append_metrics(row)
        for name, value in row.items():
            if isinstance(value, float) and math.isfinite(value):
                section = "eval" if name.startswith("eval_") else "training"
                self.writer.add_scalar(f"{section}/{name.removeprefix('eval_')}", value, iteration)
