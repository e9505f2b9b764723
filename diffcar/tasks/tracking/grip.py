"""What a car can do with its tyres: measured by driving it, and kept in a file beside its model."""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffcar.base.errors import ModelError
from diffcar.base.files import is_there, write_atomically
from diffcar.path.config import PathConfig
from diffcar.path.grip import GripDiagram
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.contract import CarScene, Placement
from diffcar.sim.model.vehicle import Vehicle, car_of
from diffcar.tasks.tracking.config import MeasureGripConfig

__all__ = [
    "NUM_CARS",
    "grip_file",
    "known_grip",
    "load_road",
    "measure",
    "measure_grip",
    "read_grip",
    "write_grip",
]

_SPEEDS = (3.0, 4.5, 6.0, 8.0, 10.0)
_DIRECTIONS = tuple(map(math.radians, range(-90, 91, 15)))
# Friction pyramids lie along the world's axes, so what is held depends on the compass; it repeats
# itself every quarter turn.
_HEADINGS = tuple(map(math.radians, range(0, 90, 15)))
NUM_CARS = len(_SPEEDS) * len(_DIRECTIONS) * len(_HEADINGS)
"""What the scene of a measurement must have."""

_LEAST, _MOST, _NUM_BISECTIONS = 0.5, 14.0, 7
_RAMP, _HOLD = 0.2, 0.2
# What counts as held, on average or at the worst, while the demand is steady.
_MAX_SLIP, _MAX_LATERAL_MISS, _MAX_SPEED_MISS = 0.1, 0.05, 0.02
_COLUMNS = ("engine", "drive", "torque_split", "speed_mps", "direction_deg", "acceleration_mps2")


@dataclass(frozen=True)
class _Demand:
    """Accelerations that cars are asked for, all of shape (B,)."""

    speed: Tensor
    """At the start [m/s]."""
    heading: Tensor
    """At the start [rad]."""
    lateral: Tensor
    """Leftward acceleration [m/s²]."""
    along: Tensor
    """Forward acceleration [m/s²]."""


def measure(
    config: MeasureGripConfig, *, on_round: Callable[[float], None] = lambda fraction: None
) -> tuple[Path, GripDiagram]:
    """Measure a car's grip and keep it; return the file and what was found.

    Raises:
        DiffcarError: If the model is unusable, or there is no room beside it.
    """
    vehicle = car_of(config)
    scene = build_scene(config, num_envs=NUM_CARS, engine=config.engine, vehicle=vehicle)
    diagram = measure_grip(scene, on_round=on_round)
    return write_grip(vehicle, config.engine, diagram), diagram


def measure_grip(
    scene: CarScene, *, on_round: Callable[[float], None] = lambda fraction: None
) -> GripDiagram:
    """Return the accelerations that a car holds in the worst direction of the world.

    At five speeds, in thirteen directions of its g-g diagram, cars that head six ways are asked for
    an acceleration, which rises over 0.2 s and is held for as long. It is held if of all six the
    rear axle slips by less than a tenth of the speed, the rate of turn misses less than 5 % of
    it and the speed 2 % of what it was at the start. The largest is found by bisection, to 0.1
    m/s².

    Args:
        scene: `NUM_CARS` plain cars, in the engine that they are to be driven in.
        on_round: Called after each bisection with the fraction that is done.
    """
    shape = len(_SPEEDS), len(_DIRECTIONS), len(_HEADINGS)
    grid = torch.cartesian_prod(*map(torch.tensor, (_SPEEDS, _DIRECTIONS, _HEADINGS)))
    speed, direction, heading = grid.to(scene.dtype).to(scene.device).unbind(-1)
    held = torch.full(shape[:2], _LEAST, dtype=scene.dtype, device=scene.device)
    failed = torch.full_like(held, _MOST)
    for number in range(_NUM_BISECTIONS):
        asked = (held + failed) / 2
        size = asked[..., None].expand(shape).reshape(-1)
        demand = _Demand(speed, heading, size * torch.cos(direction), size * torch.sin(direction))
        is_held = _holds(scene, demand).reshape(shape).all(-1)
        held, failed = torch.where(is_held, asked, held), torch.where(is_held, failed, asked)
        on_round((number + 1) / _NUM_BISECTIONS)
    accelerations = held.double().cpu().numpy()
    return GripDiagram(np.array(_SPEEDS), np.array(_DIRECTIONS), accelerations)


def _holds(scene: CarScene, demand: _Demand) -> Tensor:
    """Tell which cars (B,) do what they are asked for, by feedforward with some feedback."""
    car, dt = scene.vehicle, scene.dt
    still = torch.zeros_like(demand.speed)
    position = torch.stack([still, still], -1)
    scene.reset(Placement(position, demand.heading, demand.speed, still))
    full = sum(car.max_drive_torques) / car.wheel_radius / car.mass
    wanted, slips, misses = demand.speed, [], []
    num_steps, num_steady = round((_RAMP + _HOLD) / dt), round(0.8 * _HOLD / dt)
    for step in range(num_steps):
        state = scene.read()
        share = min(1.0, (step + 1) * dt / _RAMP)
        wanted = wanted + share * demand.along * dt
        turn = share * demand.lateral / wanted.clamp_min(0.5)
        speed = state.speed.clamp_min(0.5)
        steering = torch.atan(car.wheelbase * turn / speed) + 0.1 * (turn - state.yaw_rate)
        # The wheels' inertia takes a fifth of the torque.
        drive = 1.2 * share * demand.along / full + 2 * (wanted - state.speed)
        command = state.speed + drive.clamp(-1, 1) * car.speed_increment
        scene.apply(torch.stack([steering, command], -1))
        scene.step()
        if step >= num_steps - num_steady:
            after = scene.read()
            aside = after.lateral_velocity + car.rear_axle_x * after.yaw_rate
            slips.append((aside / after.speed.abs().clamp_min(0.5)).abs())
            misses.append(torch.stack([(after.yaw_rate - turn) * speed, after.speed - wanted]))
    lateral, along = torch.stack(misses).unbind(1)
    size = torch.hypot(demand.lateral, demand.along)
    is_on_course = lateral.mean(0).abs() < _MAX_LATERAL_MISS * size + 0.1
    is_in_time = along.abs().amax(0) < _MAX_SPEED_MISS * demand.speed + 0.05
    return (torch.stack(slips).amax(0) < _MAX_SLIP) & is_on_course & is_in_time


