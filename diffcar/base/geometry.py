"""Planar angles and quaternions in torch (right-handed, z up, quaternions w x y z)."""

import functools
import math

import torch
from torch import Tensor

__all__ = ["ROAD_REACH", "constant", "quaternion_from_yaw", "rotate_into_body", "wrap_angle"]

ROAD_REACH = 10_000.0
"""How far from the origin there is a road to drive on [m], in x and in y."""


@functools.lru_cache(maxsize=256)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers as a vector, always the same one: it must not be changed."""
    with torch.inference_mode(False):  # else it would be of no use to autograd later
        return torch.tensor(values, dtype=dtype, device=device)


def wrap_angle(angle: Tensor) -> Tensor:
    """Wrap angles into [-pi, pi), with slope one wherever it is differentiable.

    Angles [rad] of any shape; not differentiable at odd multiples of pi, where the value jumps.
    """
    turns = torch.div(angle.detach() + math.pi, 2 * math.pi, rounding_mode="floor")
    return torch.sub(angle, turns, alpha=2 * math.pi)


def quaternion_from_yaw(yaw: Tensor) -> Tensor:
    """Return the unit quaternions (..., 4) of rotations about z by angles [rad], shape (...,)."""
    zero = torch.zeros_like(yaw)
    return torch.stack([torch.cos(yaw / 2), zero, zero, torch.sin(yaw / 2)], dim=-1)


def rotate_into_body(vector: Tensor, yaw: Tensor) -> tuple[Tensor, Tensor]:
    """Express planar world vectors (..., 2) in a frame turned by `yaw` [rad], shape (...,).

    Returns:
        The components along the frame's x (forward) and y (left), each of shape (...,).
    """
    x, y = vector.unbind(-1)
    cos, sin = torch.cos(yaw), torch.sin(yaw)
    return cos * x + sin * y, cos * y - sin * x
