"""Grip diagrams and the speed profiles inside of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffcar.base.config import load_config
from diffcar.base.errors import ConfigError, PathError
from diffcar.path.config import PathConfig
from diffcar.path.grip import FrictionEllipse, GripDiagram
from diffcar.path.load import load_path
from diffcar.path.speed import speed_profile
from diffcar.tasks.tracking.config import TrainE2EConfig

DIRECTIONS = np.radians(np.arange(-90.0, 91.0, 15.0))


def round_grip(size: float) -> GripDiagram:
    """A car that holds as much in every direction at every speed."""
    return GripDiagram(np.array([2.0, 6.0]), DIRECTIONS, np.full((2, len(DIRECTIONS)), size))


def test_a_round_diagram_is_a_friction_circle() -> None:
    """The profiles differ by what the diagram's thirteen directions cut off of the circle."""
    bend = np.abs(np.sin(np.linspace(0, 12, 600)))
    grid, limit = np.linspace(0, 12, 600), np.full(600, 5.0)
    circle, diagram = (
        speed_profile(grid, bend, limit, limits, closed=False)
        for limits in (FrictionEllipse(6.0, 6.0), round_grip(6.0))
    )
    assert np.abs(circle - diagram).max() < 0.05
    assert np.ptp(circle) > 1.0


def test_braking_and_speeding_up_have_halves_of_their_own() -> None:
    """On a straight a car that brakes with 2 and speeds up with 8 m/s² does so."""
    held = np.where(DIRECTIONS < 0, 2.0, 8.0) * np.ones((2, 1))
    lopsided = GripDiagram(np.array([1.0, 9.0]), DIRECTIONS, held)
    bend = np.zeros(201)
    bend[[0, -1]] = 8.0  # a metre a second, at both ends
    grid = np.linspace(0.0, 4.0, 201)
    speed = speed_profile(grid, bend, np.full(201, 20.0), lopsided, closed=False)
    assert speed[[0, -1]] == pytest.approx(1.0)
    rates = np.diff(speed**2) / 2 / grid[1]
    assert rates.max() == pytest.approx(8.0, rel=1e-6)
    assert rates[1:-1].min() == pytest.approx(-2.0, rel=1e-6)


def test_a_share_of_the_grip_is_a_share_of_every_acceleration() -> None:
    """Cornering speeds go by its root, and what a half-used turn leaves by the circle."""
    whole, half = round_grip(8.0), replace(round_grip(8.0), share=0.5)
    bend = np.array([0.5, 2.0])
    assert half.cornering_speed(bend) == pytest.approx(np.sqrt(4.0 / bend), rel=1e-2)
    assert whole.cornering_speed(bend) == pytest.approx(np.sqrt(8.0 / bend), rel=1e-2)
    left = whole.along(np.array([8.0]), np.array([0.5]), braking=True)
    assert left == pytest.approx(8.0 * math.sqrt(0.75), rel=0.02)


def test_usage_is_relative_to_what_was_held_in_that_direction() -> None:
    """A car that holds 4 m/s² while braking and 8 in turns uses half in either case."""
    held = np.where(np.isclose(DIRECTIONS, -math.pi / 2), 4.0, 8.0) * np.ones((2, 1))
    grip = GripDiagram(np.array([1.0, 9.0]), DIRECTIONS, held)
    speed = np.array([3.0, 3.0, 3.0])
    used = grip.usage(speed, np.array([0.0, -4.0, np.nan]), np.array([-2.0, 0.0, 0.0]))
    assert used == pytest.approx([0.5, 0.5, np.nan], nan_ok=True)


def test_a_share_needs_a_car_and_stands_alone() -> None:
    """Without a diagram there is nothing to have a share of; two limits would contradict it."""
    with pytest.raises(PathError, match="there is no car here"):
        load_path(PathConfig(grip=0.9))
    with pytest.raises(ConfigError, match="lateral_acceleration has no effect"):
        PathConfig(grip=0.9, lateral_acceleration=5.0)
    circle = load_path(PathConfig(source="circle", grip=0.5, top_speed=9.0), grip=round_grip(8.0))
    assert circle.samples[:, 4] == pytest.approx(math.sqrt(0.5 * 8.0 * 2.0), rel=1e-2)
    assert circle.timetable[-1] == pytest.approx(4 * math.pi / math.sqrt(8.0), rel=1e-2)


def test_a_share_that_is_given_replaces_the_accelerations_of_a_file() -> None:
    """Those that suited a run's car count as none; with one that is given beside it, too."""
    run = {"path": {"top_speed": 8.58, "lateral_acceleration": 3.92, "grip": None}}
    path = load_config(TrainE2EConfig, base=run, flags={"path.grip": 0.9}).path
    assert (path.grip, path.top_speed) == (0.9, 8.58)
    again = load_config(TrainE2EConfig, base=run, overrides=["path.grip=null"]).path
    assert again.lateral_acceleration == 3.92
    for own in (["path.lateral_acceleration=5"], ["path.longitudinal_acceleration=5"]):
        with pytest.raises(ConfigError, match="acceleration has no effect"):
            load_config(TrainE2EConfig, base=run, overrides=own, flags={"path.grip": 0.9})


def test_a_slowed_path_has_a_share_of_the_speed_and_its_slope() -> None:
    """Everything else stays."""
    path = load_path("figure-eight")
    s = torch.linspace(0.3, 20.0, 50, dtype=torch.float64).requires_grad_()
    slow, fast = path.slowed(0.4).sample(s), path.sample(s)
    assert torch.allclose(slow.speed, 0.4 * fast.speed)
    assert torch.equal(slow.position, fast.position) and torch.equal(slow.curvature, fast.curvature)
    (by_slow,) = torch.autograd.grad(slow.speed.sum(), s, retain_graph=True)
    (by_fast,) = torch.autograd.grad(fast.speed.sum(), s)
    assert torch.allclose(by_slow, 0.4 * by_fast)
    assert path.slowed(0.4).timetable[-1] == pytest.approx(path.timetable[-1] / 0.4)
