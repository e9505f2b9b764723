"""What many tests share: the shipped car, paths by name, states and seeds."""

import functools
import math
from pathlib import Path

import torch

from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState
from diffcar.sim.model.read import load_vehicle
from diffcar.tasks.pushing.rollout import PushStart, PushTrajectory
from diffcar.tasks.reaching.rollout import ReachTrajectory
from diffcar.tasks.tracking.rollout import Trajectory

VEHICLE = load_vehicle()


@functools.cache
def road(source: str, **settings: object) -> ReferencePath:
    """Return a path in float64."""
    return load_path(PathConfig(source=source, **settings))


def write_loop(file: Path, *, east: float = 0.0, north: float = 0.0, scale: float = 1.0) -> Path:
    """Write a loop about 19 m long around a place, its coordinates multiplied, and return it."""
    rows = []
    for number in range(120):
        angle = 2 * math.pi * number / 120
        radius = 3 + 0.6 * math.sin(3 * angle)
        x, y = east + radius * math.cos(angle), north + radius * math.sin(angle)
        rows.append(f"{scale * x:.9f},{scale * y:.9f}")
    file.write_text("\n".join(["x_m,y_m", *rows, ""]))
    return file


def seeded(seed: int = 0) -> torch.Generator:
    """Return a source of random numbers."""
    return torch.Generator().manual_seed(seed)


def doubles(*values: float) -> torch.Tensor:
    """Return a vector in float64."""
    return torch.tensor(values, dtype=torch.float64)


def car_at(x: float, y: float, yaw: float, speed: float = 2.0) -> CarState:
    """Return a car's state with everything else at rest."""
    zero = torch.zeros(1, dtype=torch.float64)
    return CarState(
        position=torch.tensor([[x, y]], dtype=torch.float64),
        yaw=zero + yaw,
        speed=zero + speed,
        lateral_velocity=zero,
        yaw_rate=zero,
        steering_angles=torch.zeros(1, 2, dtype=torch.float64),
        wheel_speeds=torch.zeros(1, 2, dtype=torch.float64),
        qpos=torch.zeros(1, 13, dtype=torch.float64),
        dofs_velocity=torch.zeros(1, 12, dtype=torch.float64),
    )


def trajectory_of(cross_track: list[float], steering: list[float] | None = None) -> Trajectory:
    """Return one car's record, one metre a step, with the given errors."""
    num_steps = len(cross_track)
    column = torch.zeros(num_steps, 1, dtype=torch.float64)
    commands = torch.zeros(num_steps, 1, 2, dtype=torch.float64)
    if steering is not None:
        commands[:, 0, 0] = torch.tensor(steering)
    return Trajectory(
        position=torch.zeros(num_steps, 1, 2, dtype=torch.float64),
        yaw=column,
        speed=column,
        lateral_velocity=column,
        yaw_rate=column,
        steering_angle=column,
        arc_length=torch.arange(1.0, num_steps + 1, dtype=torch.float64)[:, None],
        cross_track_error=torch.tensor(cross_track, dtype=torch.float64)[:, None],
        heading_error=column + 0.1,
        speed_error=column - 0.5,
        action=commands,
        speed_before=column,
        start_arc_length=torch.zeros(1, dtype=torch.float64),
        final_state=car_at(0, 0, 0),
        path=road("line"),
        vehicle=VEHICLE,
        dt=0.1,
        timed_start=torch.zeros(1, dtype=torch.float64),
    )


def reach_of(*distances: float) -> ReachTrajectory:
    """Return one arm's record: the hand off along x, joints at 1 rad/s, actions 0, 1, 0, ..."""
    num_steps = len(distances)
    hand = torch.zeros(num_steps, 1, 3, dtype=torch.float64)
    hand[:, 0, 0] = torch.tensor(distances)
    action = torch.zeros(num_steps, 1, 7, dtype=torch.float64)
    action[1::2] = 1.0
    return ReachTrajectory(
        hand_position=hand,
        joint_velocities=torch.ones(num_steps, 1, 7, dtype=torch.float64),
        action=action,
        target=torch.zeros(1, 3, dtype=torch.float64),
    )


def start_on_circle() -> PushStart:
    """Three bodies on a left turn of radius 1 m: plain, offset and turned, mirrored."""
    path = road("circle", scale=0.5, top_speed=0.3)
    return PushStart(
        path,
        arc_length=doubles(0.0, 1.0, 2.0),
        cross_track=doubles(0.0, 0.01, 0.0),
        heading=doubles(0.0, 0.1, 0.0),
        side=doubles(1.0, 1.0, -1.0),
    )


def push_of(cross_track: float, behind: float) -> PushTrajectory:
    """Return the record of a body two steps long, its second action off by (0.3, 0.4)."""
    target = torch.tensor([[0.1], [0.2]], dtype=torch.float64)
    action = torch.tensor([[[0.0, 0.0]], [[0.3, 0.4]]], dtype=torch.float64)
    return PushTrajectory(
        start=start_on_circle(),
        centroid=torch.zeros(2, 1, 2, dtype=torch.float64),
        tool_position=torch.zeros(2, 1, 2, dtype=torch.float64),
        cross_track_error=torch.full((2, 1), cross_track, dtype=torch.float64),
        distance=target - behind,
        target_distance=target,
        action=action,
    )
