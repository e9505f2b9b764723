"""Loss terms and metrics against hand-worked values."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from diffcar.losses import ReachingLoss, TrackingLoss, pseudo_huber
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.reaching.task import ReachTrajectory, reach_metrics
from diffcar.tasks.tracking.metrics import tracking_metrics
from diffcar.tasks.tracking.rollout import Trajectory
from tests.test_tracking import car_at

LINE = load_path(PathConfig(source="line"))
VEHICLE = Vehicle(
    file=Path("none.xml"),
    mass=3.0,
    wheelbase=0.33,
    track=0.24,
    rear_axle_x=-0.165,
    wheel_radius=0.05,
    base_height=0.05,
    max_joint_angle=math.atan(0.33 / (0.33 / math.tan(0.4) - 0.12)),
    steering_gain=2.0,
    max_steering_torque=1.0,
    drive_gain=0.1,
    max_drive_torque=1.0,
    friction=1.0,
    max_contacts=8,
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
        path=LINE,
        vehicle=VEHICLE,
        dt=0.1,
        timed_start=torch.zeros(1, dtype=torch.float64),
    )


def test_terms_are_weighted_means() -> None:
    """Heading 0.1 and speed -0.5 everywhere give 2 · 0.01 and 3 · 0.25; zero weights nothing."""
    weights = TrackingLoss(cross_track=0, heading=2, speed=3, smoothness=0)
    terms = weights.costs(trajectory_of([1.0, 1.0]))
    assert terms.keys() == {"heading", "speed"}
    assert float(terms["heading"]) == pytest.approx(0.02)
    assert float(terms["speed"]) == pytest.approx(0.75)


def test_cross_track_is_squared_near_the_path_and_linear_far_from_it() -> None:
    """The pseudo-Huber cost: e² for small e, about 2 s |e| for large."""
    assert float(pseudo_huber(torch.tensor(1e-3, dtype=torch.float64), 0.02)) == pytest.approx(
        1e-6, rel=1e-3
    )
    assert float(pseudo_huber(torch.tensor(-2.0, dtype=torch.float64), 0.02)) == pytest.approx(
        2 * 0.02 * 2.0, rel=2e-2
    )


def test_smoothness_and_effort_use_normalised_actions() -> None:
    """Full lock is one: from 0 to full lock in one step costs 1, averaged over one change."""
    weights = TrackingLoss(cross_track=0, heading=0, speed=0, smoothness=1, effort=1)
    terms = weights.costs(trajectory_of([0, 0], steering=[0.0, 0.4]))
    assert float(terms["smoothness"]) == pytest.approx(1.0)
    assert float(terms["effort"]) == pytest.approx(0.5)


def test_time_indexed_term_is_the_distance_to_where_the_car_should_be() -> None:
    """The report's loss: the car stands at the origin while the reference moves at 3 m/s."""
    driven = trajectory_of([0, 0])
    expected = torch.tensor([0.3, 0.6], dtype=torch.float64)
    assert torch.allclose(driven.timed_position[:, 0, 0], expected)
    assert torch.allclose(driven.end.timed_arc_length, expected[-1:])
    weights = TrackingLoss(cross_track=0, heading=0, speed=0, smoothness=0, time_indexed=1)
    terms = weights.costs(driven)
    assert float(terms["time_indexed"]) == pytest.approx((0.09 + 0.36) / 2)


def test_metrics_count_between_the_skipped_start_and_the_goal() -> None:
    """Errors 9, 3, -4, 9 at 1 to 4 m: after 1.5 m and up to 3 m only 3 and -4 count."""
    metrics = tracking_metrics(
        trajectory_of([9.0, 3.0, -4.0, 9.0]), goal_distance=3.0, skip_distance=1.5
    )
    assert metrics.cross_track_rmse_m == pytest.approx(math.sqrt(12.5))
    assert metrics.cross_track_mean_m == pytest.approx(3.5)
    assert metrics.cross_track_max_m == pytest.approx(4.0)
    assert metrics.speed_rmse_mps == pytest.approx(0.5)
    assert metrics.completion == 1.0


def test_metrics_of_a_car_that_never_left_are_not_numbers() -> None:
    """Nothing is invented where nothing was measured."""
    trajectory = dataclasses.replace(
        trajectory_of([0.0, 0.0]), arc_length=torch.zeros(2, 1, dtype=torch.float64)
    )
    metrics = tracking_metrics(trajectory, goal_distance=10.0, skip_distance=2.0)
    assert math.isnan(metrics.cross_track_rmse_m)
    assert metrics.completion == 0.0


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


def test_late_steps_of_a_reach_count_more() -> None:
    """Weights 1/2 and 1 over their mean 3/4: 2/3 of the first step and 4/3 of the second."""
    weights = ReachingLoss(
        distance=1, distance_scale=1e3, late_power=1, velocity=0, smoothness=0
    )
    terms = weights.costs(reach_of(3.0, 0.0))
    assert terms.keys() == {"distance"}
    assert float(terms["distance"]) == pytest.approx(9 * (2 / 3) / 2, rel=1e-5)
    terms = weights.costs(reach_of(0.0, 3.0))
    assert float(terms["distance"]) == pytest.approx(9 * (4 / 3) / 2, rel=1e-5)


def test_terms_of_a_reach_are_weighted_means() -> None:
    """Seven joints at 1 rad/s cost 7, seven outputs that change by one cost 7 a change."""
    weights = ReachingLoss(distance=1, velocity=2, smoothness=3)
    terms = weights.costs(reach_of(0.0, 0.0, 0.0))
    assert float(terms["distance"]) == 0
    assert float(terms["velocity"]) == pytest.approx(14)
    assert float(terms["smoothness"]) == pytest.approx(21)


def test_distance_far_away_costs_linearly_and_its_gradient_is_finite_at_the_target() -> None:
    """About 2 s d beyond the scale; exactly at the target the derivative is zero, not NaN."""
    weights = ReachingLoss(distance=1, distance_scale=0.02, velocity=0, smoothness=0)
    far = weights.costs(reach_of(2.0))["distance"]
    assert float(far) == pytest.approx(2 * 0.02 * 2.0, rel=2e-2)
    there = reach_of(0.0)
    there.hand_position.requires_grad_()
    weights.costs(there)["distance"].backward()
    assert torch.equal(there.hand_position.grad, torch.zeros(1, 1, 3, dtype=torch.float64))


def test_reach_metrics_are_those_of_the_last_step() -> None:
    """What came before does not count."""
    metrics = reach_metrics(reach_of(9.0, 0.25))
    assert (metrics.num_targets, metrics.mean_m, metrics.p95_m, metrics.max_m) == (
        1,
        0.25,
        0.25,
        0.25,
    )
