"""`diffcar simulate`: drive any controller along any path in plain physics."""

import contextlib
import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from diffcar.base.files import Unwritten, kept, write_atomically
from diffcar.base.table import Column, Shown, across, number
from diffcar.controllers.choose import choose_controller, newest_or_shipped
from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState
from diffcar.path.grip import GripDiagram
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import ENGINES
from diffcar.sim.contract import CarScene, CarState
from diffcar.sim.model.doubts import notes_of
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.config import SimulateConfig
from diffcar.tasks.tracking.disturbances import DisturbedScene, NoisyController
from diffcar.tasks.tracking.drive import Drive, drive
from diffcar.tasks.tracking.grip import known_grip, load_road
from diffcar.tasks.tracking.metrics import METRICS, TrackingMetrics, skipped_distance
from diffcar.tasks.tracking.picture import plot_drive
from diffcar.tasks.tracking.rollout import Trajectory, accelerations

__all__ = ["EngineFigures", "SimulateResult", "run", "simulation_report"]


@dataclass(frozen=True)
class EngineFigures:
    """The figures of a drive in one engine."""

    metrics: TrackingMetrics
    """How well the path was tracked."""
    num_steps: int
    """Control steps."""
    sim_seconds: float
    """Simulated time [s]."""
    wall_seconds: float
    """Wall time of the drive, without building the scene [s]."""
    arrival_s: float = math.nan
    """When the car was at its goal [s]; NaN if it did not come there."""
    grip_used_p95: float | None = None
    """95th percentile of the share of the car's grip that it used; None where that is not known."""

    def as_json(self) -> dict[str, object]:
        """Return flat values for a JSON file."""
        values = asdict(self)
        return values.pop("metrics") | values


@dataclass(frozen=True)
class SimulateResult:
    """A drive and its figures."""

    controller: str
    """What drove."""
    path: ReferencePath
    """What it was driven along."""
    start: str
    """`standing` or `flying`."""
    skip_distance_m: float
    """Metrics count from this far along the path [m]."""
    engine: str
    """The physics that was asked for."""
    figures: EngineFigures
    """The drive in it."""
    genesis_figures: EngineFigures | None
    """The same drive in Genesis, where another engine was asked for."""
    notes: tuple[str, ...]
    """What was decided for the user, and warnings about the path."""
    unwritten: Unwritten = field(default_factory=dict)
    """Files that could not be written, and why."""

    def differences(self) -> dict[str, float]:
        """Return by how much metrics exceed those of Genesis [%], no number where those are 0."""
        if self.genesis_figures is None:
            return {}
        genesis = asdict(self.genesis_figures.metrics)
        return {
            name: 100 * (value / genesis[name] - 1) if genesis[name] else math.nan
            for name, value in asdict(self.figures.metrics).items()
        }

    def as_json(self) -> dict[str, object]:
        """Return the drive's values, flat, and below keys of their own what they compare with."""
        values = {**vars(self), **self.figures.as_json(), **self.path.as_json()}
        values |= {"path": self.path.name, "path_length_m": self.path.length}
        values |= {"reference_s": float(self.path.timetable[-1])}
        del values["figures"], values["genesis_figures"], values["unwritten"]
        if self.genesis_figures is not None:
            values["genesis"] = self.genesis_figures.as_json()
            values["difference_percent"] = self.differences()
        return values


