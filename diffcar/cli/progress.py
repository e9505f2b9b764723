"""Progress on stderr, as bars or lines."""

import logging
import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from diffcar.base.log import logger

if TYPE_CHECKING:
    from diffcar.training.contract import UpdateRecord
    from diffcar.training.session import Evaluated

__all__ = ["ComparisonDisplay", "DriveDisplay", "StageDisplay", "TrainingDisplay"]

_PLAIN_LINE_INTERVAL = 5
# Differences in float32 are known to a few percent; kinks under the cars make single ones worse.
_SUSPICIOUS_GRADIENT_ERROR = 0.2


class _Teller(logging.Handler):
    """Says what is logged: `... ` behind what has begun, `note:` before what to know."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record."""
        text = record.getMessage()
        self._say(f"note: {text}" if record.levelno >= logging.WARNING else f"{text} ...")


class _Display:
    """Progress on stderr: a live bar in a terminal, plain lines elsewhere."""

    def __init__(self, *columns: str) -> None:
        self._console = Console(stderr=True)
        self._is_live = sys.stderr.isatty()
        self._handler = _Teller(self.say)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            *(TextColumn(column) for column in columns),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._is_live,
            # Genesis takes a wrapped stdout for a graphical shell, and says so.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        logger.setLevel(logging.INFO)
        logger.addHandler(self._handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logger.removeHandler(self._handler)
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)


class TrainingDisplay(_Display):
    """Shows the events of a training run.

    Args:
        num_updates: Updates of the whole run.
    """

    def __init__(self, num_updates: int) -> None:
        super().__init__("{task.completed}/{task.total}", "{task.fields[status]}")
        self._num_updates = num_updates
        self._task = self._progress.add_task("training", total=num_updates, status="")
        self._rmse = math.nan
        self._rmse_iteration = 0
        self._began: float | None = None
        self._first = 0

    def show(self, event: "UpdateRecord | Evaluated") -> None:
        """Show one event."""
        from diffcar.training.session import Evaluated

        if isinstance(event, Evaluated):
            self._note(event)
        else:
            now = time.perf_counter()
            if self._began is None:
                self._began, self._first = now, event.iteration
                # The bar estimates the time left from what it sees done: not what came before.
                self._progress.reset(self._task, completed=event.iteration)
            terms = " ".join(f"{name} {value:.2g}" for name, value in event.terms.items())
            status = f"loss {event.loss:.3g}"
            for label, name in event.highlights.items():
                status += f"  {label} {getattr(event, name):.2g}"
            if not math.isnan(self._rmse):
                status += f"  RMSE {self._rmse:.4g} mm (update {self._rmse_iteration})"
            self._progress.update(
                self._task, completed=event.iteration, status=f"{status}\n{terms}"
            )
            gradient_error = getattr(event, "gradient_error", math.nan)
            if gradient_error > _SUSPICIOUS_GRADIENT_ERROR:
                self.say(
                    f"update {event.iteration}: the gradient differs from a finite difference by "
                    f"{gradient_error:.2g}"
                )
            if event.is_skipped:
                self.say(f"update {event.iteration}: loss or gradient not finite, skipped")
            elif not self._is_live and event.iteration % _PLAIN_LINE_INTERVAL == 0:
                done = event.iteration - self._first
                each = (now - self._began) / done if done else math.nan
                left = each * (self._num_updates - event.iteration)
                remaining = "" if math.isnan(left) else f"  {left:.0f} s left"
                self.say(f"update {event.iteration:4d}  {status}  ({terms}){remaining}")

    def _note(self, event: "Evaluated") -> None:
        """Show the first figure of an evaluation."""
        name = next(iter(vars(event.metrics)))
        self._rmse = 1e3 * float(getattr(event.metrics, name))
        self._rmse_iteration = event.iteration
        self.say(f"update {event.iteration:4d}  plain physics: {name} {self._rmse:.4g} mm")


class ComparisonDisplay(_Display):
    """Shows what a comparison is at: many trainings, one after the other."""

    _PLAIN_SECONDS = 15.0

    def __init__(self) -> None:
        super().__init__("{task.fields[status]}")
        self._task = self._progress.add_task("comparing", total=None, status="")
        self._told = time.perf_counter()

    def show(self, event: "UpdateRecord | Evaluated") -> None:
        """Show one event."""
        from diffcar.training.session import Evaluated

        if not isinstance(event, Evaluated):
            status = f"update {event.iteration}  loss {event.loss:.3g}"
            self._progress.update(self._task, status=status)
            if not self._is_live and time.perf_counter() - self._told > self._PLAIN_SECONDS:
                self._told = time.perf_counter()
                self.say(status)


class DriveDisplay(_Display):
    """Shows how far a drive has come."""

    def __init__(self) -> None:
        super().__init__("{task.percentage:.0f} %")
        self._task = self._progress.add_task("driving", total=1.0)
        self._shown = -1.0

    def show(self, fraction: float) -> None:
        """Show the fraction of the path driven."""
        if fraction - self._shown > 0.01:
            self._shown = fraction
            self._progress.update(self._task, completed=min(fraction, 1.0))


class StageDisplay(_Display):
    """Shows what is being done, a line each."""
