"""Results as tables, curves and progress."""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from diffcar.commands.events import Stage
    from diffcar.commands.simulate import SimulateResult
    from diffcar.commands.train_e2e import Event, TrainE2EResult
    from diffcar.evaluation import TrackingMetrics
    from diffcar.gradcheck import Hop

__all__ = [
    "DriveDisplay",
    "StageDisplay",
    "TrainingDisplay",
    "loss_curve",
    "number",
    "show_hops",
    "show_simulation",
    "show_training",
    "titled",
]

_PLAIN_LINE_INTERVAL = 5
# Differences in float32 are known to a few percent; kinks under the cars make single ones worse.
_SUSPICIOUS_GRADIENT_ERROR = 0.2

_METRIC_ROWS = {
    "cross_track_rmse_m": ("cross-track RMSE", "mm", 1e3),
    "cross_track_mean_m": ("cross-track mean", "mm", 1e3),
    "cross_track_p95_m": ("cross-track p95", "mm", 1e3),
    "cross_track_max_m": ("cross-track max", "mm", 1e3),
    "heading_rmse_rad": ("heading RMSE", "rad", 1.0),
    "speed_rmse_mps": ("speed RMSE", "m/s", 1.0),
    "steering_rate_rms_radps": ("steering rate RMS", "rad/s", 1.0),
    "completion": ("completion", "%", 100.0),
}


class _Display:
    """Progress on stderr: a live bar in a terminal, plain lines elsewhere."""

    def __init__(self, *columns: str) -> None:
        self._console = Console(stderr=True)
        self._is_live = sys.stderr.isatty()
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
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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

    def show(self, event: "Event") -> None:
        """Show one event."""
        from diffcar.commands.events import Stage, Warned
        from diffcar.training.session import Evaluated

        if isinstance(event, Stage):
            self.say(f"{event.description} ...")
        elif isinstance(event, Warned):
            self.say(f"note: {event.text}")
        elif isinstance(event, Evaluated):
            self._rmse = 1e3 * event.metrics.cross_track_rmse_m
            self._rmse_iteration = event.iteration
            self.say(
                f"update {event.iteration:4d}  plain physics: cross-track RMSE "
                f"{self._rmse:.4g} mm, speed RMSE {event.metrics.speed_rmse_mps:.3g} m/s"
            )
        else:
            now = time.perf_counter()
            if self._began is None:
                self._began, self._first = now, event.iteration
                # The bar estimates the time left from what it sees done: not what came before.
                self._progress.reset(self._task, completed=event.iteration)
            terms = " ".join(f"{name} {value:.2g}" for name, value in event.terms.items())
            status = f"loss {event.loss:.3g}  |grad| {event.gradient_norm:.2g}"
            if not math.isnan(self._rmse):
                status += f"  RMSE {self._rmse:.4g} mm (update {self._rmse_iteration})"
            self._progress.update(
                self._task, completed=event.iteration, status=f"{status}\n{terms}"
            )
            if event.gradient_error > _SUSPICIOUS_GRADIENT_ERROR:
                self.say(
                    f"update {event.iteration}: the gradient differs from a finite difference by "
                    f"{event.gradient_error:.2g}"
                )
            if event.is_skipped:
                self.say(f"update {event.iteration}: loss or gradient not finite, skipped")
            elif not self._is_live and event.iteration % _PLAIN_LINE_INTERVAL == 0:
                done = event.iteration - self._first
                each = (now - self._began) / done if done else math.nan
                left = each * (self._num_updates - event.iteration)
                remaining = "" if math.isnan(left) else f"  {left:.0f} s left"
                self.say(f"update {event.iteration:4d}  {status}  ({terms}){remaining}")


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

    def show(self, stage: "Stage") -> None:
        """Show that something long has begun."""
        self.say(f"{stage.description} ...")


def show_simulation(result: "SimulateResult", console: Console) -> None:
    """Print the figures of a drive."""
    table = titled(
        f"{result.controller} on {result.path} ({result.path_length_m:.1f} m), "
        f"{result.start} start, errors after the first {result.skip_distance_m:g} m",
        console,
    )
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for name, (label, unit, factor) in _METRIC_ROWS.items():
        table.add_row(label, number(factor * getattr(result.metrics, name)), unit)
    table.add_row("steps", str(result.num_steps), "")
    table.add_row("simulated time", number(result.sim_seconds), "s")
    table.add_row("wall time of the drive", number(result.wall_seconds), "s")
    console.print(table)


