"""What a car can do with its tyres: measured by driving it, and kept in a file beside its model."""

import math
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.log import logger
from diffcar.base.table import Column, Shown, Table
from diffcar.controllers.steering_table import STEERING
from diffcar.path.config import Columns, PathConfig
from diffcar.path.grip import GripDiagram
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.contract import CarScene, Placement
from diffcar.sim.model.doubts import notes_of
from diffcar.sim.model.measured import Measurement, fastest_measured
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.config import MeasureGripConfig
from diffcar.tasks.tracking.steering import NUM_STEERING_CARS, measure_steering

__all__ = [
    "GRIP",
    "NUM_CARS",
    "MeasuredGrip",
    "grip_report",
    "known_grip",
    "load_road",
    "measure",
    "measure_grip",
    "read_grip",
    "write_grip",
]

# Shares of the fastest (see `fastest_measured`).
_SPEEDS = (0.3, 0.45, 0.6, 0.8, 1.0)
_DEGREES = range(-90, 91, 15)
_DIRECTIONS = tuple(map(math.radians, _DEGREES))
_DIRECTION_NAMES = {-90: " braking", 0: " turning", 90: " faster"}
# Friction pyramids lie along the world's axes, so what is held depends on the compass; it repeats
# itself every quarter turn.
_HEADINGS = tuple(map(math.radians, range(0, 90, 15)))
NUM_CARS = len(_SPEEDS) * len(_DIRECTIONS) * len(_HEADINGS)
"""What the scene of a measurement must have."""

_MOST, _NUM_BISECTIONS = 14.0, 7
_RAMP, _HOLD = 0.2, 0.2
# What counts as held, on average or at the worst, while the demand is steady.
_MAX_SLIP, _MAX_LATERAL_MISS, _MAX_SPEED_MISS = 0.1, 0.05, 0.02
GRIP = Measurement("grip", ("speed_mps", "direction_deg", "acceleration_mps2"), least=0.0)
"""What is kept of it."""


class MeasuredGrip(NamedTuple):
    """A measurement and where it is kept."""

    file: Path
    """Beside the car's model."""
    diagram: GripDiagram
    """What it holds."""

    def as_json(self) -> dict[str, object]:
        """Return the file and every figure, as JSON holds them."""
        return {
            "file": str(self.file),
            "speeds_mps": self.diagram.speeds.tolist(),
            "directions_rad": self.diagram.directions.tolist(),
            "accelerations_mps2": self.diagram.accelerations.tolist(),
        }


def measure(
    config: MeasureGripConfig, *, on_round: Callable[[float], None] = lambda fraction: None
) -> MeasuredGrip:
    """Measure a car's grip, and how it turns by its steering, and keep both.

    Raises:
        DiffcarError: If the model is unusable, or there is no room beside it.
    """
    vehicle = car_of(config)
    for note in notes_of(vehicle):
        logger.warning(note)
    config = suited(config, vehicle)
    for kept in (GRIP, STEERING):
        kept.require_room(vehicle)

    def scene(num_cars: int) -> CarScene:
        return build_scene(config, num_envs=num_cars, engine=config.engine, vehicle=vehicle)

    diagram = measure_grip(scene(NUM_CARS), on_round=lambda share: on_round(share / 2))
    turning = scene(NUM_STEERING_CARS)
    table = measure_steering(turning, diagram, on_step=lambda share: on_round((1 + share) / 2))
    columns = table.speeds.numpy(), table.angles.numpy(), table.accelerations.numpy()
    _write(STEERING, vehicle, config.engine, *columns)
    return MeasuredGrip(write_grip(vehicle, config.engine, diagram), diagram)


