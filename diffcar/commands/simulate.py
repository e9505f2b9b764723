"""`diffcar simulate`: drive any controller along any path in plain physics."""

import contextlib
import csv
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from diffcar.config import CLASSICAL_CONTROLLERS, SimulateConfig, check_controller
from diffcar.controllers import Controller, PurePursuit, Stanley, Zero
from diffcar.drive import Drive, drive
from diffcar.evaluation import TrackingMetrics, tracking_metrics
from diffcar.files import write_atomically
from diffcar.path import ReferencePath, load_path
from diffcar.plots import plot_drive
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState
from diffcar.sim.scene import build_scene
from diffcar.sim.vehicle import load_vehicle
from diffcar.tracking import ErrorState
from diffcar.training.checkpoint import config_values, load_checkpoint, restore_tracking_mlp
from diffcar.training.run_folder import newest_run

__all__ = ["SimulateResult", "run"]


@dataclass(frozen=True)
class SimulateResult:
    """A drive and its figures."""

    controller: str
    """What drove."""
    path: str
    """Name of the reference path."""
    path_length_m: float
    """Its length [m]."""
    start: str
    """`standing` or `flying`."""
    skip_distance_m: float
    """Metrics count from this far along the path [m]."""
    metrics: TrackingMetrics
    """How well the path was tracked."""
    num_steps: int
    """Control steps."""
    sim_seconds: float
    """Simulated time [s]."""
    wall_seconds: float
    """Wall time of the drive, without building the scene [s]."""
    notes: tuple[str, ...]
    """What was decided for the user, and warnings about the path."""

    def as_json(self) -> dict[str, object]:
        """Return flat values for a JSON file."""
        values = asdict(self)
        values.update(values.pop("metrics"))
        return values


def run(
    config: SimulateConfig,
    *,
    csv_file: Path | None = None,
    plot_file: Path | None = None,
    video_file: Path | None = None,
    verbose: bool = False,
    on_step: Callable[[float], None] = lambda fraction: None,
) -> SimulateResult:
    """Drive one car along a path.

    A trained controller drives in the physics it was trained in, unless the configuration sets
    another one explicitly.

    Args:
        config: The resolved configuration.
        csv_file: Where to write the trajectory.
        plot_file: Where to write a PNG of the drive.
        video_file: Where to write an mp4.
        verbose: Whether Genesis may log to the terminal.
        on_step: Called after each step with the fraction of the path driven.

    Returns:
        The figures.

    Raises:
        DiffcarError: If the controller, the path or the model is unusable.
    """
    spec, notes = _choose_controller(config.controller)
    content = None if spec in CLASSICAL_CONTROLLERS else load_checkpoint(Path(spec))
    if content is not None:
        config, changes = _in_trained_physics(config, config_values(content))
        notes += changes
    vehicle = load_vehicle(config.model)
    path = load_path(config.path, seed=config.seed, max_curvature=vehicle.max_curvature)
    scene = build_scene(
        config,
        num_envs=1,
        differentiable=False,
        vehicle=vehicle,
        with_camera=video_file is not None,
        verbose=verbose,
    )
    path.to(scene.dtype, scene.device)
    controller = _build_controller(spec, content, path, scene)
    driven, wall_seconds = _drive(config, scene, controller, path, video_file, on_step)
    if csv_file is not None:
        _write_csv(driven, csv_file)
    if plot_file is not None:
        plot_drive(driven, path, plot_file, title=f"{controller.name} on {path.name}")
    num_steps = driven.trajectory.num_steps
    metrics = tracking_metrics(
        driven.trajectory,
        goal_distance=driven.goal_distance,
        skip_distance=config.skip_distance,
    )
    if metrics.completion < 1:
        notes.append(
            f"the car drove {metrics.completion:.1%} of the path; the metrics are of that part"
        )
    return SimulateResult(
        controller=controller.name,
        path=path.name,
        path_length_m=path.length,
        start=config.start,
        skip_distance_m=config.skip_distance,
        metrics=metrics,
        num_steps=num_steps,
        sim_seconds=round(num_steps * scene.dt, 9),
        wall_seconds=wall_seconds,
        notes=(*notes, *path.warnings),
    )


