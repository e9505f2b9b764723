"""Results as tables and curves."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from diffcar.base.table import number

if TYPE_CHECKING:
    from diffcar.gradients.hops import Hop
    from diffcar.tasks.tracking.metrics import TrackingMetrics
    from diffcar.tasks.tracking.simulate import SimulateResult
    from diffcar.training.run import TrainingResult

__all__ = [
    "loss_curve",
    "show_gradients",
    "show_hops",
    "show_simulation",
    "show_training",
    "titled",
]

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


def show_simulation(result: "SimulateResult", console: Console) -> None:
    """Print the figures of a drive."""
    table = titled(
        f"{result.controller} on {result.path} ({result.path_length_m:.1f} m), "
        f"{result.start} start, errors after the first {result.skip_distance_m:g} m",
        console,
    )
    columns = {"value" if result.genesis_figures is None else "MuJoCo": result.figures}
    if result.genesis_figures is not None:
        columns = {"Genesis": result.genesis_figures, **columns}
    differences = result.differences()
    table.add_column("metric")
    for heading in (*columns, *(["difference [%]"] if differences else [])):
        table.add_column(Text(heading), justify="right")
    table.add_column("unit")

    def add_row(label: str, values: list[str], unit: str, difference: str = "") -> None:
        table.add_row(label, *values, *([difference] if differences else []), unit)

    for name, (label, unit, factor) in _METRIC_ROWS.items():
        values = [number(factor * getattr(each.metrics, name)) for each in columns.values()]
        add_row(label, values, unit, number(differences.get(name)))
    add_row("steps", [str(each.num_steps) for each in columns.values()], "")
    add_row("simulated time", [number(each.sim_seconds) for each in columns.values()], "s")
    add_row("wall time of the drive", [number(each.wall_seconds) for each in columns.values()], "s")
    console.print(table)


def show_training(result: "TrainingResult", console: Console) -> None:
    """Print loss curve, metrics and where the run lies."""
    if sum(math.isfinite(loss) and loss > 0 for loss in result.losses) > 1:
        console.print(Text.from_ansi(loss_curve(result.losses, min(console.width, 100))))
    if result.before is not None and result.after is not None:
        _show_before_after(result.before, result.after, console)
    if result.findings.get("scores", []):
        _show_scores(result, console)
    console.print(
        f"{result.num_updates} updates, {result.num_skipped} skipped, "
        f"{result.num_env_steps} environment steps, "
        f"{result.train_seconds:.0f} s of training, {result.wall_seconds:.0f} s in all",
        highlight=False,
    )
    console.print(f"run folder: {result.run_folder}", highlight=False, soft_wrap=True)


def show_gradients(result: "TrainingResult", console: Console) -> None:
    """Print where the gradient went, and what the checks before and during training found."""
    show_hops(result.hops, console)
    told = []
    if (certificate := result.certificate) is not None:
        told.append(
            f"before training, {certificate.num_directions} directions over {certificate.horizon} "
            f"steps: {certificate.verdict}, median error "
            f"{number(certificate.median_relative_error)}, worst "
            f"{number(certificate.worst_relative_error)}"
        )
    if result.findings.get("worst_gradient_error") is not None:
        told.append(
            f"worst spot check during it: {number(result.findings.get('worst_gradient_error'))}"
        )
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
        if field.name in (
            "completion",
            "got_going",
        ):  # the cars drive for a fixed time, not to a goal
            continue
        label, unit, factor = _METRIC_ROWS[field.name]
        values = (getattr(before, field.name), getattr(after, field.name))
        table.add_row(label, *(number(factor * value) for value in values), unit)
    console.print(table)


def _show_scores(result: "TrainingResult", console: Console) -> None:
    """Print how the trained controller does path by path."""
    table = titled("paths never trained on, plain physics, errors after the first 2 m", console)
    table.add_column("path")
    table.add_column("start")
    for heading in ("RMSE [mm]", "p95 [mm]", "max [mm]", "speed RMSE [m/s]", "driven [%]"):
        table.add_column(Text(heading), justify="right")
    for score in result.findings.get("scores", []):
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
