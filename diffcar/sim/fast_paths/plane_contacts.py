"""The reverse pass of contacts with planes, written by hand.

Imported where it is used: it needs the compiler.
"""

import genesis as gs
import genesis.utils.array_class as array_class
import genesis.utils.geom as gu
import quadrants as qd
from genesis.engine.solvers.rigid.collider.diff_gjk import func_plane_contact_frame

__all__ = ["reverse_plane_contacts"]


@qd.kernel(fastcache=True)
def reverse_plane_contacts(
    dyn_state: array_class.DynState,
    collider_state: array_class.ColliderState,
    dyn_info: array_class.DynInfo,
    rigid_config: qd.template(),
):
    """Add the adjoints of contacts with planes to those of the poses of both shapes.

    Of a sphere's lowest point v = centre + radius n, n the plane's normal, the depth is
    d = n · (v - plane) and the contact lies at v - d n / 2 (`func_differentiable_plane_contact`).
    """
    qd.loop_config(serialize=qd.static(rigid_config.para_level < gs.PARA_LEVEL.PARTIAL))
    for i_b in range(collider_state.n_contacts.shape[0]):
        for i_c in range(collider_state.n_contacts[i_b]):
            plane = collider_state.diff_contact_input.geom_a[i_b, i_c]
            other = collider_state.diff_contact_input.geom_b[i_b, i_c]
            core = collider_state.diff_contact_input.core_local[i_b, i_c]
            of_place = collider_state.contact_data.pos.grad[i_c, i_b]
            of_normal = collider_state.contact_data.normal.grad[i_c, i_b]
            of_depth = collider_state.contact_data.penetration.grad[i_c, i_b]

            normal, radius = func_plane_contact_frame(i_b, plane, other, dyn_state, dyn_info)
            quat = dyn_state.geoms.quat[other, i_b]
            centre = gu.qd_transform_by_trans_quat(core, dyn_state.geoms.pos[other, i_b], quat)
            height = centre + radius * normal - dyn_state.geoms.pos[plane, i_b]
            of_depth -= 0.5 * of_place.dot(normal)
            of_point = of_place + of_depth * normal
            of_normal += of_depth * height - 0.5 * normal.dot(height) * of_place + radius * of_point
            dyn_state.geoms.pos.grad[other, i_b] += of_point
            dyn_state.geoms.quat.grad[other, i_b] += gu.qd_transform_by_quat_grad_quat(
                core, quat, of_point
            )

            # The normal is a direction of the plane's, turned with it and made as long as 1.
            data = dyn_info.geoms.data[plane]
            axis = gs.qd_vec3(data[0], data[1], data[2])
            quat = dyn_state.geoms.quat[plane, i_b]
            of_axis = (normal.dot(of_normal) * normal - of_normal) / gu.qd_transform_by_quat(
                axis, quat
            ).norm()
            dyn_state.geoms.pos.grad[plane, i_b] -= of_depth * normal
            dyn_state.geoms.quat.grad[plane, i_b] += gu.qd_transform_by_quat_grad_quat(
                axis, quat, of_axis
            )
