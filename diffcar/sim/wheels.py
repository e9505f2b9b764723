"""The car on other wheels, to see which shapes roll differentiably."""

import math
from pathlib import Path
from typing import Any

from diffcar.sim.vehicle import SPIN_JOINTS

__all__ = ["WHEEL_SHAPES", "with_wheels"]

WHEEL_SHAPES = ("sphere", "ellipsoid", "cylinder", "capsule", "box", "mesh")
_WIDTH_RATIO = 0.45
_NUM_CORNERS = 16


def with_wheels(file: Path, shape: str, folder: Path) -> Path:
    """Write a copy of a car whose wheels collide as another shape of about the same size.

    Args:
        file: The model, with diffcar's names of joints.
        shape: One of `WHEEL_SHAPES`; `mesh` is a convex prism.
        folder: Where the copy goes.

    Returns:
        The copy.
    """
    import mujoco

    spec = mujoco.MjSpec.from_file(str(file))
    for folder_name in ("meshdir", "texturedir"):
        setattr(spec, folder_name, str((file.parent / getattr(spec, folder_name)).resolve()))
    if shape == "mesh":
        spec.add_mesh(name="wheel_prism", uservert=_prism().flatten().tolist())
    for name in SPIN_JOINTS:
        joint = spec.joint(name)
        for geom in joint.parent.geoms:
            if geom.contype or geom.conaffinity:
                _reshape(geom, shape, float(max(geom.size)), joint.axis)
    copy = folder / f"{file.stem}-{shape}.xml"
    spec.compile()
    copy.write_text(spec.to_xml())
    return copy


def _reshape(geom: Any, shape: str, radius: float, axis: Any) -> None:  # noqa: ANN401
    """Change one geometry; shapes with an axis lie along the joint's."""
    import mujoco
    import numpy as np

    width = _WIDTH_RATIO * radius
    sizes = {
        "sphere": [radius, 0, 0],
        "ellipsoid": [radius, radius, width],
        "cylinder": [radius, width, 0],
        "capsule": [radius, width, 0],
        "box": [radius, radius, width],
        "mesh": [0, 0, 0],
    }
    quaternion = np.zeros(4)
    mujoco.mju_quatZ2Vec(quaternion, np.asarray(axis, dtype=np.float64))
    geom.type = getattr(mujoco.mjtGeom, f"mjGEOM_{shape.upper()}")
    geom.size, geom.quat = sizes[shape], quaternion
    if shape == "mesh":
        geom.meshname = "wheel_prism"


def _prism() -> Any:  # noqa: ANN401
    """Return the corners of a prism of the shipped car's wheel size, axis along z."""
    import numpy as np

    radius = 0.0508
    angles = 2 * math.pi * (np.arange(_NUM_CORNERS) + 0.5) / _NUM_CORNERS
    circle = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    ends = [np.full((_NUM_CORNERS, 1), side * _WIDTH_RATIO * radius) for side in (-1, 1)]
    return np.concatenate([np.hstack([circle, end]) for end in ends])
