"""Ackermann geometry and the servo law against hand-worked values."""

import dataclasses
import math

import pytest
import torch

from diffcar.sim.actuation import joint_targets, servo_torques
from diffcar.sim.config import DrivenWheels
from diffcar.sim.contract import CarState
from diffcar.sim.model.read import load_vehicle
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


def test_every_driven_wheel_rolls_about_the_centre_of_turn() -> None:
    """The front ones on the longer way, by the distance of their contacts to it."""
    steering, speed = 0.25, 2.0
    vehicle = VEHICLE.driven_by("all")
    targets = joint_targets(torch.tensor([[steering, speed]], dtype=torch.float64), vehicle)
    radius = VEHICLE.wheelbase / math.tan(steering)
    places = [(x, y) for x in (VEHICLE.wheelbase, 0.0) for y in (0.12, -0.12)]
    ways = [math.hypot(x, radius - y) / radius for x, y in places]
    asked = (targets.wheel_speeds[0] * VEHICLE.wheel_radius / speed).tolist()
    assert asked == pytest.approx(ways)


def test_torque_is_split_between_the_axles() -> None:
    """All motors together give what those of the model do, the front ones their share."""
    vehicle = VEHICLE.driven_by("all", 0.4)
    state = dataclasses.replace(car_at_rest(), wheel_speeds=torch.zeros(1, 4, dtype=torch.float64))
    targets = joint_targets(torch.tensor([[0.0, 5.0]], dtype=torch.float64), vehicle)
    torques = servo_torques(targets, state, vehicle)[0, 2:]
    assert torques.tolist() == pytest.approx([0.22, 0.22, 0.33, 0.33])
    assert vehicle.torque_split == pytest.approx(0.4)
    assert vehicle.speed_increment == pytest.approx(VEHICLE.speed_increment)


@pytest.mark.parametrize("drive", ["rear", "front", "all"])
def test_actuation_has_right_derivatives(drive: DrivenWheels) -> None:
    """Autograd agrees with differences away from the limits."""
    vehicle = VEHICLE.driven_by(drive, 0.4)
    still = torch.zeros(1, len(vehicle.driven_joints), dtype=torch.float64)
    state = dataclasses.replace(car_at_rest(), wheel_speeds=still)
    action = torch.tensor([[0.15, 0.1], [-0.2, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a: servo_torques(joint_targets(a, vehicle), state, vehicle), (action,)
    )


@pytest.mark.parametrize("drive", ["rear", "front", "all"])
def test_targets_are_those_of_the_plain_formula(drive: DrivenWheels) -> None:
    """Values and gradients, at the limits of joints and motors, too."""
    vehicle = VEHICLE.driven_by(drive)
    action = torch.tensor(
        [[0.1, 2.0], [-0.3, -1.0], [2.0, 1.0], [-2.0, 9.0], [0.2, 7.9], [0.0, 0.0]],
        dtype=torch.float64,
        requires_grad=True,
    )
    found = tuple(vars(joint_targets(action, vehicle)).values())
    for own, other in zip(found, plain.joint_targets(action, vehicle), strict=True):
        assert torch.allclose(own, other, rtol=1e-12, atol=1e-12)
        gradients = [
            torch.autograd.grad(value.square().sum(), action, retain_graph=True)[0]
            for value in (own, other)
        ]
        assert torch.allclose(*gradients, rtol=0, atol=1e-9)
    assert torch.autograd.gradcheck(
        lambda a: tuple(vars(joint_targets(a, vehicle)).values()), (action,)
    )
