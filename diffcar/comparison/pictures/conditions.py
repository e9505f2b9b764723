"""What disturbances do: the error of every method under every condition, in every engine."""

import math
import textwrap
from typing import TYPE_CHECKING

from diffcar.base.figure import FAINT, GRID, INK, add_key, calm, log_scale, plain
from diffcar.base.table import millimetres
from diffcar.comparison.results import Comparison
from diffcar.comparison.style import engine_name, panel_grid, styles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_conditions"]


def draw_conditions(comparison: Comparison) -> "Figure":
    """Return a picture of the RMSE of each method under each condition, in each engine.

    A panel for each condition, a row for each method: a full marker in the first engine, a hollow
    one in the second, and the number of the first; a grey line where the method is undisturbed.
    """
    conditions, methods, engines = comparison.conditions, comparison.methods, comparison.engines
    height = 0.6 + 0.29 * len(methods)
    figure, panels = panel_grid(len(conditions), beside=1.6, above=0.9, height=height)
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
