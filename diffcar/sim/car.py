"""The car in Genesis, differentiable or plain."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.geometry import quaternion_from_yaw, rotate_into_body, yaw_from_quaternion
from diffcar.sim.actuation import joint_targets, servo_torques
from diffcar.sim.backend import reset_scene, translated_errors
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.model.vehicle import Vehicle
from diffcar.sim.video import ChaseCamera

if TYPE_CHECKING:
    from genesis import Scene
    from genesis.engine.entities import RigidEntity

__all__ = ["GenesisCar"]


class GenesisCar:
    """Parallel cars on a plane in a built Genesis scene (see `CarScene` for the contract).

    Args:
        scene: The built scene.
        entity: The car in it.
        vehicle: The car's parameters.
        num_envs: Number of parallel environments.
        actuation: `torque` for servo loops in torch, `pd` for Genesis's own servos.
        camera: What films the scene, if anything does.
    """

    def __init__(
        self,
        scene: "Scene",
        entity: "RigidEntity",
        vehicle: Vehicle,
        *,
        num_envs: int,
        actuation: str,
        camera: ChaseCamera | None = None,
    ) -> None:
        import genesis as gs

        self.scene = scene
        self.entity = entity
        self.vehicle = vehicle
        self.num_envs = num_envs
        self.actuation = actuation
        self.camera = camera
        self.dt = float(scene.sim.dt)
        self.dtype: torch.dtype = gs.tc_float
        self.device: torch.device = gs.device
        self.differentiable = bool(scene.requires_grad)
        self.rest_height = vehicle.base_height
        self.steering_dofs = self._dofs(vehicle.steering_joints)
        self.wheel_dofs = self._dofs(vehicle.wheel_joints)
        self.driven_dofs = self._dofs(vehicle.driven_joints)
        self._servo_dofs = self.steering_dofs + self.driven_dofs
        self._state: CarState | None = None
        self._is_taped = True
        self.last_command: dict[str, Tensor] = {}
        self.variations: dict[str, Tensor] = {}
        self._mass_ratio = torch.ones(num_envs, dtype=self.dtype, device=self.device)
        self._set_servo_gains()

    def reset(self, start: Placement | CarState) -> None:
        """Place the cars with their wheels rolling, or go on from a state; begins a new graph."""
        state = self.state_of(start) if isinstance(start, Placement) else start
        self._place(state.qpos.detach(), state.dofs_velocity.detach())

    def place(self, pose: Tensor, velocity: Tensor) -> None:
        """Place the cars anywhere, differentiably; begins a new graph.

        Args:
            pose: World x, y, z of the base's frame [m] and yaw [rad], shape (B, 4); the joints are
                in their reference positions.
            velocity: Generalised velocities as the engine orders them, shape (B, 12).
        """
        position, quaternion = pose[:, :3].contiguous(), quaternion_from_yaw(pose[:, 3])
        joints = torch.zeros(
            self.num_envs, self.entity.n_qs - 7, dtype=self.dtype, device=self.device
        )
        qpos = torch.cat([position, quaternion, joints], -1)
        self._place(qpos.detach(), velocity.detach())
        if self.differentiable:
            # Only these writes have an input gradient; the tape keeps the tensors (see `apply`).
            with torch.no_grad():
                self.entity.set_pos(position, zero_velocity=False, relative=False)
                self.entity.set_quat(quaternion, zero_velocity=False, relative=False)
                self.entity.set_dofs_velocity(velocity)
        # Genesis puts its inputs on the graph with the next step, so a read before it would not
        # depend on them; but what it would say is known.
        self._state = self.describe(qpos, velocity)

    def restart(self, cars: Tensor, start: Placement) -> None:
        """Place some of the cars of a plain scene afresh, as `reset` places all.

        Args:
            cars: Their indices, shape (K,).
            start: Where they begin, each field with K entries.
        """
        state = self.state_of(start)
        with torch.no_grad():
            self.entity.set_qpos(state.qpos, envs_idx=cars, zero_velocity=False)
            self.entity.set_dofs_velocity(state.dofs_velocity, envs_idx=cars)
        self._state = None

    def read(self) -> CarState:
        """Return the present state; repeated reads between steps cost nothing."""
        if self._state is None:
            self._state = self._read()
        return self._state

    def apply(self, action: Tensor) -> None:
        """Command steering angle [rad] and speed [m/s], shape (B, 2), for the next step."""
        targets = joint_targets(action, self.vehicle)
        if self.actuation == "pd":
            # The tape keeps these very tensors, so their gradient flows although nothing is
            # recorded here (see sim/repairs/control_tape.py).
            with torch.no_grad():
                self.entity.control_dofs_position(targets.steering_angles, self.steering_dofs)
                self.entity.control_dofs_velocity(targets.wheel_speeds, self.driven_dofs)
            self.last_command = {
                "command: steering targets": targets.steering_angles,
                "command: wheel speed targets": targets.wheel_speeds,
            }
        else:
            torques = servo_torques(targets, self.read(), self.vehicle)
            with torch.no_grad():
                self.entity.control_dofs_force(torques, self._servo_dofs)
            self.last_command = {"command: joint torques": torques}

    def apply_force(self, force: Tensor) -> None:
        """Push the base's centre of mass with a horizontal force [N], shape (B, 2), for a step.

        Raises:
            SimulationError: In a differentiable scene, whose reverse pass would not know of it.
        """
        if self.differentiable:
            raise SimulationError(
                "a differentiable scene cannot be pushed: its gradient would leave the push out",
                hint="push the cars of a plain scene",
            )
        import genesis as gs

        forces = torch.nn.functional.pad(force.detach().to(self._mass_ratio), (0, 1))
        # Genesis clears it when all substeps are done.
        self.scene.sim.rigid_solver.apply_links_external_wrench(
            force=forces[:, None],
            links_idx=[self.entity.links[0].idx],
            ref=gs.link_ref_frame.link_COM,
        )

    def step(self) -> None:
        """Advance all cars by `dt`."""
        with translated_errors():
            self.scene.step()
        self._is_taped &= torch.is_grad_enabled()
        self._state = None

    def backward(self, loss: Tensor) -> None:
        """Backpropagate through the steps since the last reset; rewinds the simulator.

        Raises:
            SimulationError: If Genesis meets a gradient that is not a number.
        """
        with translated_errors():
            loss.backward()

    def settle(self, num_steps: int = 50) -> None:
        """Let the cars sink into the compliant contact and take their rest height from there."""
        zeros = torch.zeros(self.num_envs, dtype=self.dtype, device=self.device)
        with torch.no_grad():
            self.reset(Placement(torch.stack([zeros, zeros], -1), zeros, zeros, zeros))
            for _ in range(num_steps):
                self.step()
            self.rest_height = float(self.read().qpos[0, 2])

    def state_of(self, start: Placement) -> CarState:
        """Return the state that cars have once they are placed so."""
        num_cars = len(start.speed)
        qpos = torch.zeros(num_cars, self.entity.n_qs, dtype=self.dtype, device=self.device)
        qpos[:, :2] = start.position
        qpos[:, 2] = self.rest_height
        qpos[:, 3:7] = quaternion_from_yaw(start.yaw)
        velocity = torch.zeros(num_cars, self.entity.n_dofs, dtype=self.dtype, device=self.device)
        velocity[:, 0] = start.speed * torch.cos(start.yaw)
        velocity[:, 1] = start.speed * torch.sin(start.yaw)
        velocity[:, 5] = start.yaw_rate
        velocity[:, self.wheel_dofs] = (start.speed / self.vehicle.wheel_radius)[:, None]
        return self.describe(qpos, velocity)

    def _place(self, qpos: Tensor, velocity: Tensor) -> None:
        """Set the whole state and forget what was controlled before."""
        with torch.no_grad():
            reset_scene(self.scene)
            self._scale_masses()
            self.entity.set_qpos(qpos, zero_velocity=False)
            self.entity.set_dofs_velocity(velocity)
            if (friction := self.variations.get("friction_ratio")) is not None:
                solver = self.scene.sim.rigid_solver
                ratio = friction[:, None].expand(self.num_envs, solver.n_geoms)
                solver.set_geoms_friction_ratio(ratio.contiguous())
        self._is_taped = True
        self._state = None

    def _scale_masses(self) -> None:
        """Give the cars the masses asked for, which a reset of the scene does not undo."""
        ratio = torch.ones_like(self._mass_ratio)
        if (varied := self.variations.get("mass_ratio")) is not None:
            ratio = varied.to(ratio)
        if torch.equal(ratio, self._mass_ratio):
            return
        if self.scene.sim.rigid_solver.is_links_info_batched:
            self.entity.set_mass(self.vehicle.mass * ratio)
        elif torch.equal(ratio, ratio[:1].expand_as(ratio)):
            self.entity.set_mass(self.vehicle.mass * float(ratio[0]))
        else:
            raise SimulationError(
                "this scene was built for cars of one mass",
                hint="build it with build_scene(..., with_varied_mass=True)",
            )
        self._mass_ratio = ratio

    def _read(self) -> CarState:
        """Read the state from the solver."""
        if self.differentiable:
            # After a step that was not taped there is no graph that a read could join.
            with torch.set_grad_enabled(torch.is_grad_enabled() and self._is_taped):
                state = self.scene.sim.rigid_solver.get_state()
            qpos, velocity = state.qpos, state.dofs_vel
        else:
            qpos, velocity = self.entity.get_qpos(), self.entity.get_dofs_velocity()
        return self.describe(qpos, velocity)

    def describe(self, qpos: Tensor, velocity: Tensor) -> CarState:
        """Return what generalised positions and velocities mean for a car."""
        yaw = yaw_from_quaternion(qpos[:, 3:7])
        forward, left = rotate_into_body(velocity[:, :2], yaw)
        return CarState(
            position=qpos[:, :2],
            yaw=yaw,
            speed=forward,
            lateral_velocity=left,
            yaw_rate=velocity[:, 5],
            steering_angles=torch.stack([qpos[:, dof + 1] for dof in self.steering_dofs], -1),
            wheel_speeds=torch.stack([velocity[:, dof] for dof in self.driven_dofs], -1),
            qpos=qpos,
            dofs_velocity=velocity,
        )

    def _dofs(self, joints: tuple[str, ...]) -> list[int]:
        """Return the local dof of each named hinge (its qpos is one further: the quaternion)."""
        return [int(self.entity.get_joint(name).dofs_idx_local[0]) for name in joints]

    def _set_servo_gains(self) -> None:
        """Give Genesis's servos the gains and limits of the model."""
        vehicle, entity = self.vehicle, self.entity
        gains: dict[str, Any] = {
            "kp": [vehicle.steering_gain] * 2 + [0.0] * 2,
            "kv": [0.0] * 2 + [vehicle.drive_gain] * 2,
        }
        entity.set_dofs_kp(gains["kp"], self._servo_dofs)
        entity.set_dofs_kv(gains["kv"], self._servo_dofs)
        limits = [vehicle.max_steering_torque] * 2 + [vehicle.max_drive_torque] * 2
        entity.set_dofs_force_range([-limit for limit in limits], limits, self._servo_dofs)
