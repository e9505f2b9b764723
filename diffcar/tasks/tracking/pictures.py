"""Pictures of drives."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from diffcar.base.figure import new_figure, save_png
from diffcar.path.reference import ReferencePath
from diffcar.tasks.tracking.drive import Drive

__all__ = ["plot_drive"]


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
    figure = new_figure(10, 8)
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
    save_png(figure, file)
