"""The picture of a drive: where it went, its errors and its speed along the path."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from diffcar.base.figure import new_figure, plain, save_png
from diffcar.path.grip import GripDiagram
from diffcar.tasks.tracking.drive import Drive
from diffcar.tasks.tracking.rollout import Trajectory, accelerations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_drive"]


def plot_drive(
    driven: Drive,
    file: Path,
    title: str = "",
    beside: Mapping[str, Drive] | None = None,
    grip: GripDiagram | None = None,
) -> None:
    """Draw the path that the first car drove over the reference, the errors and the speed along it.

    The title is the path's name by default, and says how far a drive came that did not arrive;
    other drives along the path are drawn beside it. Where the car's grip is known, its
    accelerations are drawn inside of it.

    Raises:
        OutputError: If the file cannot be written.
    """
    path = driven.trajectory.path
    figure = new_figure(10, 8, margins=(1.0, 0.6, 0.2, 0.4))
    grid = figure.add_gridspec(3, 3, height_ratios=[2.4, 1, 1], wspace=0.35)
    along = slice(None) if grip is None else slice(2)
    plan = figure.add_subplot(grid[0, :])
    error, speed = (figure.add_subplot(grid[row, along]) for row in (1, 2))
    first = driven.trajectory
    distance = first.distance[:, 0].cpu().numpy()
    goal = float(driven.goal_distance[0])
    last = int(np.searchsorted(distance, goal)) + 1
    distance = distance[:last]

    def arrived(values: Tensor) -> np.ndarray:
        return values[:last, 0].cpu().numpy()

    xy = first.unshifted_position[:last, 0].numpy()
    reference = path.unshifted(path.samples[:, :2]).numpy()
    plan.plot(reference[:, 0], reference[:, 1], color="0.65", linewidth=3, label="reference")
    plan.plot(xy[:, 0], xy[:, 1], color="tab:blue", linewidth=1.2, label="driven")
    for label, other in (beside or {}).items():
        own = other.trajectory.unshifted_position[:, 0].numpy()
        plan.plot(own[:, 0], own[:, 1], "--", color="tab:orange", linewidth=1, label=label)
    plan.plot(*xy[0], "o", color="tab:green", markersize=6, label="start")
    plan.set_aspect("equal", adjustable="datalim")
    title = plain(title or path.name)
    if not driven.has_arrived[-1, 0]:
        title += f": the first {max(0.0, distance[-1]):.0f} m of {goal:.0f} m"
    plan.set(xlabel="x [m]", ylabel="y [m]", title=title)
    plan.legend(loc="best")
    error.plot(distance, 1e3 * arrived(first.cross_track_error), color="tab:red", linewidth=1)
    error.axhline(0, color="0.6", linewidth=0.8)
    error.set_ylabel("cross-track\nerror [mm]")
    speed.plot(distance, arrived(first.speed - first.speed_error), color="0.65", linewidth=3)
    speed.plot(distance, arrived(first.speed), color="tab:blue", linewidth=1)
    speed.set(xlabel="distance along the path [m]", ylabel="speed [m/s]")
    if grip is not None:
        above_its_key = grid[1:, 2].subgridspec(2, 1, height_ratios=[3, 1])[0]
        _plot_grip(figure.add_subplot(above_its_key), first.until(last), grip)
    save_png(figure, file)


def _plot_grip(axes: "Axes", driven: Trajectory, grip: GripDiagram) -> None:
    """Draw the first car's accelerations over the least and the most that it holds at any speed."""
    _, aside, ahead = accelerations(driven)
    axes.plot(aside, ahead, ".", color="tab:blue", markersize=2, label="driven")
    held = grip.accelerations
    for most, colour, which in ((held.min(0), "0.4", "worst"), (held.max(0), "0.75", "best")):
        x, y = most * np.cos(grip.directions), most * np.sin(grip.directions)
        label = f"car's limit, {which} speed"
        axes.plot([*x, *-x[::-1]], [*y, *y[::-1]], color=colour, linewidth=1.2, label=label)
    axes.set(xlabel="leftward [m/s²]", ylabel="forward [m/s²]")
    axes.set_aspect("equal", adjustable="datalim")  # so that the key has its place
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize="small", frameon=False)
