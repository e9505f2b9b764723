"""The closed form of contacts on a plane: hand-worked poses, and exact derivatives."""

import math

import pytest
import torch
from torch import Tensor

from diffcar.sim.repairs.plane_contact import RoundBody, contact_candidates

DOWN = torch.tensor([[0.0, 0.0, -1.0]], dtype=torch.float64)
ORIGIN = torch.zeros(1, 3, dtype=torch.float64)
RADIUS, HALF_LENGTH, HEIGHT = 0.05, 0.02, 0.049
SIZES = {
    "ellipsoid": [RADIUS, RADIUS, HALF_LENGTH],
    "cylinder": [RADIUS, HALF_LENGTH, 0.0],
    "capsule": [RADIUS, HALF_LENGTH, 0.0],
}


def body(shape: str) -> RoundBody:
    size = torch.tensor([SIZES[shape]], dtype=torch.float64)
    frame = torch.eye(3, dtype=torch.float64)[None]
    return RoundBody(shape, size, frame, tilt_angle=0.01)


def lying(roll: float = 0.0, spin: float = 0.0) -> Tensor:
    """A quaternion that lays the axis along y, tilts it by `roll` and spins about it."""

    def about(axis: int, angle: float) -> Tensor:
        q = torch.zeros(4, dtype=torch.float64)
        q[0], q[1 + axis] = math.cos(angle / 2), math.sin(angle / 2)
        return q

    def times(p: Tensor, q: Tensor) -> Tensor:
        w, v = p[0], p[1:]
        return torch.cat(
            [(w * q[0] - v @ q[1:])[None], w * q[1:] + q[0] * v + torch.linalg.cross(v, q[1:])]
        )

    return times(about(0, -math.pi / 2 + roll), about(2, spin))[None]


def position(height: float = HEIGHT) -> Tensor:
    return torch.tensor([[0.3, -0.2, height]], dtype=torch.float64)


@pytest.mark.parametrize("shape", SIZES)
def test_first_contact_is_straight_below_the_axle(shape: str) -> None:
    """A wheel whose axle is 49 mm high penetrates by 1 mm; the point lies halfway in between."""
    first = contact_candidates(body(shape), position(), lying(1e-9), ORIGIN, DOWN)[0]
    assert float(first.penetration) == pytest.approx(RADIUS - HEIGHT, abs=1e-9)
    x, y, z = first.position[0].tolist()
    assert (x, z) == pytest.approx((0.3, -(RADIUS - HEIGHT) / 2), abs=1e-8)
    assert abs(y + 0.2) == pytest.approx(0.0 if shape == "ellipsoid" else HALF_LENGTH, abs=1e-8)


@pytest.mark.parametrize("shape", SIZES)
def test_spin_moves_no_contact(shape: str) -> None:
    """What Genesis gets wrong: the contact of a rolling wheel does not go round with it."""
    still, spun = (
        contact_candidates(body(shape), position(), lying(0.01, spin), ORIGIN, DOWN)[0]
        for spin in (0.0, 0.4)
    )
    assert torch.allclose(still.position, spun.position, atol=1e-12)
    assert torch.allclose(still.penetration, spun.penetration, atol=1e-12)


def test_tilts_find_the_other_end_of_a_cylinder() -> None:
    """Half of the tilted points lie at the upper end, higher by the tilt and the radius' cosine."""
    roll = 0.004
    contacts = contact_candidates(body("cylinder"), position(), lying(roll), ORIGIN, DOWN)
    first, others = contacts[0], contacts[1:]
    far = [c for c in others if float((c.position - first.position).norm()) > HALF_LENGTH]
    assert len(far) == 2
    drop = float(first.penetration - far[0].penetration)
    assert drop == pytest.approx(2 * HALF_LENGTH * roll, abs=3e-6)


def test_an_end_above_the_plane_is_moved_to_where_the_depth_vanishes() -> None:
    """Barely on the road and rolled, the upper end hangs in the air: its contact has no depth."""
    pose = (position(RADIUS - 5e-5), lying(0.004))
    first, *others = contact_candidates(body("cylinder"), *pose, ORIGIN, DOWN)
    hanging = min(others, key=lambda contact: float(contact.penetration))
    assert float(hanging.penetration) == 0.0
    assert 0 < float((hanging.position - first.position).norm()) < 2 * HALF_LENGTH


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(("height", "roll"), [(HEIGHT, 0.004), (HEIGHT, 0.05), (0.04995, 0.004)])
def test_derivatives_by_the_pose_are_exact(shape: str, height: float, roll: float) -> None:
    """Autograd through the closed form against differences, every candidate and every entry."""
    where, quaternion = position(height).requires_grad_(), lying(roll, 0.3).requires_grad_()

    def outputs(p: Tensor, q: Tensor) -> tuple[Tensor, ...]:
        contacts = contact_candidates(body(shape), p, q, ORIGIN, DOWN)
        return tuple(value for c in contacts for value in (c.position, c.penetration))

    assert torch.autograd.gradcheck(outputs, (where, quaternion), eps=1e-7, atol=1e-6)