def show_training(result: "TrainE2EResult", console: Console) -> None:
    """Print gradient status, loss curve, metrics and where the run lies."""
    show_hops(result.hops, console)
    if sum(math.isfinite(loss) and loss > 0 for loss in result.losses) > 1:
        console.print(Text.from_ansi(loss_curve(result.losses, min(console.width, 100))))
    if result.before is not None and result.after is not None:
        _show_before_after(result.before, result.after, console)
    if result.scores:
        _show_scores(result, console)
    console.print(
        f"{result.num_updates} updates, {result.num_skipped} skipped, "
        f"{result.num_env_steps} environment steps, "
        f"{result.train_seconds:.0f} s of training, {result.wall_seconds:.0f} s in all",
        highlight=False,
    )
    _show_gradient_health(result, console)
    console.print(f"run folder: {result.run_folder}", highlight=False, soft_wrap=True)


def _show_gradient_health(result: "TrainE2EResult", console: Console) -> None:
    """Print what the checks of the gradient before and during training found."""
    told = []
    if (certificate := result.certificate) is not None:
        told.append(
            f"before training, {certificate.num_directions} directions over {certificate.horizon} "
            f"steps: {certificate.verdict}, median error "
            f"{number(certificate.median_relative_error)}, worst "
            f"{number(certificate.worst_relative_error)}"
        )
    if result.worst_gradient_error is not None:
        told.append(f"worst spot check during it: {number(result.worst_gradient_error)}")
    if told:
        console.print(
            f"gradient against finite differences: {'; '.join(told)}",
            highlight=False,
            soft_wrap=True,
        )


def show_hops(hops: Sequence["Hop"], console: Console) -> None:
    """Print where the gradient went, hop by hop."""
    table = titled("gradient status, from the MLP's output to the loss", console)
    table.add_column("hop", overflow="fold")
    table.add_column("type", overflow="fold")
    table.add_column("shape")
    table.add_column("requires_grad")
    table.add_column("grad_fn", overflow="fold")
    table.add_column("|gradient|", justify="right")
    for hop in hops:
        arrived = hop.gradient_norm is not None and hop.gradient_norm > 0
        table.add_row(
            hop.name,
            f"{hop.kind} {hop.dtype}",
            "x".join(map(str, hop.shape)) or "scalar",
            Text("True", "green") if hop.requires_grad else Text("False: chain broken", "red"),
            hop.grad_fn,
            number(hop.gradient_norm) if arrived else Text("none arrived", "red"),
        )
    console.print(table)


def _show_before_after(
    before: "TrackingMetrics", after: "TrackingMetrics", console: Console
) -> None:
    """Print the training path's metrics before the first update and with the best weights."""
    table = titled("training path in plain physics, half of the cars from rest", console)
    table.add_column("metric")
    for heading in ("before", "after"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    for field in fields(before):
        if field.name == "completion":  # the cars drive for a fixed time, not to a goal
            continue
        label, unit, factor = _METRIC_ROWS[field.name]
        values = (getattr(before, field.name), getattr(after, field.name))
        table.add_row(label, *(number(factor * value) for value in values), unit)
    console.print(table)


def _show_scores(result: "TrainE2EResult", console: Console) -> None:
    """Print how the trained controller does path by path."""
    table = titled("paths never trained on, plain physics, errors after the first 2 m", console)
    table.add_column("path")
    table.add_column("start")
    for heading in ("RMSE [mm]", "p95 [mm]", "max [mm]", "speed RMSE [m/s]", "driven [%]"):
        table.add_column(Text(heading), justify="right")
    for score in result.scores:
        metrics = score.metrics
        table.add_row(
            score.path,
            score.start,
            number(1e3 * metrics.cross_track_rmse_m),
            number(1e3 * metrics.cross_track_p95_m),
            number(1e3 * metrics.cross_track_max_m),
            number(metrics.speed_rmse_mps),
            number(100 * metrics.completion),
        )
    console.print(table)


def titled(title: str, console: Console) -> Table:
    """Print a title, which a table would wrap to its own width, and return the table below it."""
    console.print(f"\n{escape(title)}", style="italic", highlight=False, soft_wrap=True)
    return Table()


def loss_curve(losses: Sequence[float], width: int) -> str:
    """Draw the loss over the updates, logarithmically."""
    import plotext

    finite = [(i + 1, loss) for i, loss in enumerate(losses) if math.isfinite(loss) and loss > 0]
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, 14)
    plotext.yscale("log")
    plotext.title("loss")
    plotext.xlabel("update of this session")
    plotext.plot([x for x, _ in finite], [y for _, y in finite], marker="braille")
    return str(plotext.build())


def number(value: float | None) -> str:
    """Return three to four significant digits."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}" if abs(value) >= 1e3 else f"{value:.3g}"
    return f"{value:.2e}"
