"""The adjoint of a neo-Hookean body's particles by hand: from the grid back to deformations.

Genesis derives it from the kernel that lays particles on the grid, through each of 27 cells with
all intermediate values; by hand, where a particle adds up what its cells ask for, it takes a
fifth of the time. And where Genesis differentiates it takes the singular values of all
deformations. Of these a neo-Hookean body needs the product alone, the determinant, as Genesis has
it where nothing is differentiated.

Source:
    C. Jiang, C. Schroeder, J. Teran, A. Stomakhin, A. Selle, "The material point method for
    simulating continuum materials", SIGGRAPH courses, 2016; Y. Hu et al., "A moving least squares
    material point method with displacement discontinuity and two-way rigid body coupling", ACM
    Transactions on Graphics 37, 2018.
"""

import functools
from collections.abc import Sequence
from typing import Any

from diffcar.sim.fast_paths.fast_path import FastPath, Replacement, view
from diffcar.sim.fast_paths.soft_body import has_soft_body_alone, other_matter

__all__ = ["ELASTICITY"]

_MPM = "genesis.engine.solvers.mpm_solver:MPMSolver"
_ELASTIC = "genesis.engine.materials.MPM.elastic:Elastic"
_MUSCLE = "genesis.engine.materials.MPM.muscle:Muscle"


def _replacements(sim: Any) -> Sequence[Replacement]:  # noqa: ANN401
    """Return what takes determinants, and the adjoint."""
    own = sim.mpm_solver
    (material,) = own._materials
    pull = getattr(material, "stiffness", 0.0)  # of muscles
    determine, go_back = _kernels()
    decompose, derived = own.svd, own.substep_pre_coupling_grad
    is_free = view(own.particles_info.free)  # particles may be held at any time

    def svd(solver: Any, f: int) -> None:  # noqa: ANN401
        if is_free.all():
            determine(solver, f)
        else:
            decompose(f)

    def substep_pre_coupling_grad(solver: Any, f: int) -> None:  # noqa: ANN401
        if is_free.all():
            go_back(solver, f, material.mu, material.lam, pull)
        else:
            derived(f)

    return [(own, "svd", svd), (own, "substep_pre_coupling_grad", substep_pre_coupling_grad)]


