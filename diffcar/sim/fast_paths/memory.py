"""Remembers what each step came to, so that going back need not simulate it again.

Genesis differentiates a substep in its own memory, which holds what the last one left there. So it
puts the bodies back to before each substep and simulates that once more: poses, accelerations,
contacts and their forces. All of it was there right after the step, and is copied back in a tenth
of the time. Poses before a step are those after the one before, unless something moved the bodies
in between.

It is of use beside `checkpoint` alone: without that, Genesis itself simulates each step anew.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcar.sim.fast_paths import copies
from diffcar.sim.fast_paths.checkpoint import CHECKPOINT
from diffcar.sim.fast_paths.copies import Copy
from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view, with_other_names

__all__ = ["MEMORY"]

_RIGID = "genesis.engine.solvers.rigid"
_DYNAMICS = f"{_RIGID}.abd.forward_dynamics"
_BACKWARD = f"{_RIGID}.constraint.backward"
_PREPARE, _BEGIN = "kernel_prepare_backward_substep", "kernel_begin_backward_substep"
_ARRIVE = "kernel_copy_next_to_curr_no_check"
_ROWS = "constraint_solver.constraint_state"
_CONTACTS = "collider.collider_state"
_FOUND, _INPUT = "contact_data", "diff_contact_input"
_STATE = ("qpos", "dofs_vel")
# What the reverse passes may read of a step and do not compute from the rest. External forces are
# not among it: they enter linearly, and must not act again.
_READ = {
    "rigid_info": ("qpos", "qpos_next", "mass_mat", "mass_mat_L", "mass_mat_D_inv"),
    "dyn_state.links": (
        *("crb_inertial", "crb_pos", "crb_quat", "crb_mass", "cdd_vel", "cdd_ang"),
        *("cacc_ang", "cacc_lin", "cfrc_ang", "cfrc_vel"),
    ),
    "dyn_state.dofs": (
        *("acc", "acc_smooth", "force", "qf_bias", "vel", "vel_next", "f_vel", "f_ang"),
        *("ctrl_force", "ctrl_pos", "ctrl_vel", "ctrl_mode"),
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


class _Step(NamedTuple):
    """What a step has left."""

    in_use: list[Tensor]
    dynamics: Copy
    """Of that, but for poses."""
    poses: Copy
    state: list[Tensor]
    follows: bool = False
    """Whether it began as the one before has ended."""
    is_only_commanded: bool = False
    """Whether nothing was given to it but commands, which are remembered."""


class _Memory:
    """What the steps of a rollout have left in a solver's memory, as far as it was in use."""

    def __init__(self, solver: Any) -> None:  # noqa: ANN401
        def arrays(of: str, names: Iterable[str]) -> list[Tensor]:
            return [view(attrgetter(f"{of}.{name}")(solver)) for name in names]

        poses = [f"{of}.{name}" for of, names in _POSES.items() for name in names]
        self._read = [own for of, names in _READ.items() for own in arrays(of, names)]
        self._by_row = arrays(_ROWS, _READ_BY_ROW)
        self._by_contact = arrays(_CONTACTS, ["contact_sort_idx", *_fields(solver, _FOUND)])
        self._inputs = arrays(_CONTACTS, _fields(solver, _INPUT))
        self._poses = arrays("dyn_state", poses)
        self._state = arrays("rigid_info", ["qpos"]) + arrays("dyn_state.dofs", ["vel"])
        self._moved = [*self._state, *arrays("dyn_state.links", ["pos", "quat"])]
        self._state_before = [own[0] for own in arrays("_rigid_adjoint_cache", _STATE)]
        self._adjoint = arrays("rigid_info", ["qpos.grad"]) + arrays("dyn_state.dofs", ["vel.grad"])
        self._adjoint_next = arrays("rigid_info", ["qpos_next.grad"])
        self._adjoint_next += arrays("dyn_state.dofs", ["vel_next.grad"])
        self._counts = arrays(_ROWS, ["n_constraints"]) + arrays(_CONTACTS, ["n_contacts"])
        self._room = copies.room_on(self._state[0].device)
        self._parts: dict[tuple[int, ...], list[Tensor]] = {}
        self.steps: dict[int, _Step] = {}
        """Those that are remembered, by their number."""
        self.start: _Step | None = None
        """What was left by the step before the one that is gone back through, if that is known."""
        self.is_only_commanded = False
        """Whether nothing was given to the coming step but commands."""

    def is_as_left_by(self, step: int) -> bool:
        """Return whether nothing has moved since a step, fixed bodies included."""
        known = self.steps.get(step)
        return known is not None and all(map(torch.equal, known.state, self._moved))

    def keep(self, step: int, *, follows: bool) -> None:
        """Remember what a step has left, if there is room for it."""
        in_use = self._in_use()
        known = self.steps.pop(step, None)
        if known is None or known.in_use is not in_use:
            size = sum(own.nbytes for own in (*in_use, *self._poses))
            if (step + 1) * size > self._room:
                return
            try:
                dynamics, poses = Copy(in_use), Copy(self._poses)
            except torch.OutOfMemoryError:  # others have taken what was free
                return
            state = [torch.empty_like(own) for own in self._moved]
            known = _Step(in_use, dynamics, poses, state)
        known.dynamics.take()
        known.poses.take()
        torch._foreach_copy_(known.state, self._moved)
        self.steps[step] = known._replace(follows=follows, is_only_commanded=self.is_only_commanded)

    def find_start(self, step: int) -> bool:
        """Look for the poses before a step, those that the last one left; return success."""
        known = self.steps.get(step)
        self.start = self.steps.get(step - 1) if known is not None and known.follows else None
        return self.start is not None

    def recall_start(self) -> bool:
        """Go back to the state that was found, and its adjoint; return whether that is a number.

        So does `kernel_begin_backward_substep`.
        """
        if any(bool(own.isnan().any()) for own in self._adjoint):
            return False
        torch._foreach_copy_(self._adjoint_next, self._adjoint)
        torch._foreach_zero_(self._adjoint)
        torch._foreach_copy_(self._state, self._state_before)
        assert self.start is not None
        self.start.poses.put_back()
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


