"""Makes the gradient of corotated elastic bodies right.

Fault of Genesis 1.4.5: the adjoint of the singular value decomposition F = U S V^T divides by
s_j² - s_i², which it keeps above 1e-6 in size. In a body at rest all singular values are one, so
the quotient is cut to nothing there, and with it the derivative of the rotation U V^T that
corotated stress is measured from. Gradients through undeformed or little deformed parts are wrong,
those by particle velocities by 2 % to a factor of 3, and nothing warns.

With a and b the antisymmetric parts of U^T dU and V^T dV (the adjoints'), the entry is

    (a s_j + b s_i) / (s_j² - s_i²) = (a - b) / 2 / (s_i + s_j) + (a + b) / 2 / (s_j - s_i).

The first term is that of the rotation and regular for all deformations that do not crush a
particle; the second vanishes for every stress that depends on U and V through U V^T alone. Split
in this way only the second needs the bound.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diffcar.sim.upstream import is_as_known, lacking, refuse_lacking

if TYPE_CHECKING:
    from genesis.engine.solvers.mpm_solver import MPMSolver

__all__ = ["repair_svd_adjoint"]

# Of backward_svd in genesis-world 1.4.5.
_KNOWN_ADJOINT = "626f0c8928955f92"
_NEEDED = ("svd_grad", "particles", "particles_ng", "_n_particles", "_B")


def repair_svd_adjoint(solver: "MPMSolver") -> bool:
    """Repair the adjoint of the singular value decomposition in a built differentiable scene.

    Returns whether it was; not, with a warning, if Genesis computes it otherwise by now, and raises
    if this Genesis lacks what the repair rests on.
    """
    from genesis.engine.solvers import mpm_solver

    missing = [*lacking(solver, _NEEDED), *lacking(mpm_solver, ["backward_svd"])]
    refuse_lacking(missing, " in its MPM solver")
    if not is_as_known(mpm_solver.backward_svd, _KNOWN_ADJOINT, repair="corotated stress"):
        return False
    kernel = _svd_grad_kernel()
    solver.svd_grad = lambda frame: kernel(solver, frame)
    return True


@functools.cache
def _svd_grad_kernel() -> Callable[..., Any]:
    """Return the kernel; Genesis's compiler must not be imported before it is needed."""
    import genesis as gs
    import quadrants as qd

    @qd.kernel
    def svd_grad(solver: qd.template(), f: qd.i32):  # type: ignore[valid-type,no-untyped-def]  # noqa: ANN202
        for i_p, i_b in qd.ndrange(solver._n_particles, solver._B):
            if solver.particles_ng[f, i_p, i_b].active:
                u = solver.particles[f, i_p, i_b].U
                s = solver.particles[f, i_p, i_b].S
                v = solver.particles[f, i_p, i_b].V
                grad_u = solver.particles.grad[f, i_p, i_b].U
                grad_v = solver.particles.grad[f, i_p, i_b].V
                a = u.transpose() @ grad_u - grad_u.transpose() @ u
                b = v.transpose() @ grad_v - grad_v.transpose() @ v
                inner = solver.particles.grad[f, i_p, i_b].S
                for i, j in qd.static(qd.ndrange(3, 3)):
                    if qd.static(i != j):
                        total = qd.max(s[i, i] + s[j, j], gs.qd_float(1e-6))
                        gap = s[j, j] - s[i, i]
                        sign = qd.select(gap >= 0, gs.qd_float(1.0), gs.qd_float(-1.0))
                        inner[i, j] += (a[i, j] - b[i, j]) / (2 * total) + (a[i, j] + b[i, j]) / (
                            2 * sign * qd.max(qd.abs(gap), gs.qd_float(1e-6))
                        )
                solver.particles.grad[f, i_p, i_b].F_tmp += u @ inner @ v.transpose()

    return svd_grad