def grip_file(vehicle: Vehicle) -> Path:
    """Return where a car's grip is kept: beside its model."""
    return vehicle.file.with_suffix(".grip.csv")


def write_grip(vehicle: Vehicle, engine: str, diagram: GripDiagram) -> Path:
    """Keep a measured diagram beside a car's model, in place of an earlier one of its kind.

    Returns:
        The file.
    """
    file, kind = grip_file(vehicle), (engine, *_drive_of(vehicle))
    others = [row for row in _rows(file) if tuple(row[:3]) != kind] if file.is_file() else []
    own = [
        [*kind, f"{speed:g}", f"{math.degrees(direction):.4g}", f"{most:.3f}"]
        for speed, row in zip(diagram.speeds, diagram.accelerations, strict=True)
        for direction, most in zip(diagram.directions, row, strict=True)
    ]

    def write(target: Path) -> None:
        with target.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([_COLUMNS, *others, *own])

    write_atomically(file, write)
    return file


def read_grip(vehicle: Vehicle) -> GripDiagram:
    """Return what is known of a car's grip: the least of the engines that it was measured in.

    Raises:
        ModelError: If it was not measured, or the file is damaged.
    """
    file, kind = grip_file(vehicle), _drive_of(vehicle)
    measure = "measure it with `diffcar measure-grip`, --car and drive as here"
    if not is_there(str(file), Path.is_file):
        raise ModelError(f"the grip of the car {str(vehicle.file)!r} is not known", measure)
    try:
        rows = [row for row in _rows(file) if tuple(row[1:3]) == kind]
        numbers = np.array([[float(value) for value in row[3:]] for row in rows])
        by_engine = [
            numbers[[row[0] == engine for row in rows]] for engine in {row[0] for row in rows}
        ]
        tables = [_table(own) for own in by_engine]
        if tables and not all(np.array_equal(tables[0][1], own[1]) for own in tables):
            raise ValueError("its engines differ in speeds or directions")
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(f"{str(file)!r} is damaged: {error}", f"remove it and {measure}") from None
    if not tables:
        told = f"the grip of the car {str(vehicle.file)!r} is not known, {vehicle.drive} driven"
        raise ModelError(told, measure)
    accelerations = np.min([own[0] for own in tables], 0)
    speeds, directions = (np.unique(column) for column in tables[0][1].T)
    return GripDiagram(speeds, np.radians(directions), accelerations)


def known_grip(vehicle: Vehicle) -> GripDiagram | None:
    """Return what is known of a car's grip, if anything is."""
    return read_grip(vehicle) if is_there(str(grip_file(vehicle)), Path.is_file) else None


def load_road(
    config: PathConfig,
    vehicle: Vehicle,
    *,
    seed: int,
    nameless: Sequence[str] | None = None,
) -> ReferencePath:
    """Load a path for a car to drive (see `load_path`): with its grip, where that is asked for."""
    return load_path(
        config,
        seed=seed,
        max_curvature=vehicle.max_curvature,
        grip=None if config.grip is None else read_grip(vehicle),
        nameless=nameless,
    )


def _drive_of(vehicle: Vehicle) -> tuple[str, str]:
    """Return how a car is driven, as files have it."""
    return vehicle.drive, f"{vehicle.torque_split:.3g}"


def _rows(file: Path) -> list[list[str]]:
    """Read the rows of a file of grip.

    Raises:
        ValueError: If it is none.
    """
    with file.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    if tuple(header) != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows):
        raise ValueError(f"its columns are not {', '.join(_COLUMNS)}")
    return rows


def _table(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return accelerations (S, A) of rows of speed, direction and acceleration, and where they are.

    Raises:
        ValueError: If the rows are no grid with a direction of zero, or not positive and finite.
    """
    places = rows[:, :2]
    num_speeds = len(np.unique(places[:, 0]))
    order = np.lexsort((places[:, 1], places[:, 0]))
    is_grid = len(np.unique(places, axis=0)) == len(rows) and len(rows) % num_speeds == 0
    directions = places[order, 1].reshape(num_speeds, -1) if is_grid else np.empty((0, 0))
    if not is_grid or not (directions == directions[0]).all() or 0.0 not in directions[0]:
        raise ValueError("its rows are no grid of speeds and directions, 0 among them")
    if not (np.isfinite(rows).all() and (rows[:, [0, 2]] > 0).all()):
        raise ValueError("its numbers are not positive and finite")
    return rows[order, 2].reshape(num_speeds, -1), places[order]
