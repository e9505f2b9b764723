"""What training costs: the error on the suite over wall time and over control steps."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffcar.base.figure import FAINT, INK, PAPER, calm, log_scale, new_figure, plain, save_png
from diffcar.base.table import millimetres
from diffcar.compare.results import Comparison, CurvePoint
from diffcar.compare.style import MethodStyle, styles_of
from diffcar.compare.verdicts import expert_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_learning_curves", "plot_learning_curves"]

_GRID_POINTS = 200


def plot_learning_curves(comparison: Comparison, file: Path) -> None:
    """Draw the RMSE on the suite over wall time and control steps.

    Args:
        comparison: With learning curves.
        file: PNG file to write.

    Raises:
        OutputError: If the file system refuses.
    """
    save_png(draw_learning_curves(comparison), file)


def draw_learning_curves(comparison: Comparison) -> "Figure":
    """Return the figure of `plot_learning_curves`.

    A thin line is a training, as measured; a bold one the median over the seeds, where all of them
    have been measured. What was measured before training has no place on a logarithmic axis. The
    marks on the threshold are the medians of when each seed first gets there.
    """
    figure = new_figure(12, 5.6)
    axes = figure.subplots(1, 2, sharey=True)
    methods = [m for m in comparison.methods if any(p.method == m for p in comparison.curves)]
    styles = styles_of(comparison.methods)
    costs: Sequence[tuple[str, Callable[[CurvePoint], float]]] = (
        ("wall time of training [s]", lambda point: point.train_seconds),
        ("control steps of all cars", lambda point: point.num_env_steps),
    )
    final: dict[str, float] = {}
    goal = 1e3 * comparison.threshold_m
    for column, (ax, (label, cost_of)) in enumerate(zip(axes, costs, strict=True)):
        for method in methods:
            of_method = [p for p in comparison.curves if p.method == method]
            _draw_curves(ax, of_method, cost_of, styles[method])
            final[method] = _final_rmse(of_method)
            (reached,) = comparison.costs_to(method, [comparison.threshold_m])
            if 0 < reached[column] < math.inf:
                _mark(
                    ax, reached[column], 1e3 * comparison.threshold_m, styles[method], is_end=False
                )
        ax.axhline(goal, color=FAINT, linewidth=1, linestyle=(0, (5, 4)))
        calm(ax)
        log_scale(ax, "xy")
        ax.set_xlabel(label)
    axes[0].set_ylabel("cross-track RMSE on the unseen suite [mm]")
    _annotate_threshold(axes[0], comparison.threshold_m)
    _add_key(figure, final, styles)
    _explain_lines(figure, comparison)
    return figure


def _draw_curves(
    ax: "Axes",
    points: Sequence[CurvePoint],
    cost_of: Callable[[CurvePoint], float],
    style: MethodStyle,
) -> None:
    """Draw each seed, and the median over them."""
    curves = []
    for seed in dict.fromkeys(p.seed for p in points):
        measured = [
            (cost_of(p), 1e3 * p.cross_track_rmse_m)
            for p in sorted(points, key=lambda p: p.iteration)
            if p.seed == seed and cost_of(p) > 0 and 0 < p.cross_track_rmse_m < math.inf
        ]
        if measured:
            cost, rmse = np.array(measured).T
            ax.plot(
                cost, rmse, color=style.colour, linewidth=0.7, alpha=0.45, zorder=style.order - 2
            )
            # Passes over demonstrations cost no steps: of equal costs the last is what they buy.
            is_last = np.append(np.diff(cost) > 0, True)
            curves.append((cost[is_last], rmse[is_last]))
    cost, rmse = _median(curves)
    if len(cost):
        ax.plot(cost, rmse, color=style.colour, linewidth=2.2, zorder=style.order)
        _mark(ax, cost[-1], rmse[-1], style, is_end=True)


def _median(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of curves where all of them are known, interpolated in logarithms."""
    start = max((cost[0] for cost, _ in curves), default=math.inf)
    end = min((cost[-1] for cost, _ in curves), default=-math.inf)
    if start > end:
        return np.empty(0), np.empty(0)
    grid = np.geomspace(start, end, _GRID_POINTS) if end > start else np.array([start])
    logs = [np.interp(np.log(grid), np.log(cost), np.log(rmse)) for cost, rmse in curves]
    return grid, np.exp(np.median(logs, axis=0))


def _final_rmse(points: Sequence[CurvePoint]) -> float:
    """Return the median over the seeds of the last RMSE on the curve [m]."""
    last = {p.seed: p.cross_track_rmse_m for p in sorted(points, key=lambda p: p.num_env_steps)}
    finite = [value for value in last.values() if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan


def _mark(ax: "Axes", x: float, y: float, style: MethodStyle, *, is_end: bool) -> None:
    """Draw the marker of a method: full at the end of its curve, hollow on the threshold."""
    ax.plot(
        x,
        y,
        style.marker,
        color=style.colour,
        markersize=style.size if is_end else style.size + 1,
        markerfacecolor=style.colour if is_end else PAPER,
        markeredgecolor=PAPER if is_end else style.colour,
        markeredgewidth=0.8 if is_end else 1.6,
        zorder=style.order + 2,
    )


def _annotate_threshold(ax: "Axes", threshold_m: float) -> None:
    """Write the threshold on its line, at the end where the curves have yet to come down."""
    ax.annotate(
        f"{millimetres(threshold_m)} mm",
        (0, 1e3 * threshold_m),
        xycoords=ax.get_yaxis_transform(),
        xytext=(4, 3),
        textcoords="offset points",
        color=FAINT,
        fontsize=9,
    )


def _add_key(figure: "Figure", final: dict[str, float], styles: dict[str, MethodStyle]) -> None:
    """Name the methods beside the axes, in the order in which the curves end."""
    from matplotlib.lines import Line2D

    ranked = sorted(final, key=lambda m: final[m] if math.isfinite(final[m]) else math.inf)
    handles = [
        Line2D(
            [],
            [],
            color=styles[method].colour,
            marker=styles[method].marker,
            linewidth=2.2,
            markersize=styles[method].size,
            markeredgecolor=PAPER,
            markeredgewidth=0.8,
            label=f"{plain(method)}\n{millimetres(final[method])} mm",
        )
        for method in reversed(ranked)
    ]
    if not handles:
        return
    key = figure.legend(
        handles=handles,
        loc="outside right center",
        frameon=False,
        labelspacing=1.0,
        fontsize=10,
        title="median at the end",
        title_fontsize=9,
        labelcolor=INK,
        alignment="left",
    )
    key.get_title().set_color(FAINT)


def _explain_lines(figure: "Figure", comparison: Comparison) -> None:
    """Say below the axes what thin and bold lines and hollow marks are."""
    from matplotlib.lines import Line2D

    num_seeds = len({point.seed for point in comparison.curves})
    goal = millimetres(comparison.threshold_m)
    hollow = {"markerfacecolor": PAPER, "markeredgewidth": 1.6, "markersize": 8}
    handles = [
        Line2D([], [], color=FAINT, linewidth=0.7, label="one training"),
        Line2D([], [], color=FAINT, linewidth=2.2, label=f"median over {num_seeds} seeds"),
        Line2D([], [], color=FAINT, marker="o", linestyle="none", **hollow),  # type: ignore[arg-type]
    ]
    handles[-1].set_label(f"{goal} mm first reached (median of the seeds)")
    if any(expert_of(point.method) for point in comparison.curves):
        handles.append(
            Line2D([], [], linestyle="none", label="bc, dagger: without their expert's cost")
        )
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        labelcolor=FAINT,
    )
