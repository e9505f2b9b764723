"""What disturbances do: the error of every method under every condition, in every engine."""

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.figure import (
    FAINT,
    GRID,
    INK,
    PAPER,
    calm,
    log_scale,
    new_figure,
    plain,
    save_png,
)
from diffcar.base.table import millimetres
from diffcar.compare.findings import ENGINE_NAMES
from diffcar.compare.results import Comparison, MethodSummary
from diffcar.compare.style import MethodStyle, styles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_conditions", "plot_conditions"]

_PANELS_IN_A_ROW = 4


def plot_conditions(comparison: Comparison, file: Path) -> None:
    """Draw the RMSE of each method under each condition, in each engine.

    Args:
        comparison: With scores.
        file: PNG file to write.

    Raises:
        OutputError: If the file system refuses.
    """
    save_png(draw_conditions(comparison), file)


def draw_conditions(comparison: Comparison) -> "Figure":
    """Return the figure of `plot_conditions`.

    A panel for each condition, a row for each method: a full marker in the first engine, a hollow
    one in the second, and the number of the first; a grey line where the method is undisturbed.
    """
    conditions, methods = comparison.conditions, comparison.methods
    num_columns = min(_PANELS_IN_A_ROW, max(1, len(conditions)))
    num_rows = max(1, math.ceil(len(conditions) / num_columns))
    height = 0.9 + num_rows * (0.6 + 0.29 * len(methods))
    figure = new_figure(max(6.0, 1.6 + 2.75 * num_columns), height)
    grid = figure.subplots(num_rows, num_columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for ax, condition in zip(panels, conditions, strict=False):
        _draw_condition(ax, comparison, condition)
    for ax in panels[len(conditions) :]:
        ax.set_visible(False)
    if conditions and methods:
        _scale(panels[0], methods)
        for index, ax in enumerate(panels[: len(conditions)]):
            ax.tick_params(axis="y", length=0)
            # The panel below may be one of those that are not there.
            ax.tick_params(labelbottom=index + num_columns >= len(conditions))
        first = ENGINE_NAMES.get(comparison.engines[0], comparison.engines[0])
        label = f"cross-track RMSE [mm], mean over paths and seeds; numbers: {first}"
        figure.supxlabel(label, fontsize=10, color=INK)
        _add_key(figure, comparison.engines)
    return figure


def _draw_condition(ax: "Axes", comparison: Comparison, condition: str) -> None:
    """Draw all methods under one condition."""
    styles = styles_of(comparison.methods)
    nominal = comparison.conditions[0]
    for row, summary in enumerate(comparison.summaries()):
        values = [_rmse_mm(summary, engine, condition) for engine in comparison.engines]
        style = styles[summary.method]
        known = [value for value in values if math.isfinite(value) and value > 0]
        if not known:
            continue
        end = max(known)
        if condition != nominal:
            before = _rmse_mm(summary, comparison.engines[0], nominal)
            ax.plot(
                [before, before], [row - 0.32, row + 0.32], color=FAINT, linewidth=1.4, alpha=0.7
            )
            if before > 0 and math.isfinite(values[0]):
                ax.plot([before, values[0]], [row, row], color=GRID, linewidth=3, zorder=1.5)
                end = max(end, before)
        for index, value in reversed(list(enumerate(values))):
            _mark(ax, value, row, style, is_first=index == 0)
        lost = summary.lost.get((comparison.engines[0], condition), 0.0)
        text = millimetres(1e-3 * values[0]) + (f"  {100 * lost:.0f} % lost" if lost > 0 else "")
        ax.annotate(
            text,
            (end, row),
            xytext=(8, -0.5),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    calm(ax, grid="x")
    ax.spines["left"].set_visible(False)
    ax.set_title(
        plain(textwrap.fill(condition, 28)), fontsize=10.5, loc="left", color=INK, fontweight="bold"
    )


def _mark(ax: "Axes", value: float, row: int, style: MethodStyle, *, is_first: bool) -> None:
    """Draw one value."""
    ax.plot(
        value,
        row,
        style.marker,
        color=style.colour,
        markersize=style.size,
        markerfacecolor=style.colour if is_first else "none",
        markeredgecolor=PAPER if is_first else style.colour,
        markeredgewidth=0.8 if is_first else 1.3,
        zorder=3.5 if is_first else 4,
    )


def _scale(ax: "Axes", methods: list[str]) -> None:
    """Set the scales that all panels share."""
    ax.set_yticks(range(len(methods)), [plain(method) for method in methods])
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    # Room for the numbers beside the dots.
    ax.set_xlim(low, high * (high / low) ** 0.45)
    log_scale(ax, "x")


def _add_key(figure: "Figure", engines: list[str]) -> None:
    """Explain the markers."""
    from matplotlib.lines import Line2D

    handles = []
    for engine, face in zip(engines, (FAINT, "none"), strict=False):
        handles.append(Line2D([], [], color=FAINT, marker="o", linestyle="none", markersize=7))
        handles[-1].set(markerfacecolor=face, label=ENGINE_NAMES.get(engine, engine))
    nominal = Line2D([], [], color=FAINT, marker="|", linestyle="none", markersize=10)
    nominal.set_label("undisturbed")
    figure.legend(
        handles=[*handles, nominal],
        loc="outside upper right",
        ncols=3,
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        handletextpad=0.2,
    )


def _rmse_mm(summary: MethodSummary, engine: str, condition: str) -> float:
    """Return an RMSE [mm]."""
    return 1e3 * summary.rmse_m.get((engine, condition), math.nan)
