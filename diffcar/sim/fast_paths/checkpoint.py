"""Leaves out the second simulation of each step in the backward pass.

Genesis keeps the state before each step. Going back it restores that state, simulates the step to
fill its memory of the substeps, and then simulates each substep once more to differentiate it. With
one substep a step the two are the same: it is enough to put the state where the substep looks for
it, and to apply the step's inputs again.
"""

from collections.abc import Sequence
from typing import Any

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view

__all__ = ["CHECKPOINT"]

_SOLVER = "genesis.engine.solvers.rigid.rigid_solver:RigidSolver"
_ADJOINT = "genesis.engine.solvers.rigid.abd.diff"
_STATE = ("qpos", "dofs_vel", "dofs_acc")


def _unsuited(sim: Any) -> str:  # noqa: ANN401
    """Return what needs the step to be simulated as a whole."""
    if sim.substeps != 1 or sim.substeps_local != 1:
        return "several substeps a step"
    if list(sim.active_solvers) != [sim.rigid_solver]:
        return "more than rigid bodies"
    if type(sim.coupler).__name__ != "LegacyCoupler":
        return "a coupler"
    return "MuJoCo's order of updates" if sim.rigid_solver._enable_mujoco_compatibility else ""


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the saving and the loading of a step's first state."""
    from genesis.engine.simulator import RATE_CHECK_ERRNO

    cache = sim.rigid_solver._rigid_adjoint_cache
    first = {name: view(getattr(cache, name))[0] for name in _STATE}

    def save_ckpt(solver: Any, name: str) -> None:  # noqa: ANN401
        solver._ckpt[name] = {field: frame.clone() for field, frame in first.items()}
        for entity in solver.entities:
            entity.save_ckpt(name)

    def load_ckpt(sim: Any) -> None:  # noqa: ANN401
        solver = sim.rigid_solver
        sim._cur_substep_global -= 1
        if sim._cur_substep_global % RATE_CHECK_ERRNO == 0:
            solver.check_errno()
        name = str(sim._cur_substep_global)
        for field, saved in solver._ckpt[name].items():
            first[field].copy_(saved)
        for entity in solver.entities:
            entity.load_ckpt(name)
        sim.process_input(in_backward=True)
        # As a simulated step leaves them: what an input has outdated is restored before its use.
        solver._is_forward_pos_updated = solver._is_forward_vel_updated = True
        sim._cur_substep_global += 1

    return [(sim.rigid_solver, "save_ckpt", save_ckpt), (sim, "load_ckpt", load_ckpt)]


CHECKPOINT = FastPath(
    _replacements,
    known={
        "genesis.engine.simulator:Simulator.load_ckpt": "0278f59539e8b236",
        "genesis.engine.simulator:Simulator._step_grad": "dc34af1c13c5fadc",
        "genesis.engine.simulator:Simulator.step": "4ded87ba11516065",
        f"{_SOLVER}.save_ckpt": "2e0d7372181dc0af",
        f"{_SOLVER}.load_ckpt": "a6738bc30236406b",
        f"{_SOLVER}.substep_pre_coupling_grad": "4020b05861a896d5",
        f"{_SOLVER}.substep": "999c866f5f87c555",
        f"{_ADJOINT}:kernel_prepare_backward_substep": "9dff05d5f44d31d9",
        f"{_ADJOINT}:func_load_adjoint_cache": "9ae77f1620ba770c",
    },
    needed=[
        *(f"rigid_solver._rigid_adjoint_cache.{name}" for name in _STATE),
        "rigid_solver._ckpt",
        "rigid_solver._is_forward_pos_updated",
        "rigid_solver._is_forward_vel_updated",
        "_cur_substep_global",
        "process_input",
    ],
    unsuited=_unsuited,
)
