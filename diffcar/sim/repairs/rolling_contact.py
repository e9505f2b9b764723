"""Makes the gradient of a round body that rolls on a plane right.

Fault of Genesis 1.4.5: the reverse pass rebuilds each contact between a plane and a convex body
from a witness point pinned to the body (`func_differentiable_plane_contact`). A wheel that rolls
drags that point along in the derivative, which the real contact does not: it stays below the axle.
A sphere is right, since its witness is its centre, and so are the vertices of a box. For ellipsoid,
cylinder and capsule wheels the gradient is wrong by a factor, and nothing warns.

The repair gives these contacts their adjoint from `plane_contact`, where each is a closed form of
the body's pose, and clears it before Genesis's own reverse pass, which then adds nothing for them.
It is right because the closed form reproduces what Genesis found, which is verified at every
contact of every backward pass: a contact that the closed form does not reproduce raises. Should
the reverse pass of the installed Genesis have changed, the repair steps aside with a warning.
"""

from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.sim.fast_paths.fast_path import view
from diffcar.sim.repairs.plane_contact import (
    PlaneContact,
    RoundBody,
    contact_candidates,
    rotation_from_quaternion,
)
from diffcar.sim.upstream import is_as_known, lacking

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["repair_rolling_contact"]

# Of func_differentiable_plane_contact in genesis-world 1.4.5.
_KNOWN_REVERSE_PASS = "d039779d5f098722"
_SHAPES = ("ELLIPSOID", "CYLINDER", "CAPSULE")
# Largest distance between a contact and its closed form, relative to the body's size.
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}


def repair_rolling_contact(scene: "Scene") -> bool:
    """Repair the adjoint of plane contacts in a built differentiable scene.

    Returns whether it was, and raises if this Genesis does not find plane contacts as 1.4.5 does.
    """
    import genesis as gs
    from genesis.engine.solvers.rigid.collider import diff_gjk

    solver = scene.sim.rigid_solver
    collider = solver.collider
    round_types = {int(getattr(gs.GEOM_TYPE, shape)): shape.lower() for shape in _SHAPES}
    if not any(int(geom.type) in round_types for geom in solver.geoms):
        return False
    reverse_pass = getattr(diff_gjk, "func_differentiable_plane_contact", None)
    if not is_as_known(reverse_pass, _KNOWN_REVERSE_PASS, repair="rolling contact"):
        return False
    missing = lacking(collider, ("backward_narrowphase", "collider_state", "_mc_perturbation"))
    missing += lacking(solver, ("dyn_state", "dyn_info"))
    if missing or getattr(solver, "_enable_mujoco_compatibility", True):
        raise SimulationError(
            f"the installed Genesis lacks {', '.join(missing) or 'its own contact search'}, which "
            "differentiable rolling contact needs",
            hint="install genesis-world 1.4.5, or give the wheels colliding spheres",
        )
    adjoint = _PlaneContactAdjoint(solver, round_types)

    def backward_narrowphase(collider: Any) -> None:  # noqa: ANN401
        adjoint.propagate()
        type(collider).backward_narrowphase(collider)

    collider.backward_narrowphase = MethodType(backward_narrowphase, collider)
    return True


