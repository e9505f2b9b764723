"""Collisions without what only other shapes need, there and back.

Wheels that are spheres on a plane touch it in closed form. Genesis 1.4.5 compiles GJK, boxes and
the pruning of contact patches into the kernel all the same: a third of what a first start compiles.
And it differentiates all kinds of contacts at once, with stacks whose sizes it finds anew at each
launch; `plane_contacts` is the one kind by hand.
"""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement
from diffcar.sim.upstream import are_unchanged

__all__ = ["CONTACTS", "narrow_phase_of_spheres", "only_spheres_meet_planes"]

_COLLIDER = "genesis.engine.solvers.rigid.collider"
_KNOWN = {
    f"{_COLLIDER}.collider:Collider._init_static_config": "6ad55371b22d355d",
    f"{_COLLIDER}.collider:func_detection": "feeb5be3cdf36320",
    f"{_COLLIDER}.narrowphase:func_convex_convex_contact": "23b0e3c5f5ae17af",
}
_ROWS = "genesis.engine.solvers.rigid.constraint.backward"
_INPUTS = (
    "n_contacts",
    *(f"diff_contact_input.{name}" for name in ("geom_a", "geom_b", "core_local")),
)
_GIVEN = ("pos", "normal", "penetration")


@contextlib.contextmanager
def narrow_phase_of_spheres() -> Iterator[None]:
    """Let colliders made meanwhile, where only spheres meet planes, do without the rest.

    They give the same contacts: what is left out are branches that such pairs never take.
    """
    if not are_unchanged(_KNOWN, "the kernel of collisions"):
        yield
        return
    collider_type = importlib.import_module(f"{_COLLIDER}.collider").Collider
    upstream = collider_type._init_static_config

    def initialise(collider: Any) -> None:  # noqa: ANN401
        upstream(collider)
        if only_spheres_meet_planes(collider):
            collider.collider_config = _narrowed(collider.collider_config)

    collider_type._init_static_config = initialise
    try:
        yield
    finally:
        collider_type._init_static_config = upstream


def only_spheres_meet_planes(collider: Any) -> bool:  # noqa: ANN401
    """Return whether each pair of shapes that can touch is a sphere and a plane."""
    import genesis as gs

    kinds = [geom.type for geom in collider._solver.geoms]
    wanted = {gs.GEOM_TYPE.PLANE, gs.GEOM_TYPE.SPHERE}
    return all(
        {kinds[one], kinds[other]} == wanted for one, other in collider._valid_collision_pairs
    )


def _narrowed(config: Any) -> Any:  # noqa: ANN401
    """Return what is compiled for a scene whose pairs have a contact each, in closed form."""
    from genesis.engine.solvers.rigid.collider.constants import CCD_ALGORITHM_CODE

    kind = type(config)
    own = {name: getattr(config, name) for name in kind.__annotations__}
    # Of the algorithms for shapes that need one, that which is compiled soonest.
    own["ccd_algorithm"] = CCD_ALGORITHM_CODE.MJ_MPR
    own |= dict.fromkeys(("has_convex_specialization", "has_prunable_contacts"), False)
    return kind(**own)


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass of the contacts of spheres with planes."""
    from diffcar.sim.fast_paths.plane_contacts import reverse_plane_contacts

    solver = sim.rigid_solver

    def backward(collider: Any) -> None:  # noqa: ANN401
        reverse_plane_contacts(
            solver.dyn_state, collider.collider_state, solver.dyn_info, solver.rigid_config
        )

    return [(solver.collider, "backward_narrowphase", backward)]


CONTACTS = FastPath(
    _replacements,
    known={
        f"{_COLLIDER}.collider:Collider.backward_narrowphase": "2cc3e8fa80e074c5",
        f"{_COLLIDER}.narrowphase:func_narrow_phase_diff_convex_vs_convex": "e102d136f5a25f1b",
        f"{_COLLIDER}.diff_gjk:func_differentiable_plane_contact": "d039779d5f098722",
        f"{_COLLIDER}.diff_gjk:func_plane_contact_frame": "4e6bba646fb47521",
        f"{_COLLIDER}.contact:func_set_contact": "6cefa1b5a86bb1ac",
        f"{_COLLIDER}.narrowphase:func_fill_diff_contact_input_analytic": "c34499ddbbc0155f",
        f"{_ROWS}:kernel_manual_add_collision_constraints_bw": "a5bec615a565243a",
        "genesis.utils.geom:qd_transform_by_trans_quat": "6141b074ea50dd1f",
        "genesis.utils.geom:qd_transform_by_quat": "2c06ddbd6111ef16",
        "genesis.utils.geom:qd_transform_by_quat_grad_quat": "96d021359e7b6dfb",
    },
    needed=[
        *(f"rigid_solver.collider.{name}" for name in ("_solver", "_valid_collision_pairs")),
        *(f"rigid_solver.collider.collider_state.{name}" for name in _INPUTS),
        *(f"rigid_solver.collider.collider_state.contact_data.{name}.grad" for name in _GIVEN),
        *(f"rigid_solver.dyn_state.geoms.{name}.grad" for name in ("pos", "quat")),
    ],
    unsuited=lambda sim: (
        "" if only_spheres_meet_planes(sim.rigid_solver.collider) else "shapes of other kinds"
    ),
)