def _fields(solver: Any, name: str) -> list[str]:  # noqa: ANN401
    """Return the dotted names of all arrays that a part of the contacts' state holds."""
    state = getattr(attrgetter(_CONTACTS)(solver), name)
    return [f"{name}.{field}" for field in state.__dataclass_fields__ if field != "kind"]


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return steps that are remembered, and a reverse pass that recalls them."""
    solver = sim.rigid_solver
    memory = _Memory(solver)
    upstream = type(solver).substep_pre_coupling_grad

    # Where a step is remembered, kernels that find out again what is known need not run.
    def prepare(*arguments: Any) -> None:  # noqa: ANN401
        if not memory.find_start(sim._cur_substep_global):
            upstream.__globals__[_PREPARE](*arguments)

    def arrive(*arguments: Any) -> None:  # noqa: ANN401
        if sim._cur_substep_global not in memory.steps:
            upstream.__globals__[_ARRIVE](*arguments)

    def begin(*arguments: Any) -> bool:  # noqa: ANN401
        return memory.recall_start() if memory.start else upstream.__globals__[_BEGIN](*arguments)

    def process_input(sim: Any, in_backward: bool = False) -> Any:  # noqa: ANN401
        # Commands come back with what else a remembered step has left. Genesis's own `load_ckpt`
        # simulates the step with them all the same.
        known = memory.steps.get(sim._cur_substep_global)
        if not in_backward:
            given = (name for entity in solver.entities for name, *_ in entity._tgt)
            memory.is_only_commanded = all(name.startswith("control_dofs_") for name in given)
        elif "load_ckpt" in vars(sim) and known is not None and known.is_only_commanded:
            return []
        return type(sim).process_input(sim, in_backward)

    def substep(solver: Any, f: int) -> None:  # noqa: ANN401
        step = sim._cur_substep_global
        if solver._is_backward and step in memory.steps:
            memory.steps[step].dynamics.put_back()
            return
        follows = memory.is_as_left_by(step - 1)
        type(solver).substep(solver, f)
        if solver._is_backward or not torch.is_grad_enabled():
            memory.steps.pop(step, None)  # of an earlier rollout
        else:
            memory.keep(step, follows=follows)

    own = with_other_names(upstream, {_PREPARE: prepare, _ARRIVE: arrive, _BEGIN: begin})
    return [
        (solver, "substep", substep),
        (solver, "substep_pre_coupling_grad", own),
        (sim, "process_input", process_input),
    ]


MEMORY = FastPath(
    _replacements,
    known={
        "genesis.engine.simulator:Simulator._step_grad": "dc34af1c13c5fadc",
        "genesis.engine.simulator:Simulator.process_input": "2d5e15c37237c3ac",
        "genesis.engine.simulator:Simulator.step": "4ded87ba11516065",
        "genesis.engine.entities.rigid_entity.rigid_entity:RigidEntity.process_input": (
            "9e49aa739b92338d"
        ),
        f"{_RIGID}.rigid_solver:RigidSolver.substep": "999c866f5f87c555",
        f"{_RIGID}.rigid_solver:RigidSolver.substep_pre_coupling_grad": "4020b05861a896d5",
        f"{_RIGID}.rigid_solver:RigidSolver._constraint_force_grad": "3e763c60fe10186e",
        f"{_RIGID}.rigid_solver:func_step_1": "bae655fbc51e9e32",
        f"{_RIGID}.rigid_solver:func_step_2": "4069b12fc12b5bfe",
        f"{_RIGID}.abd.diff:{_PREPARE}": "9dff05d5f44d31d9",
        f"{_RIGID}.abd.diff:{_BEGIN}": "a01df6569fd95bae",
        f"{_RIGID}.abd.diff:{_ARRIVE}": "0c9c9ff338abb174",
        f"{_RIGID}.abd.diff:func_is_grad_valid": "ed60fd6cf739ff80",
        f"{_RIGID}.abd.diff:func_copy_next_to_curr_grad": "9f63ffa8bd007661",
        f"{_RIGID}.abd.diff:func_copy_cartesian_space": "52d050324e0af411",
        f"{_DYNAMICS}:kernel_forward_dynamics_without_qacc": "cfa80bab6d303abb",
        f"{_DYNAMICS}:func_torque_and_passive_force": "af830815bea58527",
        f"{_DYNAMICS}:func_compute_mass_matrix_and_link_force": "6ab2bcf07ae50cc8",
        f"{_DYNAMICS}:func_update_acc_link": "a1b10c8c8a5e606d",
        f"{_DYNAMICS}:func_bias_force": "05406386a5b519ab",
        f"{_DYNAMICS}:func_integrate": "31212f23fa18e3cd",
        f"{_DYNAMICS}:func_link_force_initialize": "dcbebd8e04a819c7",
        f"{_DYNAMICS}:func_crb_initialize": "05173296246ecf08",
        f"{_DYNAMICS}:func_mass_mat_add_diag": "4ff346270eef3841",
        f"{_RIGID}.abd.manual_bw:kernel_manual_compute_qacc_bw": "a71adcea813addc9",
        f"{_RIGID}.abd.forward_kinematics:func_update_cartesian_space": "f50158f6c24b4f99",
        f"{_RIGID}.abd.forward_kinematics:func_forward_velocity": "ce84631a56cf37bf",
        f"{_RIGID}.abd.diff:kernel_copy_acc": "6389deaba473edda",
        f"{_RIGID}.abd.diff:func_copy_next_to_curr": "f0713f299c41460d",
        f"{_BACKWARD}:kernel_solve_adjoint_u": "2bed4c31eec479f4",
        f"{_BACKWARD}:func_solve_adjoint_u_cg_batch": "1ccbf5e68957346d",
        f"{_BACKWARD}:func_matvec_Ap": "3cb50baea27f630b",
        f"{_BACKWARD}:kernel_manual_add_collision_constraints_bw": "a5bec615a565243a",
        f"{_BACKWARD}:kernel_manual_add_joint_limit_constraints_bw": "f6776ae739e41b77",
        f"{_BACKWARD}:kernel_manual_add_equality_constraints_bw": "d0ed4adc095c326c",
        f"{_BACKWARD}:kernel_manual_add_frictionloss_constraints_bw": "9f8adef942ca1976",
        f"{_RIGID}.constraint.solver:func_cholesky_solve_batch": "5f7878cc06e5ce2a",
        f"{_RIGID}.collider.collider:Collider.backward_narrowphase": "2cc3e8fa80e074c5",
        f"{_RIGID}.collider.narrowphase:func_narrow_phase_diff_convex_vs_convex": (
            "e102d136f5a25f1b"
        ),
        f"{_RIGID}.collider.diff_gjk:func_differentiable_plane_contact": "d039779d5f098722",
    },
    needed=[
        *(f"rigid_solver.{of}.{name}" for of, names in _READ.items() for name in names),
        *(f"rigid_solver.{_ROWS}.{name}" for name in _READ_BY_ROW),
        *(f"rigid_solver.{_CONTACTS}.{name}" for name in (_FOUND, _INPUT, "contact_sort_idx")),
        *(f"rigid_solver.dyn_state.{of}.{name}" for of, own in _POSES.items() for name in own),
        *(f"rigid_solver.rigid_info.{name}.grad" for name in ("qpos", "qpos_next")),
        *(f"rigid_solver.dyn_state.dofs.{name}.grad" for name in ("vel", "vel_next")),
        *(f"rigid_solver._rigid_adjoint_cache.{name}" for name in _STATE),
        "rigid_solver._is_backward",
        "_cur_substep_global",
    ],
    unsuited=CHECKPOINT.unsuited,
)