def _choose_controller(spec: str | None) -> tuple[str, list[str]]:
    """Return what drives, and what to tell the user if the choice was ours."""
    if spec is not None:
        check_controller(spec)
        return spec, []
    newest = newest_run()
    if newest is None:
        return "pure-pursuit", [
            "no trained controller below runs/, so pure pursuit drives; "
            "`diffcar train-e2e` trains one"
        ]
    return str(newest), [f"no --controller given, so the newest run drives: {newest}"]


def _in_trained_physics(
    config: SimulateConfig, trained: dict[str, Any]
) -> tuple[SimulateConfig, list[str]]:
    """Take from the training what the user has not set, and note what differs all the same."""
    keys = ("dt", "substeps", "actuation", "model")
    adopted = {key: trained[key] for key in keys if key not in config.model_fields_set}
    config = config.model_copy(update=adopted)
    return config, [
        f"the controller was trained with {key} = {trained[key]}, it drives with {value}"
        for key in keys
        if (value := getattr(config, key)) != trained[key]
    ]


def _drive(
    config: SimulateConfig,
    scene: GenesisCar,
    controller: Controller,
    path: ReferencePath,
    video_file: Path | None,
    on_step: Callable[[float], None],
) -> tuple[Drive, float]:
    """Drive, filming if asked to; return the drive and its wall time [s]."""

    def after_step(state: CarState, errors: ErrorState) -> None:
        if scene.camera is not None:
            scene.camera.follow(state)
        on_step(float(errors.arc_length[0]) / path.length)

    filming: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if scene.camera is not None and video_file is not None:
        filming = scene.camera.recording(path, video_file)
    began = time.perf_counter()
    with filming:
        driven = drive(
            scene,
            controller,
            path,
            is_standing=torch.tensor([config.start == "standing"], device=scene.device),
            cross_track=config.start_cross_track,
            heading=config.start_heading,
            max_time=config.max_time,
            on_step=after_step,
        )
    return driven, time.perf_counter() - began


def _build_controller(
    spec: str, content: dict[str, Any] | None, path: ReferencePath, scene: GenesisCar
) -> Controller:
    """Return the controller that a name or a checkpoint stands for."""
    if content is not None:
        return restore_tracking_mlp(
            content, path, scene.vehicle, dtype=scene.dtype, device=scene.device, name=spec
        )
    if spec == "zero":
        return Zero()
    kind = PurePursuit if spec == "pure-pursuit" else Stanley
    return kind(path, scene.vehicle)


def _write_csv(driven: Drive, file: Path) -> None:
    """Write the trajectory, one row a step, units in the column names."""
    trajectory = driven.trajectory
    columns = {
        "t_s": torch.arange(1, trajectory.num_steps + 1, dtype=torch.float64) * trajectory.dt,
        "x_m": trajectory.position[:, 0, 0],
        "y_m": trajectory.position[:, 0, 1],
        "yaw_rad": trajectory.yaw[:, 0],
        "speed_mps": trajectory.speed[:, 0],
        "cross_track_m": trajectory.cross_track_error[:, 0],
        "heading_error_rad": trajectory.heading_error[:, 0],
        "speed_error_mps": trajectory.speed_error[:, 0],
        "arc_length_m": trajectory.arc_length[:, 0],
        "lateral_velocity_mps": trajectory.lateral_velocity[:, 0],
        "yaw_rate_radps": trajectory.yaw_rate[:, 0],
        "steering_angle_rad": trajectory.steering_angle[:, 0],
        "steering_command_rad": trajectory.action[:, 0, 0],
        "speed_command_mps": trajectory.action[:, 0, 1],
    }
    rows = torch.stack([column.to("cpu", torch.float64) for column in columns.values()], dim=1)

    def write(target: Path) -> None:
        with target.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows([f"{value:.9g}" for value in row] for row in rows.tolist())

    write_atomically(file, write)
