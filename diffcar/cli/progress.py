"""Progress on stderr, as bars or lines."""

import logging
import math
import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from diffcar.base.log import logger
from diffcar.training.contract import UpdateRecord
from diffcar.training.session import Evaluated

__all__ = ["ComparisonDisplay", "Display", "DriveDisplay", "TrainingDisplay"]

_PLAIN_LINE_INTERVAL = 5
_PLAIN_SECONDS = 15.0
# Differences in float32 are known to a few percent; kinks under the cars make single ones worse.
_SUSPICIOUS_GRADIENT_ERROR = 0.2


class Display(logging.Handler):
    """Progress on stderr: a live bar in a terminal, plain lines elsewhere; what is logged, too.

    Args:
        columns: What stands beside the bar, as rich's format of its fields.
        title: What stands before it; without, there is no bar.
        total: How much is to be done, if that is known.
    """

    def __init__(self, *columns: str, title: str = "", total: float | None = None) -> None:
        super().__init__()
        self._is_live = sys.stderr.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            *(TextColumn(column, markup=False) for column in columns),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not self._is_live,
            # Genesis takes a wrapped stdout for a graphical shell, and says so.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._told = time.perf_counter()
        if title:
            self._task = self._progress.add_task(title, total=total, status="")

    def __enter__(self) -> Self:
        self._progress.start()
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        logger.removeHandler(self)
        self._progress.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Say what is logged: `...` behind what has begun, `note:` before what to know."""
        text = record.getMessage()
        self.say(f"note: {text}" if record.levelno >= logging.WARNING else f"{text} ...")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._told = time.perf_counter()
        self._progress.console.print(Text(text), soft_wrap=True)

    def _is_silent(self) -> bool:
        """Tell whether nothing has been seen of the progress for long: no bar, and no line."""
        return not self._is_live and time.perf_counter() - self._told > _PLAIN_SECONDS


class TrainingDisplay(Display):
    """Shows the events of a training run of so many updates, or at most so many."""

    def __init__(self, num_updates: int, *, is_most: bool = False) -> None:
        columns = "{task.completed}/{task.total}", "{task.fields[status]}"
        super().__init__(*columns, title="training", total=num_updates)
        self._num_updates = num_updates
        self._at = "max " if is_most else ""
        self._evaluated = ""
        self._began: float | None = None
        self._first = 0

    def show(self, event: UpdateRecord | Evaluated) -> None:
        """Show an evaluation, or an update: in the bar, or some of them as lines."""
        if isinstance(event, Evaluated):
            self._evaluated = f"  {event.metrics} (update {event.iteration})"
            self.say(f"update {event.iteration:4d}  plain physics: {event.metrics}")
            return
        now = time.perf_counter()
        if self._began is None:
            self._began, self._first = now, event.iteration
            # The bar estimates the time left from what it sees done: not what came before.
            self._progress.reset(self._task, completed=event.iteration)
        terms = " ".join(f"{name} {value:.2g}" for name, value in event.terms.items())
        own = (f"  {key} {getattr(event, name):.2g}" for key, name in event.highlights.items())
        status = f"loss {event.loss:.3g}{''.join(own)}"
        shown = f"{status}{self._evaluated}\n{terms}"
        self._progress.update(self._task, completed=event.iteration, status=shown)
        self._show_what_is_odd(event)
        is_due = event.iteration % _PLAIN_LINE_INTERVAL == 0 or self._is_silent()
        if self._is_live or event.is_skipped or not is_due:
            return
        left = ""
        if done := event.iteration - self._first:
            seconds = (now - self._began) / done * (self._num_updates - event.iteration)
            left = f"  {self._at}{seconds:.0f} s left"
        self.say(f"update {event.iteration:4d}  {status}  ({terms}){left}")

    def _show_what_is_odd(self, step: UpdateRecord) -> None:
        """Say what should not happen in an update, or not often."""
        gradient_error = getattr(step, "gradient_error", math.nan)
        if gradient_error > _SUSPICIOUS_GRADIENT_ERROR:
            self.say(
                f"update {step.iteration}: the gradient differs from a finite difference by "
                f"{gradient_error:.2g}"
            )
        if step.is_skipped:
            self.say(f"update {step.iteration}: loss or gradient not finite, skipped")


class ComparisonDisplay(Display):
    """Shows what a comparison is at: many trainings, one after the other."""

    def __init__(self) -> None:
        super().__init__("{task.fields[status]}", title="comparing")

    def show(self, event: UpdateRecord | Evaluated) -> None:
        """Show an update."""
        if isinstance(event, Evaluated):
            return
        status = f"update {event.iteration}  loss {event.loss:.3g}"
        self._progress.update(self._task, status=status)
        if self._is_silent():
            self.say(status)


class DriveDisplay(Display):
    """Shows how far a drive has come, for which a scene is built first."""

    def __init__(self) -> None:
        super().__init__("{task.percentage:.0f} %", title="driving", total=1.0)
        self._shown, self._began = -1.0, math.inf

    def show(self, fraction: float) -> None:
        """Show the fraction of the path driven."""
        fraction = min(fraction, 1.0)
        self._began = min(self._began, now := time.perf_counter())
        if fraction - self._shown > 0.01:
            self._shown = fraction
            self._progress.update(self._task, completed=fraction)
        if self._is_silent():
            # Of how fast it goes nothing is known at first, when kernels are loaded.
            is_known = fraction >= 0.02 and now > self._began
            seconds = (now - self._began) * (1 / fraction - 1) if is_known else 0.0
            left = f"  {seconds:.0f} s left" if is_known else ""
            self.say(f"driving: {fraction:.0%}{left}")
