"""The reverse pass of links' centres of mass, written by hand.

From the poses of links and joints Genesis computes, for each tree of links, its centre of mass, the
links' inertias about it, and how each degree of freedom moves it. Its compiler differentiates that
with stacks whose sizes it finds anew at each launch, which takes longer than all the rest. What it
needs of the forward pass is still there, so no stack is needed.

Imported where it is used: it needs the compiler.
"""

import genesis as gs
import genesis.utils.array_class as array_class
import genesis.utils.geom as gu
import quadrants as qd

__all__ = ["reverse_centres_of_mass"]


@qd.func
def _rotation_adjoint(quat: qd.template(), columns: qd.template()):
    """Return the adjoint of a quaternion, given that of its rotation matrix."""
    adjoint = qd.Vector.zero(gs.qd_float, 4)
    for i in qd.static(range(3)):
        axis = qd.Vector.zero(gs.qd_float, 3)
        axis[i] = 1.0
        adjoint += gu.qd_transform_by_quat_grad_quat(axis, quat, columns[:, i])
    return adjoint


@qd.func
def _reverse_joints(
    i_l: int,
    i_b: int,
    dyn_state: array_class.DynState,
    dyn_info: array_class.DynInfo,
    rigid_config: qd.template(),
):
    """Hand on the adjoint of how a link's degrees of freedom move its tree's centre of mass.

    Returns that of the centre of mass.
    """
    link = [i_l, i_b] if qd.static(rigid_config.batch_links_info) else i_l
    centre = dyn_state.links.root_COM[i_l, i_b]
    of_centre = qd.Vector.zero(gs.qd_float, 3)
    for i_j in range(dyn_info.links.joint_start[link], dyn_info.links.joint_end[link]):
        joint = [i_j, i_b] if qd.static(rigid_config.batch_joints_info) else i_j
        joint_type = dyn_info.joints.type[joint]
        start = dyn_info.joints.dof_start[joint]
        offset = centre - dyn_state.joints.xanchor[i_j, i_b]
        of_offset = qd.Vector.zero(gs.qd_float, 3)
        if joint_type == gs.JOINT_TYPE.REVOLUTE:
            of_turn = dyn_state.dofs.cdof_ang.grad[start, i_b]
            of_motion = dyn_state.dofs.cdof_vel.grad[start, i_b]
            of_offset = of_motion.cross(dyn_state.joints.xaxis[i_j, i_b])
            dyn_state.joints.xaxis.grad[i_j, i_b] += of_turn + offset.cross(of_motion)
        elif joint_type == gs.JOINT_TYPE.PRISMATIC:
            dyn_state.joints.xaxis.grad[i_j, i_b] += dyn_state.dofs.cdof_vel.grad[start, i_b]
        elif joint_type == gs.JOINT_TYPE.SPHERICAL or joint_type == gs.JOINT_TYPE.FREE:
            if joint_type == gs.JOINT_TYPE.FREE:
                start += 3  # the first three do not depend on anything
            quat = dyn_state.links.quat[i_l, i_b]
            of_rotation = qd.Matrix.zero(gs.qd_float, 3, 3)
            for i in qd.static(range(3)):
                axis = qd.Vector.zero(gs.qd_float, 3)
                axis[i] = 1.0
                turned = gu.qd_transform_by_quat(axis, quat)
                of_motion = dyn_state.dofs.cdof_vel.grad[start + i, i_b]
                column = dyn_state.dofs.cdof_ang.grad[start + i, i_b] + offset.cross(of_motion)
                of_offset += of_motion.cross(turned)
                for k in qd.static(range(3)):
                    of_rotation[k, i] = column[k]
            dyn_state.links.quat.grad[i_l, i_b] += _rotation_adjoint(quat, of_rotation)
        dyn_state.joints.xanchor.grad[i_j, i_b] -= of_offset
        of_centre += of_offset
        for i_d in range(dyn_info.joints.dof_start[joint], dyn_info.joints.dof_end[joint]):
            dyn_state.dofs.cdof_ang.grad[i_d, i_b] = qd.Vector.zero(gs.qd_float, 3)
            dyn_state.dofs.cdof_vel.grad[i_d, i_b] = qd.Vector.zero(gs.qd_float, 3)
    return of_centre


