"""Trajectories as CSV files."""

import csv
from pathlib import Path

import torch

from diffcar.base.files import write_atomically
from diffcar.tasks.tracking.rollout import Trajectory

__all__ = ["write_trajectory"]


def write_trajectory(trajectory: Trajectory, file: Path, *, car: int = 0) -> None:
    """Write a car's trajectory, one row a step, units in the column names.

    Args:
        trajectory: The record of a drive.
        file: CSV file to write.
        car: Which of the cars to write.
    """
    columns = {
        "t_s": torch.arange(1, trajectory.num_steps + 1, dtype=torch.float64) * trajectory.dt,
        "x_m": trajectory.position[:, car, 0],
        "y_m": trajectory.position[:, car, 1],
        "yaw_rad": trajectory.yaw[:, car],
        "speed_mps": trajectory.speed[:, car],
        "cross_track_m": trajectory.cross_track_error[:, car],
        "heading_error_rad": trajectory.heading_error[:, car],
        "speed_error_mps": trajectory.speed_error[:, car],
        "arc_length_m": trajectory.arc_length[:, car],
        "lateral_velocity_mps": trajectory.lateral_velocity[:, car],
        "yaw_rate_radps": trajectory.yaw_rate[:, car],
        "steering_angle_rad": trajectory.steering_angle[:, car],
        "steering_command_rad": trajectory.action[:, car, 0],
        "speed_command_mps": trajectory.action[:, car, 1],
    }
    rows = torch.stack([column.to("cpu", torch.float64) for column in columns.values()], dim=1)

    def write(target: Path) -> None:
        with target.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows([f"{value:.9g}" for value in row] for row in rows.tolist())

    write_atomically(file, write)
