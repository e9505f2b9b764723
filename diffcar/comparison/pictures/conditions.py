"""What disturbances and more grip do: the error of every method, a panel for each condition."""

import math
import textwrap
from typing import TYPE_CHECKING

from diffcar.base.figure import FAINT, GRID, INK, add_key, calm, log_scale, new_figure, plain
from diffcar.base.table import millimetres
from diffcar.comparison.results import Comparison
from diffcar.comparison.style import engine_name, styles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_conditions", "draw_grips"]

_PANELS_IN_A_ROW = 4


def draw_conditions(comparison: Comparison) -> "Figure":
    """Return a picture of the RMSE of each method under each condition, in each engine.

    A panel for each condition, a row for each method: a full marker in the first engine, a hollow
    one in the second, and the number of the first; a grey line where the method is undisturbed.
    """
    conditions, methods, engines = comparison.conditions, comparison.methods, comparison.engines
    height = 0.6 + 0.29 * len(methods)
    figure, panels = _panels(len(conditions), beside=1.6, above=0.9, height=height)
    for panel, condition in zip(panels, conditions, strict=True):
        _draw_condition(panel, comparison, condition)
    if conditions and methods:
        _scale(panels[0], methods)
        label = "cross-track RMSE [mm], mean over paths and seeds; numbers: "
        figure.supxlabel(label + engine_name(engines[0]), fontsize=10, color=INK)
        dots = {"color": FAINT, "marker": "o", "linestyle": "none", "markersize": 7}
        looks = [dots, {**dots, "markerfacecolor": "none"}]
        key = {engine_name(e): look for e, look in zip(engines, looks, strict=False)}
        key["undisturbed"] = {**dots, "marker": "|", "markersize": 10}
        add_key(figure, key, loc="outside upper right", fontsize=9.5, handletextpad=0.2)
    return figure


def _draw_condition(ax: "Axes", comparison: Comparison, condition: str) -> None:
    """Draw all methods under one condition."""
    styles, engines = styles_of(comparison.methods), comparison.engines
    for row, (method, summary) in enumerate(comparison.summaries.items()):
        values = [1e3 * summary.rmse_m[engine, condition] for engine in engines]
        before = 1e3 * summary.rmse_m[engines[0], comparison.conditions[0]]
        known = [value for value in values if math.isfinite(value) and value > 0]
        if not known:
            continue
        if condition != comparison.conditions[0]:
            span = [row - 0.32, row + 0.32]
            ax.plot([before, before], span, color=FAINT, linewidth=1.4, alpha=0.7)
            if before > 0 and math.isfinite(values[0]):
                ax.plot([before, values[0]], [row, row], color=GRID, linewidth=3, zorder=1.5)
                known.append(before)
        for value, face, order in reversed(
            list(zip(values, (None, "none"), (3.5, 4), strict=False))
        ):
            ax.plot(value, row, zorder=order, **styles[method].mark(face=face))
        lost = summary.lost[engines[0], condition]
        text = millimetres(1e-3 * values[0]) + (f"  {100 * lost:.0f} % lost" if lost > 0 else "")
        beside = {"xytext": (8, -0.5), "textcoords": "offset points", "va": "center"}
        ax.annotate(text, (max(known), row), fontsize=8.5, color=INK, **beside)  # type: ignore[arg-type]
    calm(ax, grid="x")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    title = plain(textwrap.fill(condition, 28))
    ax.set_title(title, fontsize=10.5, loc="left", color=INK, fontweight="bold")


def _scale(ax: "Axes", methods: list[str]) -> None:
    """Set the scales that all panels share."""
    ax.set_yticks(range(len(methods)), [plain(method) for method in methods])
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    # Room for the numbers beside the dots.
    ax.set_xlim(low, high * (high / low) ** 0.45)
    log_scale(ax, "x")


def draw_grips(comparison: Comparison) -> "Figure":
    """Return a picture of the RMSE of each method by the grip that the reference speed uses.

    A panel for each condition; full markers and solid lines in the first engine, hollow and dashed
    ones in the second.
    """
    conditions, engines = comparison.conditions, comparison.engines
    figure, panels = _panels(len(conditions), beside=1.0, above=1.2, height=2.9)
    for panel, condition in zip(panels, conditions, strict=True):
        _draw_grips_under(panel, comparison, condition)
    if any(panel.lines for panel in panels):
        panels[0].set_xticks([100 * grip for grip in comparison.grips])
        log_scale(panels[0], "y")
    figure.supxlabel("grip that the reference speed uses [%]", fontsize=10, color=INK)
    figure.supylabel("cross-track RMSE [mm]", fontsize=10, color=INK)
    looks = {plain(name): style.mark() for name, style in styles_of(comparison.methods).items()}
    lines = ({"linestyle": "-"}, {"linestyle": "--", "markerfacecolor": "none"})
    for engine, line in zip(engines, lines, strict=False):
        looks[engine_name(engine)] = {"color": FAINT, "marker": "o", **line}
    add_key(figure, looks, loc="outside upper right", fontsize=9.5)
    return figure


def _draw_grips_under(ax: "Axes", comparison: Comparison, condition: str) -> None:
    """Draw all methods under one condition, in both engines."""
    styles, engines, drives = styles_of(comparison.methods), comparison.engines, comparison.by_grip
    under = drives[drives.condition == condition]
    for (engine, method), own in under.groupby(["engine", "method"], sort=False):
        is_first, style = engine == engines[0], styles[method]
        look = style.mark(face=None if is_first else "none")
        x, y = 100 * own.grip, 1e3 * own.cross_track_rmse_m
        line = "-" if is_first else "--"
        ax.plot(x, y, linestyle=line, linewidth=1.4, zorder=style.order, **look)
    calm(ax)
    ax.set_title(plain(condition), fontsize=10.5, loc="left", color=INK, fontweight="bold")


def _panels(
    num_panels: int, *, beside: float, above: float, height: float
) -> "tuple[Figure, list[Axes]]":
    """Return a figure and its panels, which share their axes, row by row.

    Args:
        num_panels: How many; of none the figure is empty.
        beside: What is left of the panels [inches].
        above: What is above and below them [inches].
        height: Of a panel [inches].
    """
    num_columns = min(_PANELS_IN_A_ROW, max(1, num_panels))
    num_rows = max(1, math.ceil(num_panels / num_columns))
    figure = new_figure(max(6.0, beside + 2.75 * num_columns), above + num_rows * height)
    grid = figure.subplots(num_rows, num_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for index, panel in enumerate(grid):
        panel.set_visible(index < num_panels)
        # The panel below may be one of those that are not there.
        panel.tick_params(labelbottom=index + num_columns >= num_panels)
    return figure, list(grid[:num_panels])
