"""The picture of a training run."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffcar.base.figure import new_figure, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_training"]

_TOLD_BY_METHODS = {
    "gradient_norm": ("gradient norm", "before clipping"),
    "clipped_gradient_norm": ("gradient norm", "after clipping"),
    "validation_loss": ("loss", "on held-out episodes"),
    "action_std": ("of the actions", "standard deviation"),
}


def plot_training(metrics_file: Path, file: Path) -> None:
    """Draw loss, evaluations and what else a method tells of a run from its `metrics.csv`.

    Args:
        metrics_file: The run's metrics.
        file: PNG file to write.
    """
    with metrics_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    figure = new_figure(10, 7)
    loss, other, rmse = figure.subplots(3, 1, sharex=True)
    terms = [name for name in (rows[0] if rows else {}) if name.startswith("loss")]
    for name in terms:
        label = "total" if name == "loss" else name.removeprefix("loss_")
        style = {"color": "black", "linewidth": 1.6} if name == "loss" else {"linewidth": 0.9}
        _curve(loss, rows, name, label=label, **style)
    loss.set_ylabel("loss")
    loss.legend(loc="upper right", ncols=3, fontsize="small")
    for name, (quantity, label) in _TOLD_BY_METHODS.items():
        if any(row.get(name) for row in rows):
            _curve(other, rows, name, label=label, linewidth=1.2)
            other.set_ylabel(quantity)
            other.legend(loc="upper right", fontsize="small")
    _curve(rmse, rows, "eval_cross_track_rmse_m", factor=1e3, marker="o", color="tab:red")
    rmse.set_ylabel("cross-track RMSE in\nplain physics [mm]")
    rmse.set_xlabel("update")
    for axes in (loss, other, rmse):
        if axes.lines:
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
    save_png(figure, file)


def _curve(
    axes: "Axes", rows: Sequence[dict[str, str]], name: str, factor: float = 1.0, **style: object
) -> None:
    """Plot a column over the iteration, where it has values."""
    points = [(int(row["iteration"]), float(row[name])) for row in rows if row.get(name)]
    if points:
        x, y = np.array(points).T
        axes.plot(x, factor * y, **style)  # type: ignore[arg-type]