class _PlaneContactAdjoint:
    """Carries the adjoint of plane contacts to the poses of round bodies.

    Args:
        shapes: Names of the round shapes by Genesis's number.
    """

    def __init__(self, solver: Any, shapes: dict[int, str]) -> None:  # noqa: ANN401
        import genesis as gs

        self.solver = solver
        self.shapes = shapes
        info = solver.dyn_info
        self.plane_type = int(gs.GEOM_TYPE.PLANE)
        self.geom_types = view(info.geoms.type).long()
        data = view(info.geoms.data)
        half = torch.tensor([1.0, 0.5, 0.0]).to(data)
        is_ellipsoid = self.geom_types == int(gs.GEOM_TYPE.ELLIPSOID)
        self.sizes = torch.where(is_ellipsoid[:, None], data[:, :3], data[:, :3] * half)
        self.plane_directions = data[:, :3]
        inertial = view(info.links.inertial_quat)
        if inertial.dim() > 2:  # one for each environment
            raise SimulationError("rolling contact is repaired for links of equal inertia only")
        links = view(info.geoms.link_idx).long()
        self.tilt_frames = rotation_from_quaternion(view(info.geoms.quat)).transpose(
            1, 2
        ) @ rotation_from_quaternion(inertial[links])
        self.tilt_angle = 2 * float(solver.collider._mc_perturbation)

    def propagate(self) -> None:
        """Add the adjoint of round bodies' contacts to that of their poses, and clear it."""
        state = self.solver.collider.collider_state
        found = state.contact_data
        num_contacts = view(state.n_contacts).long()
        geom_a, geom_b = view(found.geom_a).long(), view(found.geom_b).long()
        is_found = torch.arange(len(geom_a), device=geom_a.device)[:, None] < num_contacts
        on_plane = is_found & (self.geom_types[geom_a] == self.plane_type)
        for number, shape in self.shapes.items():
            rows = (on_plane & (self.geom_types[geom_b] == number)).nonzero(as_tuple=True)
            if len(rows[0]):
                self._propagate_shape(shape, rows, geom_a[rows], geom_b[rows])

    def _propagate_shape(
        self, shape: str, rows: tuple[Tensor, ...], planes: Tensor, geoms: Tensor
    ) -> None:
        """Do it for the contacts of one shape."""
        found = self.solver.collider.collider_state.contact_data
        poses = self.solver.dyn_state.geoms
        inputs = [
            (field, (own, rows[1])) for own in (planes, geoms) for field in (poses.pos, poses.quat)
        ]
        leaves = [view(field)[index].detach().requires_grad_() for field, index in inputs]
        plane_point, plane_quaternion, position, quaternion = leaves
        with torch.enable_grad():
            up = rotation_from_quaternion(plane_quaternion) @ self.plane_directions[planes, :, None]
            normal = -up[:, :, 0] / up[:, :, 0].norm(dim=-1, keepdim=True)
            body = RoundBody(
                shape, self.sizes[geoms], self.tilt_frames[geoms], tilt_angle=self.tilt_angle
            )
            candidates = contact_candidates(body, position, quaternion, plane_point, normal)
            contact = _select(
                candidates, view(found.pos)[rows], view(found.penetration)[rows], body
            )
        outputs = {"pos": contact.position, "normal": normal, "penetration": contact.penetration}
        seeds = [view(getattr(found, name).grad) for name in outputs]
        gradients = torch.autograd.grad(
            list(outputs.values()),
            leaves,
            [seed[rows].clone() for seed in seeds],
            allow_unused=True,
        )
        for seed in seeds:
            seed[rows] = 0.0
        for (field, index), gradient in zip(inputs, gradients, strict=True):
            if gradient is not None:
                view(field.grad).index_put_(index, gradient, accumulate=True)


def _select(
    candidates: list[PlaneContact], position: Tensor, penetration: Tensor, body: RoundBody
) -> PlaneContact:
    """Return for each contact the candidate that Genesis found, or raise if one is none of them."""
    positions = torch.stack([candidate.position for candidate in candidates])
    depths = torch.stack([candidate.penetration for candidate in candidates])
    distance = (positions - position).norm(dim=-1) + (depths - penetration).abs()
    best = distance.detach().argmin(dim=0)
    rows = torch.arange(len(best), device=best.device)
    worst = float((distance.detach()[best, rows] / body.size.amax(-1)).max())
    if not worst <= _TOLERANCE[position.dtype]:
        raise SimulationError(
            f"a contact of a {body.shape} on a plane lies {worst:.2g} of its size from where the "
            "repair of rolling contact expects it",
            hint="use colliding spheres for wheels; this Genesis finds contacts in another way",
        )
    return PlaneContact(positions[best, rows], depths[best, rows])