def run(
    config: SimulateConfig,
    *,
    csv_file: Path | None = None,
    plot_file: Path | None = None,
    video_file: Path | None = None,
    on_step: Callable[[float], None] = lambda fraction: None,
) -> SimulateResult:
    """Drive one car along a path; in Genesis, and then in another engine where one is asked for.

    A trained controller drives in the physics it was trained in, unless the configuration sets
    another one explicitly.

    Args:
        csv_file: For the trajectory.
        plot_file: For a PNG of the drive.
        video_file: For an mp4, in Genesis alone.
        on_step: Called after each step with the fraction of the drives that is done.

    Raises:
        DiffcarError: If the controller, the path or the model is unusable.
    """
    spec, notes = config.controller, list[str]()
    if spec is None:
        spec, notes = newest_or_shipped(config)
    choice = choose_controller(spec)
    config, changes = choice.in_its_physics(config)
    notes += changes
    vehicle = car_of(config)
    config = suited(config, vehicle)
    choice.require_knowledge_of(vehicle)
    notes += notes_of(vehicle)
    path = load_road(config.path, vehicle, seed=config.seed)
    grip = known_grip(vehicle)
    skip_distance = skipped_distance(path, vehicle, config.skip_distance)
    scenes = _scenes(config, vehicle, with_camera=video_file is not None)
    drives: list[Drive] = []
    figures: list[EngineFigures] = []
    unwritten: Unwritten = {}
    for index, scene in enumerate(scenes):
        controller = choice.build(scene)

        def after_step(fraction: float, drives_done: int = index) -> None:
            on_step((drives_done + fraction) / len(scenes))

        began = time.perf_counter()
        film = None if video_file is None else (video_file, unwritten)
        driven = _drive(config, scene, controller, path, film, after_step)
        wall_seconds = time.perf_counter() - began
        drives.append(driven)
        figures.append(_figures(driven, wall_seconds, skip_distance, grip))
    name = getattr(controller, "name", choice.spec)  # one's own may have one
    engine = ENGINES[config.engine].label
    if csv_file is not None:
        with kept(unwritten, csv_file):
            _write_trajectory(drives[-1].trajectory, csv_file)
    if plot_file is not None:
        beside = {"in Genesis": drives[0]} if len(drives) > 1 else {}
        title = f"{name} on {path.name}" + (f" in {engine}" if beside else "")
        with kept(unwritten, plot_file):
            plot_drive(drives[-1], plot_file, title, beside, grip)
    if len(drives) > 1 and (csv_file or plot_file):
        notes.append(f"what is written and drawn is the drive in {engine}")
    notes += _caveats(figures[-1].metrics, skip_distance)
    return SimulateResult(
        controller=name,
        path=path,
        start=config.start,
        skip_distance_m=skip_distance,
        engine=config.engine,
        figures=figures[-1],
        genesis_figures=figures[0] if len(figures) > 1 else None,
        notes=(*notes, *path.warnings),
        unwritten=unwritten,
    )


def _scenes(config: SimulateConfig, vehicle: Vehicle, *, with_camera: bool) -> list[CarScene]:
    """Build one car in Genesis, and one in the engine where another is asked for."""
    scenes: list[CarScene] = [
        build_scene(config, num_envs=1, vehicle=vehicle, with_camera=with_camera)
    ]
    if config.engine != "genesis":
        scenes.append(build_scene(config, num_envs=1, engine=config.engine, vehicle=vehicle))
    return scenes


def _figures(
    driven: Drive, wall_seconds: float, skip_distance: float, grip: GripDiagram | None
) -> EngineFigures:
    """Return the figures of a drive."""
    record, used = driven.trajectory, None
    metrics = driven.metrics(skip_distance=skip_distance)
    if grip is not None:
        used = float(np.nanquantile(grip.usage(*accelerations(record)), 0.95))
    return EngineFigures(
        metrics=metrics,
        num_steps=record.num_steps,
        sim_seconds=round(record.num_steps * record.dt, 9),
        wall_seconds=wall_seconds,
        arrival_s=float(driven.seconds[0]),
        grip_used_p95=used,
    )


def _caveats(metrics: TrackingMetrics, skip_distance: float) -> Iterator[str]:
    """Yield what must be known to read the figures of a drive."""
    if metrics.completion < 1:
        driven = f"{metrics.completion:.1%}"
        yield f"the car drove {driven} of the path; the metrics are of that part"
    if not metrics.got_going:
        yield f"no errors: the car did not come past the first {skip_distance:.3g} m"


