"""Plots as PNG files, drawn without a display."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffcar.drive import Drive
from diffcar.files import write_atomically
from diffcar.path import ReferencePath
from diffcar.pushing import PushTrajectory
from diffcar.reaching import ReachTrajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_drive", "plot_push", "plot_reach", "plot_training"]

_NUM_DRAWN_PUSHES = 8


def plot_drive(
    driven: Drive,
    path: ReferencePath,
    file: Path,
    *,
    car: int = 0,
    title: str | None = None,
    beside: Mapping[str, Drive] | None = None,
) -> None:
    """Draw the driven path over the reference, the errors and the speed along it.

    Args:
        driven: A finished drive.
        path: What was followed.
        file: PNG file to write.
        car: Which of the cars to draw.
        title: Heading; None names the path.
        beside: Other drives along the path, by what to call them.
    """
    trajectory = driven.trajectory
    figure = _figure(10, 8)
    grid = figure.add_gridspec(3, 1, height_ratios=[2.4, 1, 1])
    plan, error, speed = (figure.add_subplot(grid[row]) for row in range(3))
    xy = trajectory.position[:, car].cpu().numpy()
    distance = trajectory.distance[:, car].cpu().numpy()
    last = int(np.searchsorted(distance, float(driven.goal_distance[car]))) + 1
    plan.plot(path.samples[:, 0], path.samples[:, 1], color="0.65", linewidth=3, label="reference")
    plan.plot(xy[:last, 0], xy[:last, 1], color="tab:blue", linewidth=1.2, label="driven")
    for label, other in (beside or {}).items():
        own = other.trajectory.position[:, car].cpu().numpy()
        plan.plot(own[:, 0], own[:, 1], "--", color="tab:orange", linewidth=1, label=label)
    plan.plot(*xy[0], "o", color="tab:green", markersize=6, label="start")
    plan.set_aspect("equal", adjustable="datalim")
    plan.set_xlabel("x [m]")
    plan.set_ylabel("y [m]")
    plan.legend(loc="best")
    plan.set_title(title or path.name)
    error.plot(
        distance[:last],
        1e3 * trajectory.cross_track_error[:last, car].cpu().numpy(),
        color="tab:red",
        linewidth=1,
    )
    error.axhline(0, color="0.6", linewidth=0.8)
    error.set_ylabel("cross-track\nerror [mm]")
    reference = trajectory.speed[:last, car] - trajectory.speed_error[:last, car]
    speed.plot(distance[:last], reference.cpu().numpy(), color="0.65", linewidth=3)
    speed.plot(
        distance[:last], trajectory.speed[:last, car].cpu().numpy(), color="tab:blue", linewidth=1
    )
    speed.set_ylabel("speed [m/s]")
    speed.set_xlabel("distance along the path [m]")
    _save(figure, file)


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
    figure = _figure(10, 7)
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
    _save(figure, file)


def plot_reach(
    losses: Sequence[float],
    trajectory: ReachTrajectory,
    file: Path,
    *,
    dt: float,
    max_mean_distance: float,
) -> None:
    """Draw the loss over the updates, and distances to unseen targets over a reach.

    Args:
        losses: Loss of each update.
        trajectory: A reach for targets never trained on.
        file: PNG file to write.
        dt: Time between its steps [s].
        max_mean_distance: Mean distance that passes [m].
    """
    figure = _figure(10, 7)
    loss, reaches = figure.subplots(2, 1)
    loss.plot(range(1, len(losses) + 1), losses, color="black", linewidth=1.6)
    loss.set_xlabel("update")
    loss.set_ylabel("loss")
    distance = 1e3 * trajectory.distance.double().cpu().numpy()
    time = dt * np.arange(1, len(distance) + 1)
    reaches.plot(time, distance, color="0.8", linewidth=0.6)
    reaches.plot(time, np.median(distance, axis=1), color="tab:orange", label="median")
    reaches.plot(time, distance.mean(axis=1), color="tab:blue", linewidth=1.8, label="mean")
    reaches.axhline(1e3 * max_mean_distance, color="tab:red", linewidth=0.8, linestyle="--")
    reaches.set_xlabel("time [s]")
    reaches.set_ylabel("distance to targets never\ntrained on [mm]")
    reaches.legend(loc="upper right", fontsize="small")
    for axes in (loss, reaches):
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    _save(figure, file)


def plot_push(before: PushTrajectory, after: PushTrajectory, file: Path) -> None:
    """Draw pushes from above, before and after training: path, centroid and tool of each body.

    Args:
        before: Pushes by the untrained network.
        after: The same by the trained one.
        file: PNG file to write.
    """
    num_bodies = min(after.centroid.shape[1], _NUM_DRAWN_PUSHES)
    figure = _figure(10, 2.4 * ((num_bodies + 1) // 2))
    drawn = figure.subplots((num_bodies + 1) // 2, 2, sharex=True, sharey=True, squeeze=False)
    task = after.task
    reference = task.to_world(task.path.sample(task.arc_length + after.target_distance).position)
    for body, axes in enumerate(drawn.flat[:num_bodies]):
        for track, style in (
            (reference, {"color": "0.65", "linewidth": 3, "label": "reference"}),
            (before.centroid, {"color": "tab:orange", "label": "body, untrained"}),
            (after.centroid, {"color": "tab:blue", "label": "body, trained"}),
            (after.tool_position, {"color": "tab:red", "linestyle": ":", "label": "tool, trained"}),
        ):
            x, y = track[:, body].double().cpu().numpy().T
            axes.plot(x, y, **style)
        axes.set_aspect("equal", adjustable="box")
        axes.set_title(f"{task.path.name} from {float(task.arc_length[body]):.2f} m", fontsize=9)
        axes.grid(alpha=0.3)
    for axes in drawn[-1]:
        axes.set_xlabel("x [m]")
    for axes in drawn[:, 0]:
        axes.set_ylabel("y [m]")
    figure.legend(*drawn[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    _save(figure, file)


def _curve(
    axes: "Axes", rows: Sequence[dict[str, str]], name: str, factor: float = 1.0, **style: object
) -> None:
    """Plot a column over the iteration, where it has values."""
    points = [(int(row["iteration"]), float(row[name])) for row in rows if row.get(name)]
    if points:
        x, y = np.array(points).T
        axes.plot(x, factor * y, **style)  # type: ignore[arg-type]


def _figure(width: float, height: float) -> "Figure":
    """Return a figure that needs no display and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", file: Path) -> None:
    """Write the figure as PNG."""
    write_atomically(file, lambda target: figure.savefig(target, dpi=110, format="png"))
