"""Where Genesis puts the contacts of a smooth body on a plane, as a differentiable function.

Genesis finds the first contact of a body with a plane at the body's support point along the plane's
normal. For a body that may rest on more than a point it then tilts body and plane against each
other by a small angle in four directions and brings each tilted support point, a point of the body
by then, back to the untilted pose. All of it depends on the body's pose through the normal seen
from the body alone, so it can be written down in closed form and differentiated.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PlaneContact", "RoundBody", "contact_candidates", "rotation_from_quaternion"]

# Genesis chooses the second axis of its tilts by how steeply the normal stands on the body's y.
_STEEP = 0.5
# Beyond this slope of a cylinder's axis to the plane the contact is on its flat end.
_LYING = 0.5


@dataclass(frozen=True)
class RoundBody:
    """Bodies of one shape; every row is a body in an environment."""

    shape: str
    """`ellipsoid`, `cylinder` or `capsule`; axis along z."""
    size: Tensor
    """Semi-axes of an ellipsoid, else radius, half length and nothing [m], shape (N, 3)."""
    tilt_frame: Tensor
    """Rotation from the frame of the link's inertia, in which Genesis chooses its tilts, to the
    body's, shape (N, 3, 3)."""
    tilt_angle: float
    """Angle between the tilted and the true normal [rad]."""


@dataclass(frozen=True)
class PlaneContact:
    """A contact point of each body."""

    position: Tensor
    """Midway between body and plane [m], shape (N, 3)."""
    penetration: Tensor
    """Depth of the body's point below the plane [m], shape (N,)."""


def contact_candidates(
    body: RoundBody, position: Tensor, quaternion: Tensor, plane_point: Tensor, normal: Tensor
) -> list[PlaneContact]:
    """Return the contacts that Genesis can have found: the first, and those of the four tilts.

    Which of the five exist depends on the pose. Not differentiable where a lying cylinder or
    capsule changes the end that it rests on.

    Args:
        body: What lies or rolls on the plane.
        position: Of the bodies' frames [m], shape (N, 3).
        quaternion: Their orientations (w, x, y, z), of any norm, shape (N, 4).
        plane_point: A point of the plane [m], shape (N, 3).
        normal: Unit normal pointing into the plane, shape (N, 3).
    """
    rotation = rotation_from_quaternion(quaternion)
    local_normal = _apply(rotation.transpose(1, 2), normal)

    def surface_point(direction: Tensor) -> Tensor:
        return position + _apply(rotation, _support_point(body, direction))

    def contact(middle: Tensor, depth: Tensor) -> PlaneContact:
        axis = rotation[:, :, 2]
        return PlaneContact(_onto_barrel(body, position, axis, normal, middle, depth), depth)

    first_point = surface_point(local_normal)
    first_depth = _dot(normal, first_point - plane_point)
    first_middle = first_point - 0.5 * first_depth[:, None] * normal
    if body.shape == "ellipsoid":  # rests on one point
        return [PlaneContact(first_middle, first_depth)]
    first = contact(first_middle, first_depth)
    contacts = [first]
    for direction in _tilted_normals(body, local_normal):
        point = surface_point(direction)
        depth = _dot(normal, point - first.position) + 0.5 * first_depth
        middle = point - 0.5 * depth[:, None] * normal
        # A point above the plane is moved towards the first contact, to where the depth vanishes.
        is_above = (depth < 0) & (first_depth > depth)
        fraction = torch.where(is_above, depth / (depth - first_depth - 1.0 * ~is_above), 0.0)
        middle = middle + fraction[:, None] * (first.position - middle)
        contacts.append(contact(middle, depth.clamp_min(0.0)))
    return contacts


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Return the rotation of a quaternion (w, x, y, z) of any norm, shape (N, 3, 3)."""
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def _support_point(body: RoundBody, direction: Tensor) -> Tensor:
    """Return the farthest point along a direction, both in the body's frame, shape (N, 3)."""
    if body.shape == "ellipsoid":
        scaled = body.size * direction
        return body.size * scaled / scaled.norm(dim=-1, keepdim=True)
    radius, half_length = body.size[:, 0:1], body.size[:, 1]
    side = torch.where(direction[:, 2] < 0, -half_length, half_length)
    end = torch.stack([torch.zeros_like(side), torch.zeros_like(side), side], -1)
    if body.shape == "capsule":
        return end + radius * direction
    radial = torch.stack([direction[:, 0], direction[:, 1], torch.zeros_like(side)], -1)
    return end + radius * radial / radial.norm(dim=-1, keepdim=True)


def _tilted_normals(body: RoundBody, normal: Tensor) -> list[Tensor]:
    """Return the normal tilted in four directions at right angles, in the body's frame."""
    axes = body.tilt_frame
    is_steep = _dot(axes[:, :, 1], normal).abs() >= _STEEP
    reference = torch.where(is_steep[:, None], axes[:, :, 2], axes[:, :, 1])
    along = reference - _dot(reference, normal)[:, None] * normal
    along = along / along.norm(dim=-1, keepdim=True)
    across = torch.linalg.cross(along, normal)
    cosine, sine = math.cos(body.tilt_angle), math.sin(body.tilt_angle) / math.sqrt(2)
    return [
        cosine * normal + sine * (first * along + second * across)
        for first in (1, -1)
        for second in (1, -1)
    ]


def _onto_barrel(
    body: RoundBody, position: Tensor, axis: Tensor, normal: Tensor, middle: Tensor, depth: Tensor
) -> Tensor:
    """Move contact points of lying cylinders and capsules straight below their axis."""
    radius, half_length = body.size[:, 0], body.size[:, 1]
    along = _dot(middle - position, axis)
    # As a comparison, not a clamp, whose gradient at the very end of the axis is anybody's guess.
    along = torch.where(along.abs() >= half_length, half_length * along.detach().sign(), along)
    below = position + along[:, None] * axis + (radius - 0.5 * depth)[:, None] * normal
    if body.shape == "capsule":
        return below
    return torch.where((_dot(normal, axis).abs() < _LYING)[:, None], below, middle)


def _apply(rotation: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors, shape (N, 3)."""
    return (rotation @ vector[:, :, None])[:, :, 0]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the scalar product of rows, shape (N,)."""
    return (a * b).sum(-1)
