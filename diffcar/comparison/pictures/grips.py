"""What comes of more grip being used: the error of every method, under every condition."""

from typing import TYPE_CHECKING

from diffcar.base.figure import FAINT, INK, add_key, calm, log_scale, plain
from diffcar.comparison.results import Comparison
from diffcar.comparison.style import engine_name, panel_grid, styles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_grips"]


def draw_grips(comparison: Comparison) -> "Figure":
    """Return a picture of the RMSE of each method by the grip that the reference speed uses.

    A panel for each condition; full markers and solid lines in the first engine, hollow and dashed
    ones in the second.
    """
    conditions, engines = comparison.conditions, comparison.engines
    figure, panels = panel_grid(len(conditions), beside=1.0, above=1.2, height=2.9)
    for panel, condition in zip(panels, conditions, strict=True):
        _draw_condition(panel, comparison, condition)
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


def _draw_condition(ax: "Axes", comparison: Comparison, condition: str) -> None:
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
