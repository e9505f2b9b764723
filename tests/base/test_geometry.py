"""Angles and quaternions against hand-worked values."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from diffcar.base.geometry import (
    quaternion_from_yaw,
    rotate_into_body,
    wrap_angle,
)
from tests.plain import yaw_from_quaternion


@given(st.floats(-50, 50))
def test_wrapped_angle_is_the_same_direction(angle: float) -> None:
    """Wrapping changes an angle by whole turns into [-pi, pi)."""
    wrapped = float(wrap_angle(torch.tensor(angle, dtype=torch.float64)))
    assert -math.pi - 1e-9 <= wrapped <= math.pi
    assert math.isclose(math.cos(wrapped), math.cos(angle), abs_tol=1e-9)
    assert math.isclose(math.sin(wrapped), math.sin(angle), abs_tol=1e-9)


@given(st.floats(-3.1, 3.1), st.floats(0.5, 2.0))
def test_yaw_survives_the_quaternion_and_its_norm(yaw: float, norm: float) -> None:
    """Yaw to quaternion and back, even where the norm has drifted."""
    quaternion = norm * quaternion_from_yaw(torch.tensor(yaw, dtype=torch.float64))
    assert math.isclose(float(yaw_from_quaternion(quaternion)), yaw, abs_tol=1e-9)


def test_body_frame_of_a_car_that_faces_left() -> None:
    """Facing +y, a velocity along -x points to the car's left."""
    forward, left = rotate_into_body(torch.tensor([[-2.0, 0.0]]), torch.tensor([math.pi / 2]))
    assert torch.allclose(forward, torch.zeros(1), atol=1e-6)
    assert torch.allclose(left, torch.tensor([2.0]))


def test_geometry_has_right_derivatives() -> None:
    """Autograd agrees with differences."""
    quaternion = torch.tensor([[0.9, 0.1, -0.2, 0.3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(yaw_from_quaternion, (quaternion,))
    angle = torch.tensor([4.0, -7.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(wrap_angle, (angle,))