def grip_report(result: MeasuredGrip) -> list[Shown]:
    """Return the largest accelerations: a row a speed, a column a direction."""
    diagram = result.diagram
    rows = [(speed, *own) for speed, own in zip(diagram.speeds, diagram.accelerations, strict=True)]
    degrees = [round(math.degrees(own)) for own in diagram.directions]
    columns: list[Column[tuple[float, ...]]] = [Column("at", itemgetter(0), "m/s")]
    columns += [
        Column(f"{own}°{_DIRECTION_NAMES.get(own, '')}", itemgetter(index))
        for index, own in enumerate(degrees, 1)
    ]
    title = f"largest accelerations held [m/s²], by speed and direction; kept in {result.file}"
    return [Table(title, columns, rows)]


def measure_grip(
    scene: CarScene, *, on_round: Callable[[float], None] = lambda fraction: None
) -> GripDiagram:
    """Return the accelerations that a car holds in the worst direction of the world.

    At five speeds, in thirteen directions of its g-g diagram, cars that head six ways are asked for
    an acceleration, which rises over 0.2 s (of a car of the shipped one's size; times grow with its
    root) and is held for as long. It is held if of all six the
    rear axle slips by less than a tenth of the speed, the rate of turn misses less than 5 % of
    it and the speed 2 % of what it was at the start. The largest is found by bisection, to 0.1
    m/s².

    Args:
        scene: `NUM_CARS` plain cars, in the engine that they are to be driven in.
        on_round: Called after each bisection with the fraction that is done.

    Raises:
        SimulationError: If there is a direction in which none is held.
    """
    shape = len(_SPEEDS), len(_DIRECTIONS), len(_HEADINGS)
    speeds = fastest_measured(scene.vehicle) * torch.tensor(_SPEEDS, dtype=torch.float64)
    own = (torch.tensor(values, dtype=torch.float64) for values in (_DIRECTIONS, _HEADINGS))
    grid = torch.cartesian_prod(speeds, *own)
    speed, direction, heading = grid.to(scene.dtype).to(scene.device).unbind(-1)
    held = torch.zeros(shape[:2], dtype=scene.dtype, device=scene.device)
    failed = torch.full_like(held, _MOST)
    for number in range(_NUM_BISECTIONS):
        asked = (held + failed) / 2
        size = asked[..., None].expand(shape).reshape(-1)
        demand = size * torch.cos(direction), size * torch.sin(direction)
        is_held = _holds(scene, speed, heading, *demand).reshape(shape).all(-1)
        held, failed = torch.where(is_held, asked, held), torch.where(is_held, failed, asked)
        on_round((number + 1) / _NUM_BISECTIONS)
    accelerations = held.double().cpu().numpy()
    if not accelerations.all():
        at, direction = np.argwhere(accelerations == 0)[0]
        raise SimulationError(
            f"at {speeds[at]:.3g} m/s the car holds no acceleration at {_DEGREES[direction]}° of "
            "its g-g diagram",
            hint="does it drive? Try `diffcar simulate --controller stanley --path line`",
        )
    return GripDiagram(speeds.numpy(), np.array(_DIRECTIONS), accelerations)


