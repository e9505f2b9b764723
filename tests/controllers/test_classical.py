"""Controllers of the literature: their formulas by hand."""

import math
from dataclasses import replace

import pytest
import torch

from diffcar.controllers.acceleration_pursuit import AccelerationPursuit
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.zero import Zero
from tests.samples import VEHICLE, car_at, doubles, road

LINE = road("line")


def test_pure_pursuit_steers_along_the_arc_to_its_target() -> None:
    """Rear axle 0.1 m left of a straight road, target 0.5 m ahead: curvature 2 (-0.1) / L²."""
    controller = PurePursuit(VEHICLE, lookahead_time=0.0, min_lookahead=0.5)
    state = car_at(5.0, 0.1, 0.0)
    steering = float(controller(state, compute_error_state(LINE, state))[0, 0])
    expected = math.atan(VEHICLE.wheelbase * 2 * (-0.1) / (0.5**2 + 0.1**2))
    assert steering == pytest.approx(expected, rel=1e-6)


def test_stanley_sums_heading_and_cross_track() -> None:
    """Parallel to the road at 0.1 m to its left and 2 m/s: -atan(k 0.1 / (k_soft + 2))."""
    controller = Stanley(VEHICLE, gain=3.0, softening=1.0, yaw_damping=0.0, slip_gain=0.0)
    state = car_at(5.0, 0.1, 0.0)
    steering = float(controller(state, compute_error_state(LINE, state))[0, 0])
    assert steering == pytest.approx(-math.atan(3.0 * 0.1 / 3.0), rel=1e-6)
    turned = car_at(5.0, 0.0, 0.1)
    front = (VEHICLE.wheelbase + VEHICLE.rear_axle_x) * math.sin(0.1)
    steering = float(controller(turned, compute_error_state(LINE, turned))[0, 0])
    assert steering == pytest.approx(-0.1 - math.atan(3.0 * front / 3.0), rel=1e-6)


def test_acceleration_pursuit_steers_by_the_acceleration_to_its_target() -> None:
    """Going 0.2 rad off at 2 m/s, target 0.5 m ahead: 2 v² / L sin(-0.2), looked up."""
    controller = AccelerationPursuit(VEHICLE, lookahead_offset=0.1, lookahead_time=0.2)
    state = car_at(5.0, 0.0, 0.3)
    sideways = -math.tan(0.1) * state.speed  # the car slides as it goes
    state = replace(state, lateral_velocity=sideways)
    steering = controller(state, compute_error_state(LINE, state))[:, 0]
    wanted = doubles(2 * 2.0**2 / 0.5 * math.sin(-0.2))
    assert float(steering) == pytest.approx(float(controller.table.angle(state.speed, wanted)))
    assert float(steering) == pytest.approx(math.atan(VEHICLE.wheelbase * wanted / 4), rel=0.01)


@pytest.mark.parametrize("kind", [AccelerationPursuit, PurePursuit, Stanley])
def test_classical_steering_is_bounded_and_towards_the_path(
    kind: type[AccelerationPursuit] | type[PurePursuit] | type[Stanley],
) -> None:
    """Far to the left it steers right, at its limit."""
    state = car_at(5.0, 0.9, 0.5)
    action = kind(VEHICLE)(state, compute_error_state(LINE, state))
    assert float(action[0, 0]) == pytest.approx(-VEHICLE.max_steering, rel=1e-3)
    assert float(action[0, 1]) == pytest.approx(3.0)


def test_zero_asks_for_nothing() -> None:
    """Steering and speed are zero."""
    state = car_at(5.0, 0.9, 0.5)
    assert torch.count_nonzero(Zero(VEHICLE)(state, compute_error_state(LINE, state))) == 0
