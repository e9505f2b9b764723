"""Remembers what each step of a soft body came to, so that going back need not simulate it again.

Genesis keeps the substeps of one step, and simulates each step once more before it goes back
through it: a quarter of the backward pass. Particles and grid are copied as the step has left them;
of the grid the cells with a mass, few of all. Tools are moved again, which is next to nothing.
"""

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from diffcar.sim.fast_paths import copies
from diffcar.sim.fast_paths.copies import Copy
from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view
from diffcar.sim.fast_paths.soft_body import has_soft_body_alone, other_matter

__all__ = ["SOFT_STEPS"]

_SIMULATOR = "genesis.engine.simulator:Simulator"
_MPM = "genesis.engine.solvers.mpm_solver:MPMSolver"
_COUPLER = "genesis.engine.couplers.legacy_coupler:LegacyCoupler"
_PARTICLES = "genesis.engine.entities.particle_entity:ParticleEntity"
_TOOLS = "genesis.engine.solvers.tool_solver:ToolSolver"
_TOOL = "genesis.engine.entities.tool_entity.tool_entity:ToolEntity"


class _Step:
    """What a step has left of particles and grid."""

    def __init__(self, particles: Sequence[Tensor], cells: Sequence[Tensor]) -> None:
        self._particles = Copy(particles)
        self._cells = cells
        self._filled = cells[0].new_empty(0, dtype=torch.long)
        self._contents: list[Tensor] = []

    @property
    def size(self) -> int:
        """Of all that is remembered [bytes]."""
        return self._particles.size + sum(own.nbytes for own in (self._filled, *self._contents))

    def take(self) -> None:
        """Copy what there is now; the first of the cells' quantities is their mass."""
        self._particles.take()
        self._filled = self._cells[0].nonzero()[:, 0]
        self._contents = [own[self._filled] for own in self._cells]

    def put_back(self) -> None:
        """Make it what it was."""
        self._particles.put_back()
        for own, content in zip(self._cells, self._contents, strict=True):
            own.zero_()
            own[self._filled] = content


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return how a step's end is kept, and how it is gone back to."""
    mpm, tools = sim.mpm_solver, sim.tool_solver
    particles = [
        view(getattr(fields, name))
        for fields in (mpm.particles, mpm.particles_ng)
        for name in fields.keys
    ]
    cells, gradients = (
        [view(getattr(fields, name)) for name in ("mass", "vel_in", "vel_out")]
        for fields in (mpm.grid, mpm.grid.grad)
    )
    cells = [own.view(math.prod(mpm.grid.shape), -1) for own in cells]
    room = copies.room_on(cells[0].device)
    save, load = sim.save_ckpt, sim.load_ckpt
    steps: dict[str, _Step] = {}

    def begin_of_last(sim: Any) -> str:  # noqa: ANN401
        """Return what Genesis calls the step that ends at the present substep."""
        return str(sim._cur_substep_global - sim._substeps_local)

    def save_ckpt(sim: Any) -> None:  # noqa: ANN401
        name = begin_of_last(sim)
        step = steps.pop(name, None)
        if torch.is_grad_enabled():  # nobody goes back through what is on no graph
            with contextlib.suppress(torch.OutOfMemoryError):  # others have taken what was free
                step = step or _Step(particles, cells)
                if sum(own.size for own in steps.values()) + step.size <= room:
                    step.take()
                    steps[name] = step
        save()  # which moves the last of the step to the beginning of the memory

    def load_ckpt(sim: Any) -> None:  # noqa: ANN401
        name = begin_of_last(sim)
        if name not in steps:
            load()
            return
        for solver in sim._active_solvers:
            solver.load_ckpt(name)  # with the adjoint of the last of it
        end, sim._cur_substep_global = sim._cur_substep_global, int(name)
        sim.process_input(in_backward=True)  # so that nothing given since is left for later
        steps[name].put_back()
        torch._foreach_zero_(gradients)
        for substep in range(sim._substeps_local):
            tools.substep_pre_coupling(substep)
            tools.substep_post_coupling(substep)
        sim._cur_substep_global = end

    return [(sim, "save_ckpt", save_ckpt), (sim, "load_ckpt", load_ckpt)]


def _unsuited(sim: Any) -> str:  # noqa: ANN401
    """Return what else would have to be remembered, or gone through."""
    if sim._steps_local != 1:
        return "several steps in memory"
    known = (sim.mpm_solver, sim.tool_solver, sim.rigid_solver)
    others = [own for own in sim._active_solvers if own not in known]
    return "another solver" if others else other_matter(sim)


SOFT_STEPS = FastPath(
    _replacements,
    known={
        f"{_SIMULATOR}.save_ckpt": "8535e23a819df6a6",
        f"{_SIMULATOR}.load_ckpt": "0278f59539e8b236",
        f"{_SIMULATOR}.step": "4ded87ba11516065",
        f"{_SIMULATOR}._step_grad": "dc34af1c13c5fadc",
        f"{_SIMULATOR}.substep": "41773fc3ebf3c82c",
        f"{_SIMULATOR}.process_input": "2d5e15c37237c3ac",
        f"{_MPM}.save_ckpt": "d8c234ef41da167d",
        f"{_MPM}.load_ckpt": "c70e8fe58b49e428",
        f"{_MPM}.init_grid_fields": "16dd8acda20c5e16",
        f"{_MPM}.reset_grid_and_grad": "879a4672f9c2afac",
        f"{_MPM}.substep_pre_coupling": "92de8062249cefa3",
        f"{_MPM}.substep_post_coupling": "1655735772532544",
        f"{_COUPLER}.preprocess": "a308715cba4f3213",
        f"{_COUPLER}.couple": "768ae5bb179a1871",
        f"{_PARTICLES}.process_input": "f51f149f4845fbfc",
        f"{_TOOLS}.substep_pre_coupling": "a02bf656ce834347",
        f"{_TOOLS}.substep_post_coupling": "2f05ec769e2fb0e8",
        f"{_TOOL}.process_input": "1545739169a35e87",
        f"{_TOOL}.load_ckpt": "4216e989ea4a9e7a",
        f"{_TOOL}.substep_pre_coupling": "2f3598100709e143",
        f"{_TOOL}.substep_post_coupling": "a0644232644e3ce2",
    },
    needed=[
        *("_cur_substep_global", "_substeps_local", "_steps_local", "_active_solvers"),
        *("mpm_solver.particles_ng.keys", "mpm_solver.particles.keys", "mpm_solver.grid.grad.mass"),
    ],
    unsuited=_unsuited,
    has_use=has_soft_body_alone,
)
