"""What is measured of a car's steering, and circles that are driven by it."""

import numpy as np
import pytest
import torch

from diffcar.controllers.acceleration_pursuit import AccelerationPursuit
from diffcar.path.config import PathConfig
from diffcar.path.grip import GripDiagram
from diffcar.sim.build import build_scene
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarScene
from diffcar.tasks.tracking.drive import drive
from diffcar.tasks.tracking.grip import load_road
from diffcar.tasks.tracking.steering import NUM_STEERING_CARS, measure_steering
from tests.bicycle import Bicycle
from tests.samples import VEHICLE


def test_a_bicycle_is_measured_as_it_turns() -> None:
    """v² tan(steering) / L, up to its grip; at the speeds alone that its motors reach."""
    boundless = GripDiagram(np.ones(1), np.radians([-90.0, 0.0, 90.0]), np.full((1, 3), 1e3))
    table = measure_steering(Bicycle(NUM_STEERING_CARS), boundless)
    fastest = 0.85 * 160 * VEHICLE.wheel_radius
    assert table.speeds[[0, 4, -1]].tolist() == pytest.approx([0.1 * fastest, fastest / 2, fastest])
    assert table.angles[[0, -1]].tolist() == pytest.approx([0.0, VEHICLE.max_steering])
    turns = table.speeds[:, None] ** 2 * torch.tan(table.angles) / VEHICLE.wheelbase
    expected = turns.clamp_max(9.81 * VEHICLE.friction)
    assert torch.allclose(table.accelerations, expected, rtol=0.02)


@pytest.mark.parametrize(("model", "radius"), [("car", 1.0), ("racer", 2.0)])
def test_a_circle_near_the_limit_of_grip_is_tracked(model: str, radius: float) -> None:
    """With the shipped tables, at 80 % in MuJoCo: not 2 mm off once the cars are under way."""
    scene: CarScene = build_scene(CarConfig(model=model), num_envs=2, engine="mujoco")
    road = PathConfig(source="circle", grip=0.8, top_speed=10.0, scale=radius)
    path = load_road(road, scene.vehicle, seed=0)
    driven = drive(scene, AccelerationPursuit(scene.vehicle), path)
    metrics = driven.metrics(skip_distance=path.length / 2)
    assert metrics.completion == 1.0
    assert metrics.cross_track_max_m < 0.002
