"""Goes back through the rows of constraints that there are, instead of all that could be.

Genesis's reverse pass of the constraint solver clears and walks every row that the scene has memory
for, on another thread, and then looks for rows of equality constraints and dry friction in models
that have neither.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view, with_other_names

__all__ = ["ABSENT_ROWS", "CONSTRAINT_GRADIENT"]

_BACKWARD = "genesis.engine.solvers.rigid.constraint.backward"
_COUNTS = {
    "kernel_manual_add_equality_constraints_bw": "n_constraints_equality",
    "kernel_manual_add_frictionloss_constraints_bw": "n_constraints_frictionloss",
}
_READERS = {
    "genesis.engine.solvers.rigid.rigid_solver:RigidSolver._constraint_force_grad": (
        "3e763c60fe10186e"
    ),
    f"{_BACKWARD}:kernel_manual_add_equality_constraints_bw": "d0ed4adc095c326c",
    f"{_BACKWARD}:kernel_manual_add_frictionloss_constraints_bw": "9f8adef942ca1976",
    f"{_BACKWARD}:kernel_manual_add_joint_limit_constraints_bw": "f6776ae739e41b77",
    f"{_BACKWARD}:kernel_manual_add_collision_constraints_bw": "a5bec615a565243a",
}
_READ = (
    *("bw_u", "qacc", "jac", "jac_n_dofs", "jac_dofs_idx", "aref", "efc_D", "active"),
    "n_constraints",
)
_WRITTEN = ("dL_dM", "dL_djac", "dL_daref", "dL_defc_D", "dL_dforce")


def _absent_rows_replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass with kernels that run only where the step has made rows for them."""
    solver = sim.rigid_solver
    state = solver.constraint_solver.constraint_state
    upstream = type(solver)._constraint_force_grad
    kernels = {
        kernel: _if_any(view(getattr(state, count)), upstream.__globals__[kernel])
        for kernel, count in _COUNTS.items()
    }
    return [(solver, "_constraint_force_grad", with_other_names(upstream, kernels))]


def _if_any(counts: Tensor, kernel: Callable[..., None]) -> Callable[..., None]:
    """Return a kernel that runs only while some count is not zero."""

    def run(*args: Any) -> None:  # noqa: ANN401
        if counts.any():
            kernel(*args)

    return run


def _gradient_replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass of the solver with its second half on the rows in use."""
    import importlib

    from diffcar.sim.fast_paths.solver_adjoint import reverse_solver

    kernels = importlib.import_module(_BACKWARD)
    solver = sim.rigid_solver
    state = solver.constraint_solver.constraint_state

    def backward(constraint_solver: Any) -> None:  # noqa: ANN401
        kernels.kernel_solve_adjoint_u(
            state, solver.dyn_info, solver.rigid_info, solver.rigid_config
        )
        reverse_solver(state, solver.rigid_info, solver.rigid_config)

    return [(solver.constraint_solver, "backward", backward)]


ABSENT_ROWS = FastPath(
    _absent_rows_replacements,
    known=_READERS,
    needed=[f"rigid_solver.constraint_solver.constraint_state.{name}" for name in _COUNTS.values()],
)
CONSTRAINT_GRADIENT = FastPath(
    _gradient_replacements,
    known={
        "genesis.engine.solvers.rigid.constraint.solver:ConstraintSolver.backward": (
            "44b97126727a684f"
        ),
        f"{_BACKWARD}:kernel_compute_gradients": "c8c503791086c263",
        # What reads those gradients, of the rows in use alone.
        **_READERS,
    },
    needed=[
        *(f"rigid_solver.constraint_solver.constraint_state.{name}" for name in _READ + _WRITTEN),
        "rigid_solver.rigid_info.dofs_mass_block_start",
        "rigid_solver.rigid_info.dofs_mass_block_end",
    ],
)
