"""The second half of the constraint solver's reverse pass, written by hand.

Imported where it is used: it needs the compiler.
"""

import genesis as gs
import genesis.utils.array_class as array_class
import quadrants as qd

__all__ = ["reverse_solver"]


@qd.kernel(fastcache=True)
def reverse_solver(
    constraint_state: array_class.ConstraintState,
    rigid_info: array_class.RigidInfo,
    rigid_config: qd.template(),
):
    """Write what `kernel_compute_gradients` does, for the rows in use alone.

    Rows beyond those keep what they have; nothing reads them.
    """
    num_dofs = constraint_state.bw_u.shape[0]
    qd.loop_config(serialize=qd.static(rigid_config.para_level < gs.PARA_LEVEL.PARTIAL))
    for i_b in range(constraint_state.bw_u.shape[1]):
        for i_c in range(constraint_state.n_constraints[i_b]):
            along, residual, weight = gs.qd_float(0.0), gs.qd_float(0.0), gs.qd_float(0.0)
            if constraint_state.active[i_c, i_b] != 0:
                weight = constraint_state.efc_D[i_c, i_b]
                residual = -constraint_state.aref[i_c, i_b]
                for k in range(constraint_state.jac_n_dofs[i_c, i_b]):
                    i_d = constraint_state.jac_dofs_idx[i_c, k, i_b]
                    slope = constraint_state.jac[i_c, i_d, i_b]
                    along += slope * constraint_state.bw_u[i_d, i_b]
                    residual += slope * constraint_state.qacc[i_d, i_b]
            constraint_state.dL_daref[i_c, i_b] = weight * along
            constraint_state.dL_defc_D[i_c, i_b] = -along * residual
            for i_d in range(num_dofs):
                constraint_state.dL_djac[i_c, i_d, i_b] = 0.0
            for k in range(constraint_state.jac_n_dofs[i_c, i_b]):
                i_d = constraint_state.jac_dofs_idx[i_c, k, i_b]
                constraint_state.dL_djac[i_c, i_d, i_b] = -weight * (
                    constraint_state.bw_u[i_d, i_b] * residual
                    + constraint_state.qacc[i_d, i_b] * along
                )
        for i in range(num_dofs):
            constraint_state.dL_dforce[i, i_b] = constraint_state.bw_u[i, i_b]
            # Off the blocks of the mass matrix, which stay what they are, it stays 0 as allocated.
            for j in range(rigid_info.dofs_mass_block_start[i], rigid_info.dofs_mass_block_end[i]):
                constraint_state.dL_dM[i, j, i_b] = -0.5 * (
                    constraint_state.bw_u[i, i_b] * constraint_state.qacc[j, i_b]
                    + constraint_state.bw_u[j, i_b] * constraint_state.qacc[i, i_b]
                )