@qd.func
def _reverse_inertia(
    i_l: int,
    i_b: int,
    dyn_state: array_class.DynState,
    dyn_info: array_class.DynInfo,
    rigid_info: array_class.RigidInfo,
    rigid_config: qd.template(),
):
    """Hand on the adjoint of a link's inertia about its tree's centre of mass.

    Returns that of where its own is from there; that of its inertial frame is added to what it has.
    """
    link = [i_l, i_b] if qd.static(rigid_config.batch_links_info) else i_l
    mass = dyn_info.links.inertial_mass[link]
    inertia = dyn_info.links.inertial_i[link]
    at, quat = dyn_state.links.i_pos[i_l, i_b], dyn_state.links.i_quat[i_l, i_b]
    rotation = gu.qd_quat_to_R(quat, rigid_info.EPS[None])
    given = dyn_state.links.cinr_inertial.grad[i_l, i_b]
    of_rotation = given @ rotation @ inertia.transpose() + given.transpose() @ rotation @ inertia
    # Of the parallel axes: mass times |x|² on the diagonal less x xᵀ.
    trace = given[0, 0] + given[1, 1] + given[2, 2]
    of_place = mass * (2.0 * trace * at - (given + given.transpose()) @ at)
    of_place += mass * dyn_state.links.cinr_pos.grad[i_l, i_b]
    of_place += dyn_state.links.i_pos.grad[i_l, i_b]
    dyn_state.links.i_quat.grad[i_l, i_b] += dyn_state.links.cinr_quat.grad[
        i_l, i_b
    ] + _rotation_adjoint(quat, of_rotation)
    dyn_state.links.cinr_inertial.grad[i_l, i_b] = qd.Matrix.zero(gs.qd_float, 3, 3)
    dyn_state.links.cinr_pos.grad[i_l, i_b] = qd.Vector.zero(gs.qd_float, 3)
    dyn_state.links.cinr_quat.grad[i_l, i_b] = qd.Vector.zero(gs.qd_float, 4)
    dyn_state.links.cinr_mass.grad[i_l, i_b] = 0.0
    dyn_state.links.i_pos.grad[i_l, i_b] = qd.Vector.zero(gs.qd_float, 3)
    return of_place


@qd.func
def _reverse_frame(
    i_l: int,
    i_b: int,
    of_place: qd.template(),
    dyn_state: array_class.DynState,
    dyn_info: array_class.DynInfo,
    rigid_config: qd.template(),
):
    """Hand on the adjoint of an inertial frame to that of the pose; quaternions are unit."""
    link = [i_l, i_b] if qd.static(rigid_config.batch_links_info) else i_l
    quat = dyn_state.links.quat[i_l, i_b]
    dyn_state.links.pos.grad[i_l, i_b] += of_place
    dyn_state.links.quat.grad[i_l, i_b] += gu.qd_transform_by_quat_grad_quat(
        dyn_info.links.inertial_pos[link], quat, of_place
    ) + gu.qd_quat_mul_grad_lhs(
        quat, dyn_info.links.inertial_quat[link], dyn_state.links.i_quat.grad[i_l, i_b]
    )
    dyn_state.links.i_quat.grad[i_l, i_b] = qd.Vector.zero(gs.qd_float, 4)
    dyn_state.links.i_pos_bw.grad[i_l, i_b] = qd.Vector.zero(gs.qd_float, 3)


@qd.kernel(fastcache=True)
def reverse_centres_of_mass(
    dyn_state: array_class.DynState,
    dyn_info: array_class.DynInfo,
    rigid_info: array_class.RigidInfo,
    rigid_config: qd.template(),
):
    """Add the adjoints of what `kernel_COM_links_replay` finds to those of poses, clearing them."""
    qd.loop_config(serialize=qd.static(rigid_config.para_level < gs.PARA_LEVEL.PARTIAL))
    for i_r, i_b in qd.ndrange(rigid_info.roots_link_idx.shape[0], dyn_state.links.pos.shape[1]):
        root = rigid_info.roots_link_idx[i_r]
        end = rigid_info.links_root_end[root]
        mass_sum = dyn_state.links.mass_sum[root, i_b]
        of_centre = qd.Vector.zero(gs.qd_float, 3)
        for i_l in range(root, end):
            link = [i_l, i_b] if qd.static(rigid_config.batch_links_info) else i_l
            if dyn_info.links.root_idx[link] == root:
                of_place = _reverse_inertia(i_l, i_b, dyn_state, dyn_info, rigid_info, rigid_config)
                of_centre += _reverse_joints(i_l, i_b, dyn_state, dyn_info, rigid_config)
                of_centre += dyn_state.links.root_COM.grad[i_l, i_b] - of_place
                dyn_state.links.root_COM.grad[i_l, i_b] = qd.Vector.zero(gs.qd_float, 3)
                dyn_state.links.i_pos_bw.grad[i_l, i_b] += of_place
        for i_l in range(root, end):
            link = [i_l, i_b] if qd.static(rigid_config.batch_links_info) else i_l
            if dyn_info.links.root_idx[link] == root:
                share = 0.0
                if mass_sum > rigid_info.EPS[None]:
                    share = dyn_info.links.inertial_mass[link] / mass_sum
                elif i_l == root:
                    share = 1.0
                _reverse_frame(
                    i_l,
                    i_b,
                    dyn_state.links.i_pos_bw.grad[i_l, i_b] + share * of_centre,
                    dyn_state,
                    dyn_info,
                    rigid_config,
                )
        dyn_state.links.root_COM_bw.grad[root, i_b] = qd.Vector.zero(gs.qd_float, 3)
