"""The picture of what an arm has learnt."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffcar.base.figure import new_figure, save_png
from diffcar.tasks.reaching.rollout import ReachTrajectory

__all__ = ["plot_reach"]


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
    figure = new_figure(10, 7)
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
    save_png(figure, file)
