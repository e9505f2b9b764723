"""Ackermann geometry and the servo law against hand-worked values."""

import dataclasses
import math

import pytest
import torch

from diffcar.sim.actuation import joint_targets, servo_torques
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import load_vehicle
from tests import plain

VEHICLE = load_vehicle()


def car_at_rest() -> CarState:
    zero = torch.zeros(1, dtype=torch.float64)
    qpos, velocity = torch.zeros(1, 13).to(zero), torch.zeros(1, 12).to(zero)
    two = qpos[:, :2]
    return CarState(two, zero, zero, zero, zero, two, two, qpos, velocity)


def test_front_wheels_turn_about_one_centre() -> None:
    """Turning left on radius R, the axes of all wheels meet at R to the left of the rear axle."""
    steering = 0.25
    targets = joint_targets(torch.tensor([[steering, 2.0]], dtype=torch.float64), VEHICLE)
    radius = VEHICLE.wheelbase / math.tan(steering)
    left, right = targets.steering_angles[0].tolist()
    assert VEHICLE.wheelbase / math.tan(left) == pytest.approx(radius - VEHICLE.track / 2)
    assert VEHICLE.wheelbase / math.tan(right) == pytest.approx(radius + VEHICLE.track / 2)
    inner, outer = (targets.wheel_speeds[0] * VEHICLE.wheel_radius).tolist()
    assert inner == pytest.approx(2.0 * (radius - VEHICLE.track / 2) / radius)
    assert outer == pytest.approx(2.0 * (radius + VEHICLE.track / 2) / radius)


def test_targets_mirror_and_stay_within_the_joints() -> None:
    """Right is left mirrored; beyond the limit nothing more is asked for."""
    both = joint_targets(torch.tensor([[0.2, 1.0], [-0.2, 1.0]], dtype=torch.float64), VEHICLE)
    assert torch.allclose(both.steering_angles[0], -both.steering_angles[1].flip(-1))
    extreme = joint_targets(torch.tensor([[5.0, 1.0]], dtype=torch.float64), VEHICLE)
    assert float(extreme.steering_angles.abs().max()) == pytest.approx(VEHICLE.max_joint_angle)


def test_no_wheel_is_asked_for_more_than_its_motor_can_be_commanded() -> None:
    """The shipped motors' ctrlrange is 160 rad/s, 8.1 m/s, in either engine and actuation."""
    action = torch.tensor([[0.0, 9.0], [0.0, -9.0], [0.0, 8.0]], dtype=torch.float64)
    fast, back, slower = joint_targets(action, VEHICLE).wheel_speeds.tolist()
    assert (fast, back) == ([160.0, 160.0], [-160.0, -160.0])
    assert slower == pytest.approx([8.0 / VEHICLE.wheel_radius] * 2)


def test_servos_are_proportional_up_to_their_limit() -> None:
    """2 N m/rad at 0.1 rad gives 0.2 N m; a speed far away gives the motor's 0.55 N m."""
    state = dataclasses.replace(
        car_at_rest(), wheel_speeds=torch.tensor([[0.0, 19.0]], dtype=torch.float64)
    )
    targets = joint_targets(torch.tensor([[0.0, 1.0]], dtype=torch.float64), VEHICLE)
    targets = dataclasses.replace(
        targets, steering_angles=torch.tensor([[0.1, 3.0]], dtype=torch.float64)
    )
    left, right, rear_left, rear_right = servo_torques(targets, state, VEHICLE)[0].tolist()
    assert left == pytest.approx(0.2)
    assert right == pytest.approx(VEHICLE.max_steering_torque)
    assert rear_left == pytest.approx(VEHICLE.max_drive_torque)
    assert rear_right == pytest.approx(0.05 * (1 / VEHICLE.wheel_radius - 19.0))


def test_actuation_has_right_derivatives() -> None:
    """Autograd agrees with differences away from the limits."""
    state = car_at_rest()
    action = torch.tensor([[0.15, 0.1], [-0.2, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a: servo_torques(joint_targets(a, VEHICLE), state, VEHICLE), (action,)
    )


def test_targets_are_those_of_the_plain_formula() -> None:
    """Values and gradients, at the limits of joints and motors, too."""
    action = torch.tensor(
        [[0.1, 2.0], [-0.3, -1.0], [2.0, 1.0], [-2.0, 9.0], [0.2, 7.9], [0.0, 0.0]],
        dtype=torch.float64,
        requires_grad=True,
    )
    found = tuple(vars(joint_targets(action, VEHICLE)).values())
    for own, other in zip(found, plain.joint_targets(action, VEHICLE), strict=True):
        assert torch.allclose(own, other, rtol=1e-12, atol=1e-12)
        gradients = [
            torch.autograd.grad(value.square().sum(), action, retain_graph=True)[0]
            for value in (own, other)
        ]
        assert torch.allclose(*gradients, rtol=0, atol=1e-9)
    assert torch.autograd.gradcheck(
        lambda a: tuple(vars(joint_targets(a, VEHICLE)).values()), (action,)
    )