@functools.cache
def _kernels() -> tuple[Any, Any]:
    """Return both kernels; Genesis's compiler is imported when it is needed."""
    import genesis as gs
    import quadrants as qd

    @qd.kernel
    def determine(solver: qd.template(), f: qd.i32):
        """Leave each determinant where singular values are multiplied: as the first of them."""
        for i_p, i_b in qd.ndrange(solver._n_particles, solver._B):
            values = qd.Matrix.identity(gs.qd_float, 3)
            values[0, 0] = solver.particles[f, i_p, i_b].F_tmp.determinant()
            solver.particles[f, i_p, i_b].S = values

    @qd.kernel
    def go_back(solver: qd.template(), f: qd.i32, shear: qd.f64, bulk: qd.f64, pull: qd.f64):
        for i_p, i_b in qd.ndrange(solver._n_particles, solver._B):
            if solver.particles_ng[f, i_p, i_b].active:
                # What the particle brings to the grid, as `p2g` has it.
                mu, lam, stiffness = gs.qd_float(shear), gs.qd_float(bulk), gs.qd_float(pull)
                mass = solver.particles_info[i_p].mass
                momentum = mass * solver.particles[f, i_p, i_b].vel
                spread = solver.particles[f, i_p, i_b].C
                strain = solver.particles[f, i_p, i_b].F_tmp
                volume = strain.determinant()
                one = qd.Matrix.identity(gs.qd_float, 3)
                factor = -solver.substep_dt * solver._particle_volume * 4 * solver._inv_dx**2
                stress = mu * (strain @ strain.transpose()) + one * (lam * qd.log(volume) - mu)
                fibre = strain @ solver.particles_info[i_p].muscle_direction
                tension = stiffness * solver.particles[f, i_p, i_b].actu
                stress += tension * fibre.outer_product(fibre)
                affine = factor * stress + mass * spread
                place = solver.particles[f, i_p, i_b].pos * solver._inv_dx
                base = qd.floor(place - 0.5).cast(gs.qd_int)
                fx = place - base.cast(gs.qd_float)
                w = [0.5 * (1.5 - fx) ** 2, 0.75 - (fx - 1) ** 2, 0.5 * (fx - 0.5) ** 2]
                slope = [fx - 1.5, -2 * (fx - 1), fx - 0.5]
                # What each of its 27 cells asks for.
                by_affine = qd.Matrix.zero(gs.qd_float, 3, 3)
                by_momentum = qd.Vector.zero(gs.qd_float, 3)
                by_place = qd.Vector.zero(gs.qd_float, 3)
                for offset in qd.static(qd.grouped(solver.stencil_range())):
                    way = (offset.cast(gs.qd_float) - fx) * solver._dx
                    cell = base - solver._grid_offset + offset
                    asked = solver.grid.grad[f, cell, i_b].vel_in
                    x, y, z = w[offset[0]][0], w[offset[1]][1], w[offset[2]][2]
                    weight = x * y * z
                    by_momentum += weight * asked
                    by_affine += weight * asked.outer_product(way)
                    by_weight = asked.dot(momentum + affine @ way)
                    by_weight += mass * solver.grid.grad[f, cell, i_b].mass
                    by_place[0] += by_weight * slope[offset[0]][0] * y * z
                    by_place[1] += by_weight * x * slope[offset[1]][1] * z
                    by_place[2] += by_weight * x * y * slope[offset[2]][2]
                    by_place -= (weight * solver._dx) * (affine.transpose() @ asked)
                # Back through the stress, and through F_tmp = (1 + dt C) F, which is the next F.
                by_stress = factor * by_affine
                by_strain = solver.particles.grad[f, i_p, i_b].F_tmp
                by_strain += solver.particles.grad[f + 1, i_p, i_b].F
                both = by_stress + by_stress.transpose()
                by_strain += mu * both @ strain
                by_strain += tension * (both @ fibre).outer_product(
                    solver.particles_info[i_p].muscle_direction
                )
                by_strain += (lam * by_stress.trace()) * strain.inverse().transpose()
                before = solver.particles[f, i_p, i_b].F
                growth = one + solver.substep_dt * spread
                by_spread = mass * by_affine + solver.substep_dt * (by_strain @ before.transpose())
                solver.particles.grad[f, i_p, i_b].F += growth.transpose() @ by_strain
                solver.particles.grad[f, i_p, i_b].C += by_spread
                solver.particles.grad[f, i_p, i_b].vel += mass * by_momentum
                solver.particles.grad[f, i_p, i_b].pos += solver._inv_dx * by_place
                # Both are handed on as they are.
                later = solver.particles.grad[f + 1, i_p, i_b]
                by_actuation = later.actu + stiffness * fibre.dot(by_stress @ fibre)
                solver.particles.grad[f, i_p, i_b].Jp += later.Jp
                solver.particles.grad[f, i_p, i_b].actu += by_actuation

    return determine, go_back


def _has_use(sim: Any) -> bool:  # noqa: ANN401
    """Return whether there is one body, neo-Hookean, with muscles or without."""
    materials = getattr(sim.mpm_solver, "_materials", ()) if has_soft_body_alone(sim) else ()
    return len(materials) == 1 and all(
        type(own).__name__ in ("Elastic", "Muscle") and own.model == "neohooken"
        for own in materials
    )


ELASTICITY = FastPath(
    _replacements,
    known={
        f"{_MPM}.svd": "f10780e337447cb2",
        f"{_MPM}.p2g": "0d1b46e8be2c4775",
        f"{_MPM}.compute_F_tmp": "03b9b3cf3f921b12",
        f"{_MPM}.reset_grad_till_frame": "2ddf295b870409f2",
        f"{_MPM}.substep_pre_coupling": "92de8062249cefa3",
        f"{_MPM}.substep_pre_coupling_grad": "15e95e0207c76ccd",
        _ELASTIC: "a209babe3a03ca2f",
        _MUSCLE: "f5e21d7cbec87810",
    },
    needed=[
        "mpm_solver._materials",
        "mpm_solver._particle_volume",
        "mpm_solver._grid_offset",
        "mpm_solver.particles_info.free",
    ],
    unsuited=other_matter,
    has_use=_has_use,
)
