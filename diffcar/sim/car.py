"""The car in Genesis, differentiable or plain."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.geometry import ROAD_REACH, quaternion_from_yaw
from diffcar.base.registry import Registry
from diffcar.sim.actuation import joint_targets, servo_torques
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.genesis_scene import GenesisScene
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.sim.rolling import RollingCar
from diffcar.sim.video import ChaseCamera

__all__ = ["GenesisCar"]


class GenesisCar(GenesisScene[CarState], RollingCar):
    """Parallel cars on a plane in Genesis, at rest (see `CarScene` for the contract)."""

    def __init__(
        self,
        config: CarConfig,
        num_envs: int,
        *,
        differentiable: bool = False,
        vehicle: Vehicle | None = None,
        with_camera: bool = False,
        with_varied_mass: bool = False,
    ) -> None:
        vehicle = vehicle or car_of(config)
        config = suited(config, vehicle)
        # The default sizes every constraint array for 20 contacts a pair; the backward pass is 15
        # to 25 % faster with room for what the model's geometries can make.
        rigid = {"max_contacts": vehicle.max_contacts, "batch_links_info": with_varied_mass}
        view = (-1.2 * vehicle.size, -1.0 * vehicle.size, 0.8 * vehicle.size)
        with self._building(config, num_envs, differentiable, rigid=rigid, view=view) as scene:
            import genesis as gs

            road = gs.materials.Rigid(friction=vehicle.friction)
            # Beyond its plane, by default half a kilometre from the origin, cars touch nothing.
            ground = gs.morphs.Plane(plane_size=(2 * ROAD_REACH, 2 * ROAD_REACH))
            scene.add_entity(ground, material=road)
            # Left alone, Genesis gives joints without armature 0.1 kg m²: 39 kg a free wheel.
            model = gs.morphs.MJCF(file=str(vehicle.file), default_armature=None)
            self.entity = scene.add_entity(model)
            self.camera = ChaseCamera(scene, vehicle.size) if with_camera else None
        if self.scene.visualizer.viewer is not None:
            self.scene.visualizer.viewer.follow_entity(self.entity)
        self.dots: np.ndarray | None = None
        """World x, y [m] to be painted on the road where somebody looks, shape (N, 2)."""
        self.actuation: str = config.actuation
        self._find_joints(vehicle)
        self._servo_dofs = self.steering_dofs + self.driven_dofs
        self._mass_ratio = torch.ones_like(self.zeros(num_envs))
        self._mass_shift = self.zeros(num_envs)
        solver = self.scene.sim.rigid_solver
        own = solver.get_links_COM([self.entity.links[0].idx])
        self._mass_centre = own.reshape(-1, 3)[0].clone()
        self._varied: dict[str, Tensor] = {}
        self._force: Tensor | None = None
        self._is_held = False
        self._is_pushed = self._has_stepped = False
        self._set_servo_gains()
        self._settle()

    def reset(self, start: Placement | CarState) -> None:
        """Place the cars with their wheels rolling, or go on from a state; begins a new graph."""
        state = self.state_of(start) if isinstance(start, Placement) else start
        self._place(state.qpos.detach(), state.dofs_velocity.detach())

    def place(self, pose: Tensor, velocity: Tensor) -> None:
        """Place the cars anywhere, joints in their reference positions; differentiable.

        Args:
            pose: World x, y, z of the base's frame [m] and yaw [rad], shape (B, 4).
            velocity: Generalised velocities as the engine orders them, shape (B, 12).
        """
        position, quaternion = pose[:, :3].contiguous(), quaternion_from_yaw(pose[:, 3])
        joints = self.zeros(self.num_envs, self.entity.n_qs - 7)
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

    def restart(self, cars: Tensor, placement: Placement) -> None:
        """Place some of the cars of a plain scene afresh, as `reset` places all."""
        state = self.state_of(placement)
        with torch.no_grad():
            if self.variations is not self._varied:
                self._vary()
            self.entity.set_qpos(state.qpos, envs_idx=cars, zero_velocity=False)
            self.entity.set_dofs_velocity(state.dofs_velocity, envs_idx=cars)
        self._state = None

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
            SimulationError: In a differentiable scene, if it comes after steps without; zeros do.
        """
        if self.differentiable:
            if self._has_stepped and not self._is_pushed:
                raise SimulationError(
                    "differentiable cars are pushed from their first step on: the reverse pass "
                    "would replay steps before with this push",
                    hint="push them with zeros in the first step",
                )
            self._is_pushed = True
            self._push(force.to(self.device, self.dtype))
            return
        import genesis as gs

        forces = torch.nn.functional.pad(self.tensor(force.detach()), (0, 1))
        # Genesis clears it when all substeps are done.
        base = [self.entity.links[0].idx]
        self.scene.sim.rigid_solver.apply_links_external_wrench(
            force=forces[:, None], links_idx=base, ref=gs.link_ref_frame.link_COM
        )

    def step(self) -> None:
        """Advance all environments by `dt`."""
        if self._force is None and (self._is_held or self._is_pushed):
            self._push(self.zeros(self.num_envs, 2))
            self._is_held = False
        super().step()
        self._force, self._has_stepped = None, True

    def _push(self, force: Tensor) -> None:
        """Push the base of a differentiable car by its own dofs, which the reverse pass replays."""
        self._force = force if self._force is None else self._force + force
        (x, y), (ahead, left, up) = self._force.unbind(-1), self._mass_centre
        yaw, ahead = self.read().yaw, ahead + self._mass_shift
        arm_x = torch.cos(yaw) * ahead - torch.sin(yaw) * left
        arm_y = torch.sin(yaw) * ahead + torch.cos(yaw) * left
        wrench = torch.stack([x, y, 0 * x, -up * y, up * x, arm_x * y - arm_y * x], -1)
        with torch.no_grad():
            self.entity.control_dofs_force(wrench, list(range(6)))
        # Genesis holds a command until the next one.
        self._is_held = True

    def _settle(self, num_steps: int = 50) -> None:
        """Let the cars sink into the compliant contact and take their rest height from there."""
        with torch.no_grad():
            self.reset(Placement.at_origin(self.zeros(self.num_envs)))
            for _ in range(num_steps):
                self.step()
            self.rest_height = float(self.read().qpos[0, 2])

    def state_of(self, placement: Placement) -> CarState:
        """Return the state that cars have once they are placed so."""
        num_cars = len(placement.speed)
        qpos = self.zeros(num_cars, self.entity.n_qs)
        velocity = self.zeros(num_cars, self.entity.n_dofs)
        return self.describe(*self.rolling(placement, qpos, velocity))

    def _read(self) -> CarState:
        """Read the state from the solver."""
        if not self.differentiable:
            return self.describe(self.entity.get_qpos(), self.entity.get_dofs_velocity())
        state = self.scene.sim.rigid_solver.get_state()
        return self.describe(state.qpos, state.dofs_vel)

    def _place(self, qpos: Tensor, velocity: Tensor) -> None:
        """Set the whole state and forget what was controlled before."""
        with torch.no_grad():
            self._rewind()
            self._vary()
            self._force, self._is_pushed, self._has_stepped = None, False, False
            self.entity.set_qpos(qpos, zero_velocity=False)
            self.entity.set_dofs_velocity(velocity)
        if self.dots is not None:
            # The reset has wiped what was painted before it.
            dots = np.pad(self.dots, ((0, 0), (0, 1)))
            radius = 0.012 * self.vehicle.size
            self.scene.draw_debug_spheres(dots, radius=radius, color=(1.0, 0.8, 0.1, 1.0))

    def _vary(self) -> None:
        """Let the cars differ as they are to."""
        for name in dict.fromkeys((*_VARIATIONS, *self.variations)):
            _VARIATIONS[name](self, self.variations.get(name))
        self._varied = self.variations

    def _set_friction(self, ratio: Tensor | None) -> None:
        """Give road and wheels of each car another friction, until the next reset of the scene."""
        if ratio is not None:
            solver = self.scene.sim.rigid_solver
            of_geoms = ratio[:, None].expand(self.num_envs, solver.n_geoms)
            solver.set_geoms_friction_ratio(of_geoms.contiguous())

    def _set_mass(self, ratio: Tensor | None) -> None:
        """Give each car another mass, which a reset of the scene does not undo."""
        neutral = torch.ones_like(self._mass_ratio)
        ratio = neutral if ratio is None else ratio.to(neutral)
        if torch.equal(ratio, self._mass_ratio):
            return
        self.entity.set_mass(self._of_links(self.vehicle.mass * ratio))
        self._mass_ratio = ratio

    def _shift_mass(self, shift: Tensor | None) -> None:
        """Move the chassis's centre of mass forward [m], which a reset does not undo."""
        shift = torch.zeros_like(self._mass_shift) if shift is None else shift.to(self._mass_shift)
        if torch.equal(shift, self._mass_shift):
            return
        centre = torch.nn.functional.pad(shift[:, None], (0, 2)) + self._mass_centre
        self.entity.set_links_COM(self._of_links(centre)[..., None, :], [0])
        self._mass_shift = shift

    def _of_links(self, values: Tensor) -> Tensor:
        """Return what Genesis takes for its links: of every car, or of all where they are alike."""
        if self.scene.sim.rigid_solver.is_links_info_batched:
            return values
        if torch.equal(values, values[:1].expand_as(values)):
            return values[0]
        raise SimulationError(
            "this scene was built for cars of one mass",
            hint="build it with build_scene(..., with_varied_mass=True)",
        )

    def _dof(self, joint: str) -> int:
        """Return the local dof of a named hinge."""
        return int(self.entity.get_joint(joint).dofs_idx_local[0])

    def _set_servo_gains(self) -> None:
        """Give Genesis's servos the gains and limits of the model."""
        vehicle, entity = self.vehicle, self.entity
        none = [0.0] * len(vehicle.driven_joints)
        entity.set_dofs_kp([vehicle.steering_gain] * 2 + none, self._servo_dofs)
        entity.set_dofs_kv([0.0] * 2 + [*vehicle.drive_gains], self._servo_dofs)
        limits = self.tensor([vehicle.max_steering_torque] * 2 + [*vehicle.max_drive_torques])
        # As lists they would be broadcast by what takes torch a quarter of a second to load.
        entity.set_dofs_force_range(-limits, limits, self._servo_dofs)


_VARIATIONS: Registry[Callable[[GenesisCar, Tensor | None], None]] = Registry(
    "variation",
    {
        "mass_ratio": GenesisCar._set_mass,
        "mass_shift": GenesisCar._shift_mass,
        "friction_ratio": GenesisCar._set_friction,
    },
    error=SimulationError,
)
"""How each variation is applied when cars are placed; to None where the cars do not differ."""
