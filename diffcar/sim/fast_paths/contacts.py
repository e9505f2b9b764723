"""Goes back through the contacts of spheres with planes in closed form.

Genesis's compiler differentiates all kinds of contacts at once, with stacks whose sizes it finds
anew at each launch; `plane_contacts` is the one kind by hand.
"""

from collections.abc import Sequence
from typing import Any

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement
from diffcar.sim.fast_paths.narrow_phase import only_spheres_meet_planes

__all__ = ["CONTACTS"]

_COLLIDER = "genesis.engine.solvers.rigid.collider"
_ROWS = "genesis.engine.solvers.rigid.constraint.backward"
_INPUTS = (
    "n_contacts",
    *(f"diff_contact_input.{name}" for name in ("geom_a", "geom_b", "core_local")),
)
_GIVEN = ("pos", "normal", "penetration")


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass of the contacts of spheres with planes."""
    from diffcar.sim.fast_paths.plane_contacts import reverse_plane_contacts

    solver = sim.rigid_solver

    def backward(collider: Any) -> None:  # noqa: ANN401
        reverse_plane_contacts(
            solver.dyn_state, collider.collider_state, solver.dyn_info, solver.rigid_config
        )

    return [(solver.collider, "backward_narrowphase", backward)]


def _other_contacts(sim: Any) -> str:  # noqa: ANN401
    """Return what else than spheres on planes can touch, if anything."""
    return "" if only_spheres_meet_planes(sim.rigid_solver.collider) else "shapes of other kinds"


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
    unsuited=_other_contacts,
)