def _drive(
    config: SimulateConfig,
    scene: CarScene,
    controller: Controller,
    path: ReferencePath,
    film: tuple[Path, Unwritten] | None,
    on_step: Callable[[float], None],
) -> Drive:
    """Drive, filming if there is a camera and a file for it."""
    camera = None
    if isinstance(scene, GenesisCar):
        camera = scene.camera
        if camera is not None or config.viewer:
            scene.dots = path.dots(0.1 * scene.vehicle.size)
    plant, sensors = (torch.Generator().manual_seed(config.seed + offset) for offset in (0, 1))
    car = DisturbedScene(scene, config.disturbance, plant)
    driver = NoisyController(controller, config.disturbance, sensors, traits=car.traits)

    def after_step(state: CarState, errors: ErrorState) -> None:
        if camera is not None:
            camera.follow(state)
        on_step(min(float(errors.arc_length[0]) / path.length, 1.0))

    driven: Drive | None = None
    with contextlib.ExitStack() as filming:
        if camera is not None and film is not None:
            file, unwritten = film
            filming.enter_context(kept(unwritten, file))
            filming.enter_context(camera.recording(file))
        driven = drive(
            car,
            driver,
            path,
            is_standing=torch.tensor([config.start == "standing"], device=scene.device),
            cross_track=config.start_cross_track,
            heading=config.start_heading,
            max_time=config.max_time,
            on_step=after_step,
        )
    if driven is None:  # the film could not be gone on with in the middle of the drive
        assert film is not None
        raise film[1][film[0]]
    return driven


def _write_trajectory(driven: Trajectory, file: Path) -> None:
    """Write the first car's trajectory as CSV, one row a step, units in the column names."""
    x, y = driven.unshifted_position[:, 0].unbind(-1)
    columns = {
        "t_s": torch.arange(1, driven.num_steps + 1, dtype=torch.float64) * driven.dt,
        "x_m": x,
        "y_m": y,
        "yaw_rad": driven.yaw[:, 0],
        "speed_mps": driven.speed[:, 0],
        "cross_track_m": driven.cross_track_error[:, 0],
        "heading_error_rad": driven.heading_error[:, 0],
        "speed_error_mps": driven.speed_error[:, 0],
        "arc_length_m": driven.arc_length[:, 0],
        "lateral_velocity_mps": driven.lateral_velocity[:, 0],
        "yaw_rate_radps": driven.yaw_rate[:, 0],
        "steering_angle_rad": driven.steering_angle[:, 0],
        "steering_command_rad": driven.action[:, 0, 0],
        "speed_command_mps": driven.action[:, 0, 1],
    }
    rows = torch.stack([column.to("cpu", torch.float64) for column in columns.values()], dim=1)
    # Nine digits hold what was computed, but not far from the origin.
    is_far = any(driven.path.origin)
    formats = [".15g" if is_far and name in ("x_m", "y_m") else ".9g" for name in columns]

    def write(target: Path) -> None:
        with target.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(map(format, row, formats) for row in rows.tolist())

    write_atomically(file, write)


def simulation_report(result: SimulateResult) -> list[Shown]:
    """Return the figures of a drive, beside those in Genesis where it was in another engine."""
    figures: list[Column[EngineFigures]] = [
        *(column.within(lambda drive: drive.metrics) for column in METRICS),
        Column("steps", lambda drive: drive.num_steps),
        Column("simulated time", lambda drive: drive.sim_seconds, "s"),
        Column("wall time of the drive", lambda drive: drive.wall_seconds, "s"),
        Column("at the goal after", lambda drive: drive.arrival_s, "s"),
        Column("the reference speed takes", lambda _: float(result.path.timetable[-1]), "s"),
    ]
    if result.figures.grip_used_p95 is not None:
        figures.append(Column("grip used, p95", lambda drive: drive.grip_used_p95, "%", 100.0))
    drives = {"value": result.figures}
    if result.genesis_figures is not None:
        drives = {"Genesis": result.genesis_figures, ENGINES[result.engine].label: result.figures}
    table = across(
        f"{result.controller} on {result.path.name} ({result.path.length:.1f} m, "
        f"{result.path.kind}), "
        f"{result.start} start, errors after the first {result.skip_distance_m:.3g} m",
        "metric",
        figures,
        drives,
    )
    if differences := result.differences():
        *columns, unit = table.columns
        difference: Column[Column[EngineFigures]] = Column(
            "difference",
            lambda metric: differences.get(metric.key or ""),
            "%",
            words=lambda metric: number(differences[metric.key]) if metric.key else "",
        )
        table = replace(table, columns=[*columns, difference, unit])
    return [table]
