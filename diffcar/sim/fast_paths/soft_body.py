"""Leaves out of a soft body's backward pass what is nothing: empty cells, and bodies that stand.

Genesis differentiates the grid cell by cell, empty ones included, and in reverse an empty cell
costs as much as a full one. A body fills few of the cells that it may be pushed through.

The ground is a rigid body, so its solver simulates every substep forward, again in reverse, and
differentiates it, although nothing can move that has no degree of freedom.
"""

import functools
from collections.abc import Sequence
from typing import Any

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view

__all__ = ["FILLED_CELLS", "STANDING_BODIES", "has_soft_body_alone", "other_matter"]

_COUPLER = "genesis.engine.couplers.legacy_coupler:LegacyCoupler"
_SOLVER = "genesis.engine.solvers.rigid.rigid_solver:RigidSolver"
_MPM = "genesis.engine.solvers.mpm_solver:MPMSolver"


def has_soft_body_alone(sim: Any) -> bool:  # noqa: ANN401
    """Return whether there is a soft body and no rigid one that moves."""
    return sim.mpm_solver.is_active and not sim.rigid_solver.n_dofs


def other_matter(sim: Any) -> str:  # noqa: ANN401
    """Return what else acts on a cell."""
    coupler = sim.coupler
    if type(coupler).__name__ != "LegacyCoupler":
        return "another coupler"
    if coupler._mpm_sph or coupler._mpm_pbd or sim.fem_solver.is_active:
        return "other soft matter"
    return "force fields" if sim.mpm_solver._ffs else ""


def _substeps(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the substeps of the rigid solver, and what keeps their states: nothing."""

    def nothing(solver: Any, what: object) -> None:  # noqa: ANN401
        """Bodies that stand are where they were."""

    methods = ("substep_pre_coupling", "substep_pre_coupling_grad", "save_ckpt", "load_ckpt")
    return [(sim.rigid_solver, method, nothing) for method in methods]


def _cells(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return the adjoint of what happens to cells."""
    import genesis as gs

    kernel = _cell_kernel()
    mass = view(sim.mpm_solver.grid.mass)

    def couple_grad(coupler: Any, f: int) -> None:  # noqa: ANN401
        # In the order in which Genesis goes through all, so that sums are the same to the last bit.
        filled = (mass[f] > gs.EPS).nonzero().int().contiguous()
        rigid = coupler.rigid_solver
        kernel.grad(
            coupler,
            f,
            filled,
            rigid.dyn_state.geoms,
            rigid.dyn_info.geoms,
            rigid.dyn_state.links,
            rigid.rigid_info,
            rigid.collider.sdf.sdf_info,
            rigid.collider.collider_config,
        )

    return [(sim.coupler, "couple_grad", couple_grad)]


@functools.cache
def _cell_kernel() -> Any:  # noqa: ANN401
    """Return `mpm_grid_op` for some cells; Genesis's compiler is imported when it is needed."""
    import genesis as gs
    import quadrants as qd
    from genesis.utils import array_class

    @qd.kernel
    def cell_op(  # type: ignore[no-untyped-def]  # noqa: ANN202
        coupler: qd.template(),  # type: ignore[valid-type]
        f: qd.i32,
        cells: qd.types.ndarray(),  # type: ignore[valid-type]
        geoms_state: array_class.GeomsState,
        geoms_info: array_class.GeomsInfo,
        links_state: array_class.LinksState,
        rigid_info: array_class.RigidInfo,
        sdf_info: array_class.SDFInfo,
        collider_static_config: qd.template(),  # type: ignore[valid-type]
    ):
        for row in range(cells.shape[0]):
            ii, jj, kk, i_b = cells[row, 0], cells[row, 1], cells[row, 2], cells[row, 3]
            cell = (ii, jj, kk)
            if coupler.mpm_solver.grid[f, cell, i_b].mass > gs.EPS:
                velocity = (
                    1 / coupler.mpm_solver.grid[f, cell, i_b].mass
                ) * coupler.mpm_solver.grid[f, cell, i_b].vel_in
                velocity += coupler.mpm_solver.substep_dt * coupler.mpm_solver._gravity[i_b]
                place = (cell + coupler.mpm_solver.grid_offset) * coupler.mpm_solver.dx
                mass = (
                    coupler.mpm_solver.grid[f, cell, i_b].mass
                    / coupler.mpm_solver._particle_volume_scale
                )
                if qd.static(coupler.tool_solver.is_active):
                    velocity = coupler._func_mpm_tool(f, place, velocity, i_b)
                if qd.static(coupler._rigid_mpm):
                    velocity = coupler._func_collide_with_rigid(
                        f,
                        place,
                        velocity,
                        mass,
                        i_b,
                        geoms_state=geoms_state,
                        geoms_info=geoms_info,
                        links_state=links_state,
                        rigid_info=rigid_info,
                        sdf_info=sdf_info,
                        collider_static_config=collider_static_config,
                    )
                _, coupler.mpm_solver.grid[f, cell, i_b].vel_out = (
                    coupler.mpm_solver.boundary.impose_pos_vel(place, velocity)
                )

    return cell_op


STANDING_BODIES = FastPath(
    _substeps,
    known={
        f"{_SOLVER}.substep_pre_coupling": "27c07e160cbb27ea",
        f"{_SOLVER}.substep_pre_coupling_grad": "4020b05861a896d5",
        f"{_SOLVER}.save_ckpt": "2e0d7372181dc0af",
        f"{_SOLVER}.load_ckpt": "a6738bc30236406b",
        f"{_SOLVER}.substep": "999c866f5f87c555",
    },
    needed=[],
    unsuited=other_matter,
    has_use=has_soft_body_alone,
)
FILLED_CELLS = FastPath(
    _cells,
    known={
        f"{_COUPLER}.couple_grad": "a14e8bbfbb83f2e4",
        f"{_COUPLER}.mpm_grid_op": "c053604872d42e98",
        f"{_MPM}.reset_grid_and_grad": "879a4672f9c2afac",
    },
    needed=[
        *("coupler._rigid_mpm", "coupler._func_collide_with_rigid", "coupler._func_mpm_tool"),
        *("mpm_solver._gravity", "mpm_solver._particle_volume_scale", "mpm_solver.grid.mass"),
    ],
    unsuited=other_matter,
    has_use=has_soft_body_alone,
)
