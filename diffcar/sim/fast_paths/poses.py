"""Goes back through the poses of links without sizing stacks or naming environments anew.

The reverse pass of the poses launches kernels that are told which environments are meant: all. Told
by a tensor they cannot keep their arguments from launch to launch (see `state_views`). One of them,
of the centres of mass, is differentiated by Genesis's compiler, with stacks whose sizes take longer
than all the rest; `centre_of_mass` is the same by hand.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view, with_other_names

__all__ = ["POSES"]

_KINEMATICS = "genesis.engine.solvers.rigid.abd.forward_kinematics"
_CENTRES = "kernel_COM_links_replay"


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the reverse pass of the poses with other indices and another kernel."""
    import genesis as gs
    import quadrants as qd

    from diffcar.sim.fast_paths.centre_of_mass import reverse_centres_of_mass

    upstream = type(sim.rigid_solver)._update_cartesian_grad

    def centres(*args: Any) -> None:  # noqa: ANN401
        upstream.__globals__[_CENTRES](*args)

    centres.grad = reverse_centres_of_mass  # type: ignore[attr-defined]
    own = with_other_names(upstream, {_CENTRES: centres})
    everywhere = sim.scene._envs_idx
    indices = qd.ndarray(gs.qd_int, shape=tuple(everywhere.shape))
    view(indices).copy_(everywhere)

    def update(solver: Any, envs_idx: Tensor) -> None:  # noqa: ANN401
        own(solver, indices if envs_idx is everywhere else envs_idx)

    return [(sim.rigid_solver, "_update_cartesian_grad", update)]


POSES = FastPath(
    _replacements,
    known={
        "genesis.engine.solvers.rigid.rigid_solver:RigidSolver._update_cartesian_grad": (
            "f3f543e8d318ff3d"
        ),
        f"{_KINEMATICS}:{_CENTRES}": "a6f03e1acb8e5637",
        f"{_KINEMATICS}:func_COM_root": "94342e23cd17ca8f",
        f"{_KINEMATICS}:func_COM_root_sum": "6c9e90504ffa8b98",
        f"{_KINEMATICS}:func_COM_link": "acf30d5f13884e5b",
        "genesis.utils.geom:qd_transform_inertia_by_trans_quat": "bd3889883b2e50a6",
        "genesis.utils.geom:qd_transform_pos_quat_by_trans_quat": "cbfb6c21f03b4750",
        "genesis.utils.geom:qd_transform_by_quat": "2c06ddbd6111ef16",
        "genesis.utils.geom:qd_transform_quat_by_quat": "2ce0e37d9814a16c",
        "genesis.utils.geom:qd_quat_mul": "f7857587de36b527",
        "genesis.utils.geom:qd_quat_to_R": "bd80c54706a899d2",
        "genesis.utils.geom:qd_transform_by_quat_grad_quat": "96d021359e7b6dfb",
        "genesis.utils.geom:qd_quat_mul_grad_lhs": "8ef2ac48e2b2df75",
    },
    needed=["scene._envs_idx"],
)
