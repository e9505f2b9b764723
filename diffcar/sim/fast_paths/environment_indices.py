"""Names all environments by an array of Genesis's compiler instead of a tensor of torch.

The reverse pass of the poses launches kernels that are told which environments are meant: all. Told
by a tensor they cannot keep their arguments from launch to launch (see `state_views`).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view

__all__ = ["ENVIRONMENT_INDICES"]


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass of the poses with other indices."""
    import genesis as gs
    import quadrants as qd

    everywhere = sim.scene._envs_idx
    indices = qd.ndarray(gs.qd_int, shape=tuple(everywhere.shape))
    view(indices).copy_(everywhere)

    def update(solver: Any, envs_idx: Tensor) -> None:  # noqa: ANN401
        own = indices if envs_idx is everywhere else envs_idx
        type(solver)._update_cartesian_grad(solver, own)

    return [(sim.rigid_solver, "_update_cartesian_grad", update)]


ENVIRONMENT_INDICES = FastPath(
    _replacements,
    known={
        "genesis.engine.solvers.rigid.rigid_solver:RigidSolver._update_cartesian_grad": (
            "f3f543e8d318ff3d"
        ),
    },
    needed=["scene._envs_idx"],
)
