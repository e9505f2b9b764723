"""One session of a training run: updates, evaluations, checkpoints and logs."""

import contextlib
import copy
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from types import FrameType
from typing import Any

from diffcar.base.errors import CheckpointError
from diffcar.controllers.checkpoint import checkpoint_content, load_checkpoint
from diffcar.training.contract import Trainer, UpdateRecord
from diffcar.training.resuming import require_same_files
from diffcar.training.run_folder import RunFolder

__all__ = ["Evaluated", "OnUpdate", "SessionOutcome", "TrainingSession", "deferred_interrupt"]


@dataclass(frozen=True)
class Evaluated:
    """The weights were evaluated in plain physics."""

    iteration: int
    """Updates done by then."""
    metrics: Any
    """Of the task."""


OnUpdate = Callable[[UpdateRecord | Evaluated], None]
"""Told of each update and evaluation."""


@dataclass
class SessionOutcome:
    """What one session of training did."""

    before: Any
    """Metrics before its first update."""
    updates: list[UpdateRecord] = field(default_factory=list)
    """The record of each of its updates."""
    seconds: float = 0.0
    """Wall time of its updates and evaluations [s]."""
    is_interrupted: bool = False
    """Whether the user asked for its end."""


class TrainingSession:
    """One process's share of a run: trains, evaluates in plain physics, and saves."""

    def __init__(
        self,
        folder: RunFolder,
        trainer: Trainer,
        *,
        method: str,
        on_update: OnUpdate = lambda event: None,
    ) -> None:
        self.folder, self.on_update = folder, on_update
        self.method = method
        """What checkpoints call it."""
        self.trainer, self.task = trainer, trainer.task
        self.best_score = math.inf
        self.train_seconds = trainer.seconds_before
        """Wall time of the updates of all sessions of this run, without evaluations [s]."""
        self._best_weights: dict[str, Any] | None = None
        self._best_metrics: Any = None
        self._scalars: Any = None
        self._metrics: list[str] = []

    def restore(self) -> None:
        """Go on where the folder's last checkpoint was written.

        Raises:
            CheckpointError: If it does not fit the configuration, or is damaged.
            ConfigError: If a file that the run was begun with is another one now.
        """
        last = self.folder.last
        try:
            if not (isinstance(done := last["trainer"]["num_updates_done"], int) and done >= 0):
                raise ValueError(f"{done!r} updates done")
            if "inputs" in last:  # none of diffcar 0.1.0 has them
                require_same_files(last["inputs"], self.trainer.inputs)
            self.trainer.load_state_dict({"network": last["network"], **last["trainer"]})
            self.best_score = float(last["best_score"])
            self.train_seconds = float(last["train_seconds"])
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            first_line = str(error).partition("\n")[0]
            raise CheckpointError(
                f"the checkpoint does not fit the configuration: {first_line}",
                hint="resume with the controller's sizes as they were",
            ) from None
        # It may be newer than the last checkpoint, if the process was killed in between.
        if (file := self.folder.checkpoints / "best.pt").is_file():
            best = load_checkpoint(file)
            self._best_weights, self.best_score = best["network"], float(best["best_score"])
        # What was evaluated before the first update is evaluated again.
        self.folder.rewind_metrics(self.trainer.num_updates_done or -1)

    def train(self, stop_after: int | None = None) -> SessionOutcome:
        """Run the updates that are left, or so many; a signal ends them after the one going on."""
        from diffcar.training.scalar_log import ScalarLog

        trainer = self.trainer
        began = time.perf_counter()
        self.task.keep(self.folder.path)
        last = None if stop_after is None else trainer.num_updates_done + stop_after
        # Updates that an earlier session logged after its last checkpoint are logged again.
        self._scalars = ScalarLog(self.folder.tensorboard, first_step=trainer.num_updates_done + 1)
        outcome = SessionOutcome(before=self.task.evaluate())
        self._metrics = [own.name for own in fields(outcome.before)]
        if trainer.num_updates_done == 0:
            self._record(None, outcome.before)
        elif self._is_due():  # as an undisturbed run has found, too
            self._note_if_done(outcome.before)
        with deferred_interrupt() as is_interrupted:
            resumed = time.perf_counter()
            for update in trainer.train(last):
                self.train_seconds += time.perf_counter() - resumed
                outcome.updates.append(update)
                self.on_update(update)
                self._record(update, self.task.evaluate() if self._is_due() else None)
                if is_interrupted():
                    outcome.is_interrupted = True
                    break
                resumed = time.perf_counter()
            # Under the guard, and before anything that takes time: whoever is impatient, or stops a
            # container, kills soon. After an exception the last periodic one is that to trust.
            self.save()
        if outcome.updates and not self._is_due():
            # So that what is left behind is the best so far, not what an early evaluation found.
            self._keep_if_best(self.task.evaluate())
            self.save()  # which has the best score
        self._scalars.close()
        outcome.seconds = time.perf_counter() - began
        return outcome

    def take_best_weights(self) -> Any:  # noqa: ANN401
        """Give the network the best weights of the run; return their metrics."""
        if self._best_weights is not None:
            self.task.network.load_state_dict(self._best_weights)
        # Those of an earlier session are known by their score alone.
        return self.task.evaluate() if self._best_metrics is None else self._best_metrics

    def _is_due(self) -> bool:
        """Tell whether the present weights are among those that are evaluated."""
        evaluation = self.trainer.config.evaluation
        return evaluation.is_due(self.trainer.num_updates_done) or self.trainer.is_finished

    def _keep_if_best(self, metrics: object, *, is_last_word: bool = False) -> None:
        """Keep and save the present weights if none were better, or nothing comes after them."""
        score = self.task.score(metrics)
        score = score if math.isfinite(score) else math.inf
        # While none has a score, the latest stand for the run, not the untrained ones.
        if self._best_weights is None or score <= self.best_score or is_last_word:
            self.best_score, self._best_metrics = score, metrics
            self._best_weights = copy.deepcopy(self.task.network.state_dict())
            self.save("best")

    def _note_if_done(self, metrics: object) -> None:
        """Let a training end that goes on until an evaluation finds nothing left to do."""
        if self.trainer.config.train.num_updates is None:
            self.trainer.is_good_enough = self.task.is_done(metrics)

    def _record(self, update: UpdateRecord | None, metrics: object | None) -> None:
        """Log an update and an evaluation, and save what they are worth."""
        iteration = self.trainer.num_updates_done
        if metrics is not None:
            self.on_update(Evaluated(iteration, metrics))
            self._note_if_done(metrics)
            # What ended the training is what it leaves, whatever else the score knows.
            self._keep_if_best(metrics, is_last_word=self.trainer.is_good_enough)
            if self.trainer.config.evaluation.keep_snapshots:
                self.save(f"at-{iteration:06d}")
        self._log(iteration, update, metrics)
        if iteration % self.trainer.config.train.checkpoint_interval == 0:
            self.save()

    def save(self, name: str = "last") -> None:
        """Write a checkpoint of the present state."""
        content = checkpoint_content(
            self.method,
            self.trainer.config.task,
            self.trainer.config,
            self.trainer.state_dict(),
            inputs=self.trainer.inputs,
            best_score=self.best_score,
            train_seconds=self.train_seconds,
            num_env_steps=self.trainer.num_env_steps,
        )
        self.folder.save_checkpoint(name, content)

    def _log(self, iteration: int, update: UpdateRecord | None, metrics: object | None) -> None:
        """Append to `metrics.csv` and TensorBoard."""
        columns = self.trainer.record_type.columns(self.trainer.term_names)
        figures = {} if update is None else update.row()
        row: dict[str, object] = {
            "iteration": iteration,
            **{name: figures.get(name, "") for name in columns},
            "train_seconds": self.train_seconds,
            "num_env_steps": self.trainer.num_env_steps,
            **{f"eval_{name}": getattr(metrics, name, "") for name in self._metrics},
        }
        self.folder.append_metrics(row)
        scalars = {}
        for name, value in row.items():
            if isinstance(value, float) and math.isfinite(value):
                section = "eval" if name.startswith("eval_") else "training"
                scalars[f"{section}/{name.removeprefix('eval_')}"] = value
        self._scalars.add(iteration, scalars)


# A terminal that was closed; there is none on Windows.
_HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a flag, so that no update is cut in two.

    A second one interrupts at once.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, *_HANGUP):
            if signal.getsignal(number) in (signal.SIG_IGN, None):
                continue  # as under nohup, or behind a shell's &
            # Only the main thread may do this; elsewhere signals keep their meaning.
            with contextlib.suppress(ValueError):
                previous[number] = signal.signal(number, handle)
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
