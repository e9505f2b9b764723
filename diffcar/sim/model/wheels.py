"""The car on other wheels, to see which shapes roll differentiably."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcar.sim.model.model_file import collides, explain_errors, open_model
from diffcar.sim.model.vehicle import Vehicle

if TYPE_CHECKING:
    import mujoco

__all__ = ["WHEEL_SHAPES", "with_wheels"]

WHEEL_SHAPES = ("sphere", "ellipsoid", "cylinder", "capsule", "box", "mesh")
_WIDTH_RATIO = 0.45
_NUM_CORNERS = 16
# What the new geometry takes over, so that it touches the road as the old one did.
_CONTACT_SETTINGS = (
    *("contype", "conaffinity", "condim", "priority", "friction"),
    *("solmix", "solref", "solimp", "margin", "gap"),
)


def with_wheels(vehicle: Vehicle, shape: str, folder: Path) -> Path:
    """Write a copy of a car whose wheels collide as another shape of the same radius.

    The geometries that collided stay for their looks and their mass. The shape is one of
    `WHEEL_SHAPES`; `mesh` is a convex prism.
    """
    copy = folder / f"{vehicle.file.stem}-{shape}.xml"
    with explain_errors(vehicle.file, f"cannot get wheels of shape {shape}"):
        spec = open_model(vehicle.file)
        model = spec.compile()
        radius, width = vehicle.wheel_radius, _WIDTH_RATIO * vehicle.wheel_radius
        size = {
            "sphere": [radius, 0, 0],
            "cylinder": [radius, width, 0],
            "capsule": [radius, width, 0],
            "mesh": [0, 0, 0],
        }.get(shape, [radius, radius, width])
        looks = {"size": size, "meshname": _add_prism(spec, radius) if shape == "mesh" else ""}
        for name in vehicle.wheel_joints:
            _change_wheel(spec, model, name, shape, looks)
        spec.compile()
        copy.write_text(spec.to_xml())
    return copy


def _change_wheel(
    spec: "mujoco.MjSpec", model: "mujoco.MjModel", joint: str, shape: str, looks: dict[str, Any]
) -> None:
    """Let another geometry collide for a wheel, at the place of the first that did."""
    import mujoco
    import numpy as np

    body = spec.joint(joint).parent
    first = model.body_geomadr[model.jnt_bodyid[model.joint(joint).id]]
    # Not `geom.id`, which is another as soon as a geometry has been added before.
    did = [collides(model, first + number) for number in range(len(body.geoms))]
    index = first + did.index(True)
    for geom, did_collide in zip(body.geoms, did, strict=True):
        if did_collide:
            geom.contype = geom.conaffinity = 0
    quaternion = np.zeros(4)  # shapes with an axis lie along the joint's
    mujoco.mju_quatZ2Vec(quaternion, np.asarray(model.joint(joint).axis, dtype=np.float64))
    body.add_geom(
        type=getattr(mujoco.mjtGeom, f"mjGEOM_{shape.upper()}"),
        **looks,
        pos=model.geom_pos[index],
        quat=quaternion,
        fromto=[math.nan] * 6,  # in case the model's defaults set one
        mass=0.0,
        group=3,
        rgba=[0, 0, 0, 0],
        **{name: getattr(model, f"geom_{name}")[index] for name in _CONTACT_SETTINGS},
    )


def _add_prism(spec: "mujoco.MjSpec", radius: float) -> str:
    """Add a prism with its axis along z as a mesh, and return the mesh's name."""
    import numpy as np

    angles = 2 * math.pi * (np.arange(_NUM_CORNERS) + 0.5) / _NUM_CORNERS
    circle = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    ends = [np.full((_NUM_CORNERS, 1), side * _WIDTH_RATIO * radius) for side in (-1, 1)]
    corners = np.concatenate([np.hstack([circle, end]) for end in ends])
    taken = {mesh.name or Path(mesh.file).stem for mesh in spec.meshes}
    name = "wheel_prism"
    while name in taken:
        name += "_"
    spec.add_mesh(name=name, uservert=corners.flatten().tolist())
    return name
