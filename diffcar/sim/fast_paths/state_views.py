"""Reads the state, and hands gradients in and out, through views instead of kernels.

A kernel that is given a tensor of torch cannot keep its arguments from launch to launch, and
preparing them takes Python a quarter of a millisecond. Copying through a view of the solver's
memory takes a few microseconds, and gives the same bits.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view

__all__ = ["FORCE_GRADIENT", "STATE"]

_ACCESSOR = "genesis.engine.solvers.rigid.abd.accessor"
_KINEMATIC = "genesis.engine.solvers.kinematic_solver:KinematicSolver"
_STATE_FIELDS = {
    "qpos": "rigid_info.qpos",
    "dofs_vel": "dyn_state.dofs.vel",
    "dofs_acc": "dyn_state.dofs.acc",
    "links_pos": "dyn_state.links.pos",
    "links_quat": "dyn_state.links.quat",
    "friction_ratio": "dyn_state.geoms.friction_ratio",
}
_WITH_GRADIENT = ("qpos", "dofs_vel", "links_pos", "links_quat")


def _state_replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reading of a state and the way back of its gradient."""
    from genesis.engine.states.solvers import RigidSolverState

    fields = {name: attrgetter(where)(sim.rigid_solver) for name, where in _STATE_FIELDS.items()}
    values = {name: view(field).transpose(0, 1) for name, field in fields.items()}
    adjoints = {name: view(fields[name].grad).transpose(0, 1) for name in _WITH_GRADIENT}

    def get_state(solver: Any, f: int | None = None) -> RigidSolverState:  # noqa: ANN401
        state = RigidSolverState(solver.scene, solver.sim.cur_step_global)
        solver.update_forward_pos()
        for name, value in values.items():
            getattr(state, name).copy_(value)
        solver._queried_states.append(state)
        return state

    def add_grad_from_state(solver: Any, state: RigidSolverState) -> None:  # noqa: ANN401
        for name, adjoint in adjoints.items():
            gradient = getattr(state, name).grad
            if gradient is not None:
                adjoint.add_(gradient)

    return [
        (sim.rigid_solver, "get_state", get_state),
        (sim.rigid_solver, "add_grad_from_state", add_grad_from_state),
    ]


def _force_replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return how the gradient of commanded joint forces is handed out."""
    adjoint = view(sim.rigid_solver.dyn_state.dofs.ctrl_force.grad)
    rows_of: dict[tuple[int, ...], Tensor] = {}

    def set_dofs_force_grad(
        solver: Any,  # noqa: ANN401
        dofs_idx: Any,  # noqa: ANN401
        envs_idx: Any,  # noqa: ANN401
        force_grad: Tensor,
    ) -> None:
        dofs = tuple(dofs_idx) if isinstance(dofs_idx, range | list | tuple) else ()
        is_plain = envs_idx is None and force_grad.shape == (adjoint.shape[1], len(dofs))
        # A joint named twice, or none, is rare enough for Genesis's own way.
        if not is_plain or not dofs or len(set(dofs)) < len(dofs):
            type(solver).set_dofs_force_grad(solver, dofs_idx, envs_idx, force_grad)
            return
        if dofs not in rows_of:
            rows_of[dofs] = torch.tensor(dofs, device=adjoint.device)
        rows = rows_of[dofs]
        force_grad.copy_(adjoint[rows].T)
        adjoint[rows] = 0.0

    return [(sim.rigid_solver, "set_dofs_force_grad", set_dofs_force_grad)]


STATE = FastPath(
    _state_replacements,
    known={
        "genesis.engine.solvers.rigid.rigid_solver:RigidSolver.get_state": "9d6e25dfa15aa3d5",
        f"{_KINEMATIC}.add_grad_from_state": "5cf1125dfccb7bb7",
        f"{_ACCESSOR}:kernel_get_state": "773f1995635439a8",
        f"{_ACCESSOR}:kernel_get_state_grad": "7740cb818d243eaa",
        "genesis.engine.states.solvers:RigidSolverState.__init__": "c4f2ad552f1c3fb1",
    },
    needed=[
        *(f"rigid_solver.{where}" for where in _STATE_FIELDS.values()),
        *(f"rigid_solver.{_STATE_FIELDS[name]}.grad" for name in _WITH_GRADIENT),
        "rigid_solver._queried_states",
        "rigid_solver.update_forward_pos",
    ],
)
FORCE_GRADIENT = FastPath(
    _force_replacements,
    known={
        f"{_KINEMATIC}.set_dofs_force_grad": "db300b1c48184959",
        f"{_ACCESSOR}:kernel_set_dofs_force_grad": "945e0a2b7255da5f",
    },
    needed=["rigid_solver.dyn_state.dofs.ctrl_force.grad"],
)
