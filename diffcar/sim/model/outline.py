"""What a car looks like from outside, as points: for pictures of it."""

from dataclasses import dataclass

import numpy as np

from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import collides, explain_errors, open_model, shape_name
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["Outline", "outline_of"]

_ANGLES = 2 * np.pi * np.arange(48) / 48
_RING = np.stack([np.cos(_ANGLES), np.sin(_ANGLES), 0 * _ANGLES], 1)
_TILTS = np.linspace(-np.pi / 2, np.pi / 2, 25)
_BALL = np.concatenate([np.cos(t) * _RING + [0, 0, np.sin(t)] for t in _TILTS])
_CORNERS = np.stack(np.meshgrid(*[(-1, 1)] * 3), -1).reshape(-1, 3)


@dataclass(frozen=True)
class Shape:
    """A geometry, whose convex hull is that of its points."""

    points: np.ndarray
    """In the frame of the base [m], shape (N, 3)."""
    collides: bool
    """Or it only shows."""


@dataclass(frozen=True)
class Outline:
    """All of a car in the pose that it is written in."""

    shapes: list[Shape]
    """Of all geometries, in the model's order."""
    joints: dict[str, np.ndarray]
    """Where steering joints and wheels are, in the frame of the base [m]."""


def outline_of(vehicle: Vehicle) -> Outline:
    """Return a car's shapes and joints.

    Raises:
        ModelError: If its model is gone.
    """
    with explain_errors(vehicle.file, "cannot be drawn"):
        model = open_model(vehicle.file).compile()
    joints = (*vehicle.steering_joints, *vehicle.wheel_joints)
    layout = Layout(model, int(model.body_rootid[model.joint(joints[0]).bodyid[0]]))
    shapes = []
    for geom in range(model.ngeom):
        size, shape = model.geom_size[geom], shape_name(model.geom_type[geom])
        if shape == "mesh":
            points = layout.vertices(geom)
        else:
            points = layout.centre(geom) + _points(shape, size) @ layout.turned(geom).T
        shapes.append(Shape(points, collides(model, geom)))
    return Outline(shapes, {name: layout.anchor(name) for name in joints})


def _points(shape: str, size: np.ndarray) -> np.ndarray:
    """Return points whose convex hull is a geometry, in its own frame."""
    match shape:
        case "box":
            return _CORNERS * size
        case "cylinder":
            return np.concatenate([_RING * size[0] + [0, 0, end * size[1]] for end in (-1, 1)])
        case "capsule":
            return np.concatenate([_BALL * size[0] + [0, 0, end * size[1]] for end in (-1, 1)])
        case "ellipsoid":
            return _BALL * size
        case _:
            return _BALL * size[0]
