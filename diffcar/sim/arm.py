"""The Franka arm in Genesis, differentiable or plain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.sim.config import ArmConfig
from diffcar.sim.genesis_scene import GenesisScene
from diffcar.sim.video import FixedCamera

__all__ = ["ON_GROUND", "ArmState", "GenesisArm"]

NUM_ARM_JOINTS = 7

_HOME = (0.0, -0.3, 0.0, -2.2, 0.0, 2.0, 0.785)
"""Joint angles with the hand in front of the arm, half a metre high, pointing down [rad]."""

ON_GROUND = (0.0, 0.535, 0.0, -2.342, 0.0, 2.878, 0.785)
"""Joint angles that would put the fingertips a few millimetres into the ground [rad]."""

_FINGER_GAP = 0.02
# Stiffness [N m/rad], damping [N m s/rad] and force limits [N m] of the joints, as in Genesis's own
# Franka examples; fingers in N/m, N s/m and N.
_STIFFNESS = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0, 100.0, 100.0)
_DAMPING = (450.0, 450.0, 350.0, 350.0, 200.0, 200.0, 200.0, 10.0, 10.0)
_FORCE_LIMITS = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0, 100.0, 100.0)


@dataclass(frozen=True)
class ArmState:
    """What an arm reports after a step."""

    joint_angles: Tensor
    """The seven joints of the arm [rad], shape (B, 7)."""
    joint_velocities: Tensor
    """Their velocities [rad/s], shape (B, 7)."""
    hand_position: Tensor
    """World position of the hand's frame [m], shape (B, 3)."""
    qpos: Tensor
    """All generalised positions, fingers last, shape (B, 9)."""
    dofs_velocity: Tensor
    """All generalised velocities, shape (B, 9)."""


class GenesisArm(GenesisScene[ArmState]):
    """Parallel Franka arms in Genesis, not yet reset."""

    def __init__(
        self,
        config: ArmConfig,
        num_envs: int,
        *,
        differentiable: bool = False,
        with_camera: bool = False,
        with_ground: bool = False,
    ) -> None:
        # One contact point a pair of bodies: those that Genesis finds besides, by tilting the
        # bodies, depend on the pose in ways that its reverse pass leaves out, and made gradients of
        # a hand flat on the ground wrong by up to four percent.
        rigid = {"enable_multi_contact": False}
        with self._building(config, num_envs, differentiable, rigid=rigid) as scene:
            import genesis as gs

            if with_ground:
                scene.add_entity(gs.morphs.Plane())
            model = gs.morphs.MJCF(file="xml/franka_emika_panda/panda.xml")  # Genesis's own
            self.entity = entity = scene.add_entity(model)
            self.camera = FixedCamera(scene) if with_camera else None
        self.home = self.tensor(_HOME)
        self._joints = list(range(NUM_ARM_JOINTS))
        self._fingers = list(range(NUM_ARM_JOINTS, entity.n_dofs))
        self._hand = int(entity.get_link("hand").idx)
        entity.set_dofs_kp(_STIFFNESS)
        entity.set_dofs_kv(_DAMPING)
        limits = self.tensor(_FORCE_LIMITS)
        entity.set_dofs_force_range(-limits, limits)
        low, high = (limit.reshape(-1, entity.n_dofs)[0] for limit in entity.get_dofs_limit())
        self.joint_limits: tuple[Tensor, Tensor] = low[:NUM_ARM_JOINTS], high[:NUM_ARM_JOINTS]
        """Lowest and highest angle of each joint [rad], shape (7,) each."""

    def reset(self, joint_angles: Tensor) -> None:
        """Place the arms at rest, fingers a little open; begins a new graph.

        `joint_angles` are of the seven joints [rad], shape (7,) or (B, 7).
        """
        angles = joint_angles.expand(self.num_envs, NUM_ARM_JOINTS)
        fingers = torch.full_like(angles[:, :2], _FINGER_GAP)
        qpos = torch.cat([angles, fingers], dim=-1)
        self._place(qpos, torch.zeros_like(qpos))

    def resume(self, state: ArmState) -> None:
        """Continue from the values of a state read earlier; begins a new graph."""
        self._place(state.qpos.detach(), state.dofs_velocity.detach())

    def apply_targets(self, joint_angles: Tensor) -> None:
        """Hand joint angles [rad], shape (B, 7), to Genesis's position servos."""
        # The tape keeps this very tensor, so its gradient flows although nothing is recorded here
        # (see sim/repairs/control_tape.py).
        with torch.no_grad():
            self.entity.control_dofs_position(joint_angles, self._joints)
        self.last_command = {"command: joint targets": joint_angles}

    def apply_torques(self, torques: Tensor) -> None:
        """Command joint torques [N m], shape (B, 7)."""
        with torch.no_grad():
            self.entity.control_dofs_force(torques, self._joints)
        self.last_command = {"command: joint torques": torques}

    def servo_torques(self) -> Tensor:
        """Return what the position servos give at present [N m], shape (B, 7), off the graph."""
        return self.entity.get_dofs_control_force()[:, : len(self._joints)].clone()

    def is_touching(self) -> Tensor:
        """Return whether contact pushes on any part of each arm, shape (B,)."""
        with torch.no_grad():
            forces = self.entity.get_links_net_contact_force()
        return (forces.norm(dim=-1) > 0).any(-1)

    def _place(self, qpos: Tensor, velocity: Tensor) -> None:
        """Set the whole state, forget what was controlled before, hold the fingers still."""
        with torch.no_grad():
            self._rewind()
            self.entity.set_qpos(qpos, zero_velocity=False)
            self.entity.set_dofs_velocity(velocity)
            self.entity.control_dofs_position(
                torch.full_like(qpos[:, NUM_ARM_JOINTS:], _FINGER_GAP), self._fingers
            )

    def _read(self) -> ArmState:
        """Read the state from the solver."""
        if self.differentiable:
            state = self.scene.sim.rigid_solver.get_state()
            first_q, first_dof = self.entity.q_start, self.entity.dof_start
            qpos = state.qpos[:, first_q : first_q + self.entity.n_qs]
            velocity = state.dofs_vel[:, first_dof : first_dof + self.entity.n_dofs]
            hand = state.links_pos[:, self._hand]
        else:
            qpos, velocity = self.entity.get_qpos(), self.entity.get_dofs_velocity()
            hand = self.entity.get_links_pos()[:, self._hand - self.entity.link_start]
        return ArmState(
            joint_angles=qpos[:, :NUM_ARM_JOINTS],
            joint_velocities=velocity[:, :NUM_ARM_JOINTS],
            hand_position=hand,
            qpos=qpos,
            dofs_velocity=velocity,
        )
