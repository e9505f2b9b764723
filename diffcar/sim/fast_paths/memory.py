"""Remembers what each step came to, so that going back need not simulate it again.

Genesis differentiates a substep in its own memory, which holds what the last one left there. So it
puts the bodies back to before each substep and simulates that once more: poses, accelerations,
contacts and their forces. All of it was there right after the step, and is copied back in a tenth
of the time. Poses before a step are those after the one before, unless something moved the bodies
in between.
"""

from collections.abc import Sequence
from operator import attrgetter
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from diffcar.sim.fast_paths.checkpoint import CHECKPOINT
from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view

__all__ = ["MEMORY"]

_RIGID = "genesis.engine.solvers.rigid"
_DYNAMICS = f"{_RIGID}.abd.forward_dynamics"
_BACKWARD = f"{_RIGID}.constraint.backward"
_PREPARE = "kernel_prepare_backward_substep"
_ROWS = "constraint_solver.constraint_state"
_CONTACTS = "collider.collider_state"
_STATE = {"rigid_info.qpos": "qpos", "dyn_state.dofs.vel": "dofs_vel"}
# What the reverse passes read of a step and do not compute from the rest.
_READ = {
    "rigid_info": ("qpos", "qpos_next", "mass_mat", "mass_mat_L", "mass_mat_D_inv"),
    "dyn_state.links": (
        *("crb_inertial", "crb_pos", "crb_quat", "crb_mass", "cdd_vel", "cdd_ang"),
        *("cacc_ang", "cacc_lin", "cfrc_ang", "cfrc_vel", "cfrc_applied_ang", "cfrc_applied_vel"),
        "is_constrained",
    ),
    "dyn_state.dofs": (
        *("force", "qf_bias", "qf_passive", "qf_applied", "qf_smooth", "qf_damping_implicit"),
        *("acc", "acc_smooth", "acc_smooth_bw", "qacc_damping_implicit", "vel", "vel_next"),
        *("f_vel", "f_ang", "ctrl_force", "ctrl_pos", "ctrl_vel", "ctrl_mode"),
    ),
    _ROWS: (
        *("n_constraints", "n_constraints_equality", "n_constraints_frictionloss"),
        *("qd_n_equalities", "qacc", "nt_H", "nt_jacobi"),
    ),
    f"{_ROWS}.island": (
        *("n_islands", "dof_slices.n", "dof_slices.start", "dof_id", "dof_range_start"),
        *("dof_env_start_local", "dof_env_col_end"),
    ),
    _CONTACTS: ("n_contacts", "n_contacts_hibernated"),
}
_READ_BY_ROW = ("jac", "jac_dofs_idx", "jac_n_dofs", "aref", "efc_D", "active")
# What Genesis copies of the poses (`func_copy_cartesian_space`).
_POSES = {
    "links": (
        *("pos", "quat", "root_COM", "mass_sum", "i_pos", "i_quat", "cd_vel", "cd_ang"),
        *("cinr_inertial", "cinr_pos", "cinr_quat", "cinr_mass"),
    ),
    "joints": ("xanchor", "xaxis"),
    "dofs": ("pos", "cdof_ang", "cdof_vel", "cdofd_ang", "cdofd_vel"),
    "geoms": ("pos", "quat", "verts_updated"),
}
# Steps are remembered up to so much [bytes]; those after them are simulated again.
_MOST_MEMORY = 2**28


