"""What training costs: the error on the suite over wall time and over control steps."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from diffcar.base.figure import FAINT, PAPER, add_key, calm, log_scale, new_figure, plain
from diffcar.base.table import millimetres
from diffcar.comparison.results import Comparison
from diffcar.comparison.style import MethodStyle, styles_of
from diffcar.training.methods import expert_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_learning_curves"]

_GRID_POINTS = 200
_COSTS = {
    "train_seconds": "wall time of training [s]",
    "num_env_steps": "control steps of all cars",
}


def draw_learning_curves(comparison: Comparison) -> "Figure":
    """Return a picture of the RMSE on the suite over wall time and control steps.

    A thin line is a training, as measured; a bold one the median over the seeds, where all of them
    have been measured. What was measured before training has no place on a logarithmic axis. The
    marks on the threshold are the medians of when each seed first gets there.
    """
    figure = new_figure(12, 5.6)
    axes = figure.subplots(1, 2, sharey=True)
    styles = styles_of(comparison.methods)
    goal = 1e3 * comparison.threshold_m
    curves = comparison.curves.sort_values("iteration", kind="stable")
    for part, (ax, (cost, label)) in enumerate(zip(axes, _COSTS.items(), strict=True)):
        for method, of_method in curves.groupby("method", sort=False):
            style, reached = styles[method], comparison.summaries[method].to_threshold[part]
            _draw_curves(ax, of_method, cost, style)
            if 0 < reached < math.inf:
                ax.plot(reached, goal, zorder=style.order + 2, **style.mark(face=PAPER))
        ax.axhline(goal, color=FAINT, linewidth=1, linestyle=(0, (5, 4)))
        calm(ax)
        log_scale(ax, "xy")
        ax.set_xlabel(label)
    axes[0].set_ylabel("cross-track RMSE on the unseen suite [mm]")
    # Beside its line, where nothing is drawn.
    where = {"xycoords": axes[1].get_yaxis_transform(), "textcoords": "offset points"}
    name = f"{millimetres(comparison.threshold_m)} mm"
    axes[1].annotate(name, (1, goal), xytext=(4, 0), va="center", color=FAINT, fontsize=9, **where)
    _explain(figure, curves, styles, name)
    return figure


def _draw_curves(ax: "Axes", curves: pd.DataFrame, cost: str, style: MethodStyle) -> None:
    """Draw each seed, and the median over them."""
    measured = curves[
        (curves[cost] > 0) & curves.cross_track_rmse_m.between(0, math.inf, "neither")
    ]
    of_seeds = []
    for _, curve in measured.groupby("seed", sort=False):
        x, y = curve[cost].to_numpy(float), 1e3 * curve.cross_track_rmse_m.to_numpy(float)
        ax.plot(x, y, color=style.colour, linewidth=0.7, alpha=0.45, zorder=style.order - 2)
        # Passes over demonstrations cost no steps: of equal costs the last is what they buy.
        is_last = np.append(np.diff(x) > 0, True)
        of_seeds.append((x[is_last], y[is_last]))
    start = max((x[0] for x, _ in of_seeds), default=math.inf)
    end = min((x[-1] for x, _ in of_seeds), default=-math.inf)
    if start <= end:
        # Where all seeds are known, interpolated in logarithms.
        x = np.geomspace(start, end, _GRID_POINTS) if end > start else np.array([start])
        logs = [np.interp(np.log(x), np.log(own), np.log(rmse)) for own, rmse in of_seeds]
        y = np.exp(np.median(logs, axis=0))
        ax.plot(x, y, color=style.colour, linewidth=2.2, zorder=style.order)
        ax.plot(x[-1], y[-1], zorder=style.order + 2, **style.mark())


def _explain(
    figure: "Figure", curves: pd.DataFrame, styles: dict[str, MethodStyle], goal: str
) -> None:
    """Name the methods in the order in which the curves end, and say what the lines are."""
    curves = curves.sort_values("num_env_steps", kind="stable")
    last = curves.groupby(["method", "seed"]).tail(1).replace(math.inf, math.nan)
    final = last.groupby("method").cross_track_rmse_m.median()
    final = final.sort_values(ascending=False, na_position="first")
    add_key(
        figure,
        {
            f"{plain(method)}\n{millimetres(rmse)} mm": {**styles[method].mark(), "linewidth": 2.2}
            for method, rmse in final.items()
        },
        **{"loc": "outside right center", "ncols": 1, "alignment": "left", "labelspacing": 1.0},
        **{"title": "median, last weights\n(tables: best weights)", "title_fontsize": 9},
    )
    hollow = {"marker": "o", "markersize": 8, "markerfacecolor": PAPER, "markeredgewidth": 1.5}
    lines: dict[str, dict[str, Any]] = {"one training": {"linewidth": 2.2}}
    reached, num_seeds = f"{goal} first reached", curves.seed.nunique()
    if num_seeds > 1:
        lines = {
            "one training": {"linewidth": 0.7},
            f"median over {num_seeds} seeds": {"linewidth": 2.2},
        }
        reached += " (median of the seeds)"
    lines[reached] = {"linestyle": "none", **hollow}
    if any(map(expert_of, curves.method)):
        lines["bc, dagger: without their expert's cost"] = {"linestyle": "none"}
    looks = {label: {"color": FAINT, **look} for label, look in lines.items()}
    add_key(figure, looks, loc="outside lower center", fontsize=9, labelcolor=FAINT)
