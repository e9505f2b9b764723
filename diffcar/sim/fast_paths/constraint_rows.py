"""Goes back through the rows of constraints that there are, instead of all that could be.

Genesis's reverse pass of the constraint solver clears and walks every row that the scene has memory
for, on another thread, and then looks for rows of equality constraints and dry friction in models
that have neither.
"""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view

__all__ = ["ABSENT_ROWS", "CONSTRAINT_GRADIENT"]

_BACKWARD = "genesis.engine.solvers.rigid.constraint.backward"
_COUNTS = {
    "kernel_manual_add_equality_constraints_bw": "n_constraints_equality",
    "kernel_manual_add_frictionloss_constraints_bw": "n_constraints_frictionloss",
}
_READ = ("bw_u", "qacc", "jac", "aref", "efc_D", "active", "n_constraints")
_WRITTEN = ("dL_dM", "dL_djac", "dL_daref", "dL_defc_D", "dL_dforce")


def _absent_rows_replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass with kernels that run only where the step has made rows for them."""
    solver = sim.rigid_solver
    state = solver.constraint_solver.constraint_state
    upstream = type(solver)._constraint_force_grad
    # The very same code, but two of the kernels that it names are this solver's own.
    names = dict(upstream.__globals__)
    for kernel, count in _COUNTS.items():
        names[kernel] = _if_any(view(getattr(state, count)), names[kernel])
    own = FunctionType(upstream.__code__, names, upstream.__name__)
    return [(solver, "_constraint_force_grad", own)]


def _if_any(counts: Tensor, kernel: Callable[..., None]) -> Callable[..., None]:
    """Return a kernel that runs only while some count is not zero."""

    def run(*args: Any) -> None:  # noqa: ANN401
        if counts.any():
            kernel(*args)

    return run


def _gradient_replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass of the solver with its second half on the rows in use."""
    import importlib

    kernels = importlib.import_module(_BACKWARD)
    solver = sim.rigid_solver
    state = solver.constraint_solver.constraint_state
    read = [view(getattr(state, name)) for name in _READ]
    written = [view(getattr(state, name)) for name in _WRITTEN]
    starts = view(solver.rigid_info.dofs_mass_block_start)[:, None]
    ends = view(solver.rigid_info.dofs_mass_block_end)[:, None]
    dofs = torch.arange(len(starts), device=starts.device)
    blocks = ((dofs >= starts) & (dofs < ends)).to(written[0])[:, :, None]

    def backward(constraint_solver: Any) -> None:  # noqa: ANN401
        kernels.kernel_solve_adjoint_u(
            state, solver.dyn_info, solver.rigid_info, solver.rigid_config
        )
        _write_gradients(read, written, blocks)

    return [(solver.constraint_solver, "backward", backward)]


@torch.no_grad()
def _write_gradients(read: list[Tensor], written: list[Tensor], blocks: Tensor) -> None:
    """Write the gradients by what the solver was given, as `kernel_compute_gradients` does.

    A Jacobian's row is zero off its support, so it need not be looked up. Rows beyond those in use
    keep what they have; nothing reads them.
    """
    adjoint, acceleration, jacobian, reference, weight, is_active, counts = read
    by_mass, by_jacobian, by_reference, by_weight, by_force = written
    num_rows = int(counts.max())
    rows = torch.arange(num_rows, device=counts.device)[:, None]
    is_used = (rows < counts) & (is_active[:num_rows] != 0)
    jacobian = jacobian[:num_rows]
    along = torch.where(is_used, (jacobian * adjoint).sum(1), 0.0)
    residual = torch.where(is_used, (jacobian * acceleration).sum(1) - reference[:num_rows], 0.0)
    weight = torch.where(is_used, weight[:num_rows], 0.0)
    by_reference[:num_rows] = weight * along
    by_weight[:num_rows] = -along * residual
    by_jacobian[:num_rows] = -(
        adjoint * (weight * residual)[:, None] + acceleration * (weight * along)[:, None]
    )
    by_force.copy_(adjoint)
    outer = adjoint[:, None] * acceleration
    by_mass.copy_(-0.5 * (outer + outer.transpose(0, 1)) * blocks)


ABSENT_ROWS = FastPath(
    _absent_rows_replacements,
    known={
        "genesis.engine.solvers.rigid.rigid_solver:RigidSolver._constraint_force_grad": (
            "3e763c60fe10186e"
        ),
        f"{_BACKWARD}:kernel_manual_add_equality_constraints_bw": "d0ed4adc095c326c",
        f"{_BACKWARD}:kernel_manual_add_frictionloss_constraints_bw": "9f8adef942ca1976",
    },
    needed=[f"rigid_solver.constraint_solver.constraint_state.{name}" for name in _COUNTS.values()],
)
CONSTRAINT_GRADIENT = FastPath(
    _gradient_replacements,
    known={
        "genesis.engine.solvers.rigid.constraint.solver:ConstraintSolver.backward": (
            "44b97126727a684f"
        ),
        f"{_BACKWARD}:kernel_compute_gradients": "c8c503791086c263",
    },
    needed=[
        *(f"rigid_solver.constraint_solver.constraint_state.{name}" for name in _READ + _WRITTEN),
        "rigid_solver.rigid_info.dofs_mass_block_start",
        "rigid_solver.rigid_info.dofs_mass_block_end",
    ],
)
