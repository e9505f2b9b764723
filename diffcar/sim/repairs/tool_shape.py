"""Gives a scaled tool the collision shape that it shows.

Fault of Genesis 1.4.5: the transformation from a tool's frame to the voxels of its distance field
is composed with the transpose of the scaling instead of its inverse (`inv_T` inverts rotations, not
scalings). A tool of scale s therefore collides as one of scale 1/s: a block of 0.12 m as one of
8.3 m. A body beside it lies inside it, next to its centre, where the distance field has no normal:
velocities there are noise, and their gradients are not numbers.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from diffcar.sim.upstream import is_as_known, lacking, refuse_lacking

if TYPE_CHECKING:
    from genesis.engine.entities.tool_entity.tool_entity import ToolEntity

__all__ = ["repair_tool_shape"]

# Of the tool mesh's load_file in genesis-world 1.4.5.
_KNOWN_LOAD_FILE = "974f62d3f062903b"
_NEEDED = ("scale", "collision", "load_file", "T_mesh_to_sdf", "T_mesh_to_sdf_np")


def repair_tool_shape(tool: "ToolEntity") -> bool:
    """Repair the collision shape of a tool that was just added to a scene not yet built.

    Returns whether it was; not, with a warning, if Genesis scales tools otherwise by now, and
    raises if this Genesis lacks what the repair rests on.
    """
    mesh: Any = getattr(tool, "mesh", None)
    refuse_lacking(lacking(mesh, _NEEDED), " in its tool meshes")
    scaling = np.ones(4)
    scaling[:3] = mesh.scale
    if (scaling == 1.0).all():
        return False
    from genesis.utils import geom

    is_inverse = np.allclose(geom.inv_T(np.diag(scaling)) @ np.diag(scaling), np.eye(4))
    known = "mended elsewhere" if is_inverse else _KNOWN_LOAD_FILE
    if not is_as_known(type(mesh).load_file, known, repair="tool shapes"):
        return False
    # Genesis multiplied by the transpose, which of a scaling is the scaling itself.
    corrected = mesh.T_mesh_to_sdf_np / scaling**2
    mesh.T_mesh_to_sdf_np = corrected.astype(mesh.T_mesh_to_sdf_np.dtype)
    mesh.T_mesh_to_sdf.from_numpy(mesh.T_mesh_to_sdf_np)
    return True