class _Memory:
    """What the steps of a rollout have left in a solver's memory, as far as it was in use."""

    def __init__(self, solver: Any) -> None:  # noqa: ANN401
        def array(name: str) -> Tensor:
            return view(attrgetter(name)(solver))

        read = [f"{of}.{name}" for of, names in _READ.items() for name in names]
        poses = [f"{of}.{name}" for of, names in _POSES.items() for name in names]
        self._read = [array(name) for name in read]
        self._by_row = [array(f"{_ROWS}.{name}") for name in _READ_BY_ROW]
        self._by_contact = [array(f"{_CONTACTS}.contact_sort_idx")]
        self._by_contact += _arrays(attrgetter(f"{_CONTACTS}.contact_data")(solver))
        self._inputs = _arrays(attrgetter(f"{_CONTACTS}.diff_contact_input")(solver))
        self._poses = [array(f"dyn_state.{name}") for name in poses]
        self._poses_before = [array(f"dyn_state_adjoint_cache.{name}") for name in poses]
        self._state_before = {
            read.index(name): array(f"_rigid_adjoint_cache.{first}")[0]
            for name, first in _STATE.items()
        }
        self._counts = array(f"{_ROWS}.n_constraints"), array(f"{_CONTACTS}.n_contacts")
        self._parts: dict[tuple[int, ...], list[Tensor]] = {}
        self._steps: dict[int, tuple[list[Tensor], list[Tensor], list[Tensor]]] = {}

    def keep(self, step: int) -> None:
        """Remember what a step has left, if there is room for it."""
        parts = self._in_use()
        if step not in self._steps or self._steps[step][0] is not parts:
            self.forget(step)
            own = [*parts, *self._poses]
            if (step + 1) * sum(part.nbytes for part in own) > _MOST_MEMORY:
                return
            kept = [torch.empty_like(part, memory_format=torch.contiguous_format) for part in own]
            self._steps[step] = parts, kept[: len(parts)], kept[len(parts) :]
        _, dynamics, poses = self._steps[step]
        torch._foreach_copy_([*dynamics, *poses], [*parts, *self._poses])

    def forget(self, step: int) -> None:
        """Let go of what the step of this number has left in an earlier rollout."""
        self._steps.pop(step, None)

    def recall(self, step: int) -> bool:
        """Put back what a step has left but for its poses; return whether it was remembered."""
        if step not in self._steps:
            return False
        parts, dynamics, _ = self._steps[step]
        torch._foreach_copy_(parts, dynamics)
        return True

    def recall_poses(self, step: int) -> bool:
        """Put the poses before a step where Genesis keeps them; return whether they were known."""
        if not {step - 1, step} <= self._steps.keys():
            return False
        _, before, poses = self._steps[step - 1]
        if not all(torch.equal(before[number], own) for number, own in self._state_before.items()):
            return False
        torch._foreach_copy_(self._poses_before, poses)
        return True

    def _in_use(self) -> list[Tensor]:
        """Return the parts of the memory that the reverse passes of the last step read."""
        rows, contacts = (-(-int(counts.max()) // 4) * 4 for counts in self._counts)
        if (rows, contacts) not in self._parts:
            self._parts[rows, contacts] = [
                *self._read,
                *(array[:rows] for array in self._by_row),
                *(array[:contacts] for array in self._by_contact),
                *(array[:, :contacts] for array in self._inputs),
            ]
        return self._parts[rows, contacts]


def _arrays(state: Any) -> list[Tensor]:  # noqa: ANN401
    """Return all arrays of a state."""
    return [view(getattr(state, name)) for name in state.__dataclass_fields__ if name != "kind"]


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return steps that are remembered, and a reverse pass that recalls them."""
    solver = sim.rigid_solver
    memory = _Memory(solver)
    upstream = type(solver).substep_pre_coupling_grad
    # The very same code, but the kernel that finds the poses before a step is run only if needed.
    names = dict(upstream.__globals__)
    prepare = names[_PREPARE]

    def prepare_if_unknown(*arguments: Any) -> None:  # noqa: ANN401
        if not memory.recall_poses(sim._cur_substep_global):
            prepare(*arguments)

    names[_PREPARE] = prepare_if_unknown

    def substep(solver: Any, f: int) -> None:  # noqa: ANN401
        step = sim._cur_substep_global
        if solver._is_backward and memory.recall(step):
            return
        type(solver).substep(solver, f)
        if not solver._is_backward:
            (memory.keep if torch.is_grad_enabled() else memory.forget)(step)

    own = FunctionType(upstream.__code__, names, upstream.__name__)
    return [(solver, "substep", substep), (solver, "substep_pre_coupling_grad", own)]


MEMORY = FastPath(
    _replacements,
    known={
        "genesis.engine.simulator:Simulator._step_grad": "dc34af1c13c5fadc",
        "genesis.engine.simulator:Simulator.step": "4ded87ba11516065",
        f"{_RIGID}.rigid_solver:RigidSolver.substep": "999c866f5f87c555",
        f"{_RIGID}.rigid_solver:RigidSolver.substep_pre_coupling_grad": "4020b05861a896d5",
        f"{_RIGID}.rigid_solver:RigidSolver._constraint_force_grad": "3e763c60fe10186e",
        f"{_RIGID}.rigid_solver:func_step_1": "bae655fbc51e9e32",
        f"{_RIGID}.rigid_solver:func_step_2": "4069b12fc12b5bfe",
        f"{_RIGID}.abd.diff:{_PREPARE}": "9dff05d5f44d31d9",
        f"{_RIGID}.abd.diff:kernel_begin_backward_substep": "a01df6569fd95bae",
        f"{_RIGID}.abd.diff:func_copy_cartesian_space": "52d050324e0af411",
        f"{_DYNAMICS}:kernel_forward_dynamics_without_qacc": "cfa80bab6d303abb",
        f"{_DYNAMICS}:func_torque_and_passive_force": "af830815bea58527",
        f"{_DYNAMICS}:func_compute_mass_matrix_and_link_force": "6ab2bcf07ae50cc8",
        f"{_DYNAMICS}:func_update_acc_link": "a1b10c8c8a5e606d",
        f"{_DYNAMICS}:func_bias_force": "05406386a5b519ab",
        f"{_DYNAMICS}:func_implicit_damping": "172f86389d402577",
        f"{_DYNAMICS}:func_integrate": "31212f23fa18e3cd",
        f"{_BACKWARD}:kernel_solve_adjoint_u": "2bed4c31eec479f4",
        f"{_BACKWARD}:func_solve_adjoint_u_cg_batch": "1ccbf5e68957346d",
        f"{_BACKWARD}:kernel_manual_add_collision_constraints_bw": "a5bec615a565243a",
        f"{_BACKWARD}:kernel_manual_add_joint_limit_constraints_bw": "f6776ae739e41b77",
        f"{_BACKWARD}:kernel_manual_add_equality_constraints_bw": "d0ed4adc095c326c",
        f"{_BACKWARD}:kernel_manual_add_frictionloss_constraints_bw": "9f8adef942ca1976",
        f"{_RIGID}.constraint.solver:func_cholesky_solve_batch": "5f7878cc06e5ce2a",
        f"{_RIGID}.collider.collider:Collider.backward_narrowphase": "2cc3e8fa80e074c5",
        f"{_RIGID}.collider.narrowphase:func_narrow_phase_diff_convex_vs_convex": (
            "e102d136f5a25f1b"
        ),
    },
    needed=[
        *(f"rigid_solver.{of}.{name}" for of, names in _READ.items() for name in names),
        *(f"rigid_solver.{_ROWS}.{name}" for name in _READ_BY_ROW),
        f"rigid_solver.{_CONTACTS}.contact_data",
        f"rigid_solver.{_CONTACTS}.contact_sort_idx",
        f"rigid_solver.{_CONTACTS}.diff_contact_input",
        *(f"rigid_solver.dyn_state.{of}.{name}" for of, own in _POSES.items() for name in own),
        "rigid_solver.dyn_state_adjoint_cache",
        *(f"rigid_solver._rigid_adjoint_cache.{name}" for name in _STATE.values()),
        "rigid_solver._is_backward",
        "_cur_substep_global",
    ],
    unsuited=CHECKPOINT.unsuited,
)