def _holds(
    scene: CarScene, start_speed: Tensor, heading: Tensor, lateral: Tensor, along: Tensor
) -> Tensor:
    """Tell which cars (B,) do what they are asked for, by feedforward with some feedback.

    Args:
        start_speed: [m/s], shape (B,).
        heading: At the start [rad], shape (B,).
        lateral: Leftward acceleration [m/s²], shape (B,).
        along: Forward acceleration [m/s²], shape (B,).
    """
    car, dt, root = scene.vehicle, scene.dt, scene.vehicle.root_size
    still = torch.zeros_like(start_speed)
    position = torch.stack([still, still], -1)
    scene.reset(Placement(position, heading, start_speed, still))
    full = sum(car.max_drive_torques) / car.wheel_radius / car.mass
    # A car that is slower to turn, as full-size ones are, would be steered to and fro.
    feedback = 0.1 * root / car.sluggishness
    wanted, slips, misses = start_speed, [], []
    ramp, hold, least = _RAMP * root, _HOLD * root, 0.5 * root
    num_steps, num_steady = round((ramp + hold) / dt), round(0.8 * hold / dt)
    for step in range(num_steps):
        state = scene.read()
        share = min(1.0, (step + 1) * dt / ramp)
        wanted = wanted + share * along * dt
        turn = share * lateral / wanted.clamp_min(least)
        speed = state.speed.clamp_min(least)
        steering = torch.atan(car.wheelbase * turn / speed) + feedback * (turn - state.yaw_rate)
        # The wheels' inertia takes a fifth of the torque.
        drive = 1.2 * share * along / full + 2 / root * (wanted - state.speed)
        command = state.speed + drive.clamp(-1, 1) * car.speed_increment
        scene.apply(torch.stack([steering, command], -1))
        scene.step()
        if step >= num_steps - num_steady:
            after = scene.read()
            aside = after.lateral_velocity + car.rear_axle_x * after.yaw_rate
            slips.append((aside / after.speed.abs().clamp_min(least)).abs())
            misses.append(torch.stack([(after.yaw_rate - turn) * speed, after.speed - wanted]))
    lateral_miss, speed_miss = torch.stack(misses).unbind(1)
    size = torch.hypot(lateral, along)
    is_on_course = lateral_miss.mean(0).abs() < _MAX_LATERAL_MISS * size + 0.1
    is_in_time = speed_miss.abs().amax(0) < _MAX_SPEED_MISS * start_speed + 0.05 * root
    return (torch.stack(slips).amax(0) < _MAX_SLIP) & is_on_course & is_in_time


def write_grip(vehicle: Vehicle, engine: str, diagram: GripDiagram) -> Path:
    """Keep a measured diagram beside a car's model, in place of one alike; return the file."""
    degrees = np.degrees(diagram.directions)
    return _write(GRIP, vehicle, engine, diagram.speeds, degrees, diagram.accelerations)


def _write(
    what: Measurement,
    vehicle: Vehicle,
    engine: str,
    speeds: np.ndarray,
    others: np.ndarray,
    values: np.ndarray,
) -> Path:
    """Keep values (S, A) at speeds (S,) and what else was varied (A,); return the file."""
    grid = np.stack([*np.meshgrid(speeds, others, indexing="ij"), values], axis=-1)
    return what.write(vehicle, engine, map(tuple, grid.reshape(-1, 3).tolist()))


def read_grip(vehicle: Vehicle) -> GripDiagram:
    """Return what is known of a car's grip: the least of the engines that it was measured in.

    Raises:
        ModelError: If it was not measured, or the file is damaged.
    """
    own = GRIP.read(vehicle)
    return GripDiagram(own.speeds, np.radians(own.others), own.values.min(0))


def known_grip(vehicle: Vehicle) -> GripDiagram | None:
    """Return what is known of a car's grip, if anything is."""
    return read_grip(vehicle) if GRIP.is_known(vehicle) else None


def load_road(
    config: PathConfig,
    vehicle: Vehicle,
    *,
    seed: int,
    nameless: Columns | None = None,
) -> ReferencePath:
    """Load a path for a car to drive (see `load_path`): with its grip, where that is asked for.

    A reference speed that the car's motors do not reach is among its warnings.

    Raises:
        PathError: If the path cannot be read, or is nothing to be driven.
        ModelError: If the grip is asked for and was not measured.
    """
    path = load_path(
        config,
        seed=seed,
        max_curvature=vehicle.max_curvature,
        grip=None if config.grip is None else read_grip(vehicle),
        car_size=vehicle.size,
        nameless=nameless,
    )
    if (fastest := float(path.samples[:, 4].max())) > vehicle.top_speed * (1 + 1e-6):
        told = f"the reference asks for up to {fastest:.3g} m/s, and the car's motors reach "
        path.warnings += (f"{told}{vehicle.top_speed:.3g}: lower path.top_speed",)
    return path
