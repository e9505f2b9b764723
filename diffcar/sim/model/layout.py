"""Where a car's wheels, axes and masses are, seen from its base, in the pose it is written in."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from diffcar.sim.model.model_file import shape_name
from diffcar.sim.model.rules import Fault

if TYPE_CHECKING:
    import mujoco

__all__ = ["Layout"]

# Cosine of the angle between an axis and where it should point: 11 degrees.
_ALIGNED = 0.98
# Of the wheels' radius, how far a wheel's centre may lie off its axle, and by how much its own may
# differ; of the wheelbase, by how much the wheels' places may from those of a symmetric car.
_MAX_ECCENTRICITY, _MAX_OVAL, _MAX_ASYMMETRY = 0.02, 1e-3, 0.01
_DIRECTIONS = ("ahead along x", "left along y", "up along z")


class Layout:
    """A compiled model in its reference pose; positions are in the frame of a body, the base."""

    def __init__(self, model: "mujoco.MjModel", base: int) -> None:
        import mujoco

        self._model = model
        self._base = base
        self._pose = mujoco.MjData(model)
        mujoco.mj_forward(model, self._pose)
        self._turn = self._pose.xmat[base].reshape(3, 3)

    def anchor(self, joint: str) -> np.ndarray:
        """Return where a joint is [m], shape (3,)."""
        return self._place(self._pose.xanchor[self._model.joint(joint).id])

    def axis(self, joint: str) -> np.ndarray:
        """Return the unit vector that a joint turns about, shape (3,)."""
        return self._pose.xaxis[self._model.joint(joint).id] @ self._turn

    def centre(self, geom: int) -> np.ndarray:
        """Return the middle of a geometry [m], shape (3,)."""
        rotation = self._pose.geom_xmat[geom].reshape(3, 3)
        middle = rotation @ self._model.geom_aabb[geom][:3]
        return self._place(self._pose.geom_xpos[geom] + middle)

    def turned(self, geom: int) -> np.ndarray:
        """Return the axes of a geometry as columns, shape (3, 3)."""
        return self._turn.T @ self._pose.geom_xmat[geom].reshape(3, 3)

    def vertices(self, geom: int) -> np.ndarray:
        """Return the corners of a mesh [m], shape (N, 3)."""
        rotation = self._pose.geom_xmat[geom].reshape(3, 3)
        return self._place(self._pose.geom_xpos[geom] + self._corners(geom) @ rotation.T)

    def radii_about(self, joint: str, geom: int) -> np.ndarray:
        """Return the radii about a joint's axis of a cylinder, capsule or ellipsoid [m].

        One, or two of an ellipsoid; none of what does not lie along the axis.
        """
        along = abs(self.axis(joint) @ self.turned(geom))
        size, axle = self._model.geom_size[geom], int(along.argmax())
        is_ellipsoid = shape_name(self._model.geom_type[geom]) == "ellipsoid"
        is_along = along[axle] >= _ALIGNED and (is_ellipsoid or axle == 2)
        return (np.delete(size, axle) if is_ellipsoid else size[:1]) if is_along else size[:0]

    def moves(self, joint: str, other: str) -> bool:
        """Return whether a joint moves the body of another: its own, or one below it."""
        wanted, body = (int(self._model.joint(name).bodyid[0]) for name in (joint, other))
        while body not in (0, wanted):
            body = int(self._model.body_parentid[body])
        return body == wanted

    def local_axis(self, joint: str, direction: int) -> np.ndarray:
        """Return x, y or z of the base as the body of a joint sees it."""
        body = int(self._model.joint(joint).bodyid[0])
        return self._turn[:, direction] @ self._pose.xmat[body].reshape(3, 3)

    def local_place(self, joint: str, position: np.ndarray) -> np.ndarray:
        """Return a position in the frame of the base as the body of a joint sees it [m]."""
        body = int(self._model.joint(joint).bodyid[0])
        place = self._pose.xpos[self._base] + self._turn @ position - self._pose.xpos[body]
        return place @ self._pose.xmat[body].reshape(3, 3)

    def mass(self) -> tuple[np.ndarray, np.ndarray]:
        """Return inertia [kg m²], shape (3, 3), about the centre of mass, and where that is [m]."""
        own = self._model.body_rootid == self._base
        masses, centre = self._model.body_mass[own], self._pose.subtree_com[self._base]
        rotations = self._pose.ximat[own].reshape(-1, 3, 3)
        arms = self._pose.xipos[own] - centre
        inertia = np.einsum("bij,bj,bkj->ik", rotations, self._model.body_inertia[own], rotations)
        inertia += (masses * (arms**2).sum(1)).sum() * np.eye(3)
        inertia -= np.einsum("b,bi,bj->ij", masses, arms, arms)
        return self._turn.T @ inertia @ self._turn, self._place(centre)

    def axis_faults(self, joint: str, direction: int) -> list[Fault]:
        """Return what is wrong with an axis that should point along x, y or z (0, 1 or 2)."""
        axis = self.axis(joint)
        if axis[direction] >= _ALIGNED:
            return []
        told, meant = _vector(axis), _DIRECTIONS[direction]
        return [(f"the axis of {joint!r} is {told} seen from the base", f"let it point {meant}")]

    def is_along(self, joint: str, direction: int) -> bool:
        """Return whether a joint's axis lies along x, y or z, whichever way it points."""
        return bool(abs(self.axis(joint)[direction]) >= _ALIGNED)

    def wheel_faults(self, joint: str, geom: int, radius: float) -> list[Fault]:
        """Return what keeps a geometry from rolling about a joint's axis."""
        axis, offset = self.axis(joint), self.centre(geom) - self.anchor(joint)
        eccentricity = float(np.linalg.norm(offset - axis * (offset @ axis)))
        if eccentricity > _MAX_ECCENTRICITY * radius:
            told = f"the wheel on {joint!r} collides {1000 * eccentricity:.3g} mm off its axle"
            return [(told, "put the middle of what collides on the joint's axis")]
        shape = shape_name(self._model.geom_type[geom])
        if shape not in ("ellipsoid", "cylinder", "capsule"):
            return []
        around = self.radii_about(joint, geom)
        if around.size and np.ptp(around) <= _MAX_OVAL * radius:
            return []
        told = f"the {shape} of the wheel on {joint!r} is not round about its axle"
        return [(told, "turn it: its axis, MJCF's z, must lie along the joint's")]

    def symmetry_faults(self, wheels: Sequence[np.ndarray]) -> list[Fault]:
        """Return what is wrong with where the wheels are: front, then rear, left, then right."""
        front, front_right, rear, rear_right = wheels
        if front[0] <= rear[0] or rear[1] <= rear_right[1]:
            hint = "seen from its base a car faces along x, with y to its left"
            return [("the front wheels are not ahead of the rear ones, or left is not left", hint)]
        mirror = np.array([1, -1, 1])
        gaps = (front - front_right * mirror, rear - rear_right * mirror, (front - rear)[2:])
        if max(float(abs(gap).max()) for gap in gaps) <= _MAX_ASYMMETRY * (front[0] - rear[0]):
            return []
        told = f"the wheels are not placed symmetrically: {', '.join(map(_vector, wheels))} m"
        hint = "mirror left and right about the base's x axis, all four at one height"
        return [(told, hint)]

    def ground_faults(self, geoms: Iterable[int], ground: float) -> list[Fault]:
        """Return which geometries reach below the ground, a height [m]."""
        faults = []
        for geom in geoms:
            rotation = self.turned(geom)
            lowest = float(self.centre(geom)[2]) - self._reach(geom, -rotation[2]) - ground
            if lowest < 0:
                name = self._model.geom(geom).name or f"a {shape_name(self._model.geom_type[geom])}"
                told = f"the geometry {name!r} reaches {-1000 * lowest:.3g} mm below the wheels"
                faults.append((told, 'raise it, or let it only show: contype="0" conaffinity="0"'))
        return faults

    def _reach(self, geom: int, direction: np.ndarray) -> float:
        """Return how far a geometry extends from its centre along a direction of its own [m]."""
        size, along = self._model.geom_size[geom], abs(float(direction[2]))
        match shape_name(self._model.geom_type[geom]):
            case "sphere":
                return float(size[0])
            case "ellipsoid":
                return float(np.linalg.norm(direction * size))
            case "capsule":
                return float(size[0] + along * size[1])
            case "cylinder":
                return float(size[0] * np.sqrt(max(0.0, 1 - along**2)) + along * size[1])
            case "mesh":
                return float((self._corners(geom) @ direction).max())
            case _:
                return float(abs(direction) @ self._model.geom_aabb[geom][3:])

    def _corners(self, geom: int) -> np.ndarray:
        """Return the corners of a mesh in its own frame [m], shape (N, 3)."""
        mesh = self._model.mesh(int(self._model.geom_dataid[geom]))
        first, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
        return self._model.mesh_vert[first : first + count]

    def _place(self, position: np.ndarray) -> np.ndarray:
        """Return a position of the world as the base sees it."""
        return (position - self._pose.xpos[self._base]) @ self._turn


def _vector(values: np.ndarray) -> str:
    """Return coordinates as people read them."""
    return "(" + ", ".join(f"{value:.3g}" for value in values + 0.0) + ")"
