"""The car in MuJoCo: the same model in another engine, without gradients."""

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.geometry import quaternion_from_yaw, rotate_into_body, yaw_from_quaternion
from diffcar.sim.actuation import joint_targets, servo_torques
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.model.model_file import quiet_mujoco
from diffcar.sim.model.vehicle import Vehicle

if TYPE_CHECKING:
    import mujoco

__all__ = ["MuJoCoCar"]

_ROAD = "diffcar road"
# How fast contacts and joint limits yield where a model does not say [s].
_MUJOCO_TIME_CONSTANT, _GENESIS_TIME_CONSTANT = 0.02, 0.01


class MuJoCoCar:
    """Parallel cars on a plane in MuJoCo (see `CarScene` for the contract).

    Computes in float64 on the CPU; what it reports is no part of a graph.

    Args:
        vehicle: The car's parameters; its file is loaded.
        num_envs: Number of cars.
        dt: Control interval [s].
        substeps: Physics steps in it.
        actuation: `torque` for servo loops in torch, `pd` for the servos of the model.
        dtype: Precision of what is reported.
    """

    def __init__(
        self,
        vehicle: Vehicle,
        *,
        num_envs: int,
        dt: float,
        substeps: int,
        actuation: str,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        import mujoco

        self.vehicle = vehicle
        self.num_envs = num_envs
        self.dt = dt
        self.actuation = actuation
        self.dtype = dtype
        self.device = torch.device("cpu")
        self.rest_height = vehicle.base_height
        self.variations: dict[str, Tensor] = {}
        self._substeps = substeps
        self._model = _compile_on_plane(vehicle, dt / substeps, with_servos=actuation == "pd")
        self._models = [self._model] * num_envs
        self._cars = [mujoco.MjData(self._model) for _ in range(num_envs)]
        self._ratios = torch.ones(2, num_envs, dtype=torch.float64)
        joints = [self._model.joint(name) for name in vehicle.steering_joints]
        self._base = int(self._model.body_rootid[joints[0].bodyid[0]])
        self._steering_dofs = self._dofs(vehicle.steering_joints)
        self._wheel_dofs = self._dofs(vehicle.wheel_joints)
        self._driven_dofs = self._dofs(vehicle.driven_joints)
        servo_joints = vehicle.steering_joints + vehicle.driven_joints
        self._servo_dofs = self._dofs(servo_joints)
        self._servos = [_servo_on(self._model, name) for name in servo_joints]
        self._state: CarState | None = None
        self._is_pushed = False
        self._settle()

    def reset(self, start: Placement | CarState) -> None:
        """Place the cars on the road with their wheels rolling, or go on from a state."""
        if isinstance(start, Placement):
            self._place(*self._rolling(start))
        else:
            self._place(start.qpos, start.dofs_velocity)

    def restart(self, cars: Tensor, placement: Placement) -> None:
        """Place some of the cars afresh, as `reset` places all."""
        rows = zip(*(part.numpy() for part in self._rolling(placement)), strict=True)
        for index, (position, rate) in zip(cars.tolist(), rows, strict=True):
            self._place_one(index, position, rate)
        self._state = None

    def state_of(self, placement: Placement) -> CarState:
        """Return the state that cars have once they are placed so."""
        qpos, velocity = self._rolling(placement)
        return self._describe(qpos.to(self.dtype), velocity.to(self.dtype))

    def _rolling(self, start: Placement) -> tuple[Tensor, Tensor]:
        """Return generalised positions and velocities of cars whose wheels roll, in float64."""
        num_cars = len(start.speed)
        qpos = torch.zeros(num_cars, self._model.nq, dtype=torch.float64)
        qpos[:, :2] = start.position
        qpos[:, 2] = self.rest_height
        qpos[:, 3:7] = quaternion_from_yaw(start.yaw)
        velocity = torch.zeros(num_cars, self._model.nv, dtype=torch.float64)
        velocity[:, 0] = start.speed * torch.cos(start.yaw)
        velocity[:, 1] = start.speed * torch.sin(start.yaw)
        velocity[:, 5] = start.yaw_rate
        velocity[:, self._wheel_dofs] = (start.speed / self.vehicle.wheel_radius)[:, None].double()
        return qpos, velocity

    def read(self) -> CarState:
        """Return the present state; repeated reads between steps cost nothing."""
        if self._state is None:
            qpos = torch.from_numpy(np.stack([car.qpos for car in self._cars]))
            velocity = torch.from_numpy(np.stack([car.qvel for car in self._cars]))
            self._state = self._describe(qpos.to(self.dtype), velocity.to(self.dtype))
        return self._state

    def apply(self, action: Tensor) -> None:
        """Command steering angle [rad] and speed [m/s], shape (B, 2), for the next step.

        Raises:
            SimulationError: If a command is not finite, which MuJoCo's servos would take for zero.
        """
        if not bool(torch.isfinite(action).all()):
            raise SimulationError(
                "a command to a car is not finite",
                hint="either the controller is damaged, or the car's state is no longer finite: "
                "use more substeps or a smaller dt",
            )
        targets = joint_targets(action.detach(), self.vehicle)
        if self.actuation == "pd":
            commands = torch.cat([targets.steering_angles, targets.wheel_speeds], dim=-1)
            for car, command in zip(self._cars, commands.double().numpy(), strict=True):
                car.ctrl[self._servos] = command
        else:
            torques = servo_torques(targets, self.read(), self.vehicle)
            for car, torque in zip(self._cars, torques.double().numpy(), strict=True):
                car.qfrc_applied[self._servo_dofs] = torque

    def apply_force(self, force: Tensor) -> None:
        """Push the base's centre of mass with a horizontal force [N], shape (B, 2), for a step."""
        for car, newtons in zip(self._cars, force.detach().double().numpy(), strict=True):
            car.xfrc_applied[self._base, :2] += newtons
        self._is_pushed = True

    def step(self) -> None:
        """Advance all cars by `dt`."""
        import mujoco

        # Of a car that diverges, its state says enough.
        with quiet_mujoco():
            for model, car in zip(self._models, self._cars, strict=True):
                mujoco.mj_step(model, car, self._substeps)
        if self._is_pushed:
            for car in self._cars:
                car.xfrc_applied[self._base] = 0.0
            self._is_pushed = False
        self._state = None

    def _settle(self, num_steps: int = 50) -> None:
        """Let the cars sink into the compliant contact and take their rest height from there."""
        zeros = torch.zeros(self.num_envs, dtype=torch.float64)
        start = Placement(torch.stack([zeros, zeros], -1), zeros, zeros, zeros)
        self.reset(start)
        for _ in range(num_steps):
            self.step()
        self.rest_height = float(self._cars[0].qpos[2])
        self.reset(start)

    def _place(self, qpos: Tensor, velocity: Tensor) -> None:
        """Set the whole state and forget what acted before."""
        self._vary_models()
        rows = zip(qpos.double().numpy(), velocity.double().numpy(), strict=True)
        for index, (position, rate) in enumerate(rows):
            self._place_one(index, position, rate)
        self._is_pushed = False
        self._state = None

    def _place_one(self, index: int, position: np.ndarray, rate: np.ndarray) -> None:
        """Set the whole state of one car."""
        import mujoco

        car = self._cars[index]
        mujoco.mj_resetData(self._models[index], car)
        car.qpos[:] = position
        car.qvel[:] = rate

    def _vary_models(self) -> None:
        """Give each car of another mass or friction a model of its own."""
        import mujoco

        ones = torch.ones(self.num_envs, dtype=torch.float64)
        ratios = torch.stack(
            [
                self.variations.get(name, ones).double().cpu()
                for name in ("mass_ratio", "friction_ratio")
            ]
        )
        if torch.equal(ratios, self._ratios):
            return
        self._ratios = ratios.clone()
        for index, (mass, friction) in enumerate(ratios.T.tolist()):
            model = self._model
            if (mass, friction) != (1.0, 1.0):
                model = copy.copy(self._model)
                model.body_mass *= mass
                model.body_inertia *= mass
                model.geom_friction *= friction
                # Recomputes what derives from the masses, among it the stiffness of contacts.
                mujoco.mj_setConst(model, self._cars[index])
            self._models[index] = model

    def _describe(self, qpos: Tensor, velocity: Tensor) -> CarState:
        """Return what generalised positions and velocities mean for a car."""
        yaw = yaw_from_quaternion(qpos[:, 3:7])
        forward, left = rotate_into_body(velocity[:, :2], yaw)
        return CarState(
            position=qpos[:, :2],
            yaw=yaw,
            speed=forward,
            lateral_velocity=left,
            yaw_rate=_about_vertical(qpos[:, 3:7], velocity[:, 3:6]),
            steering_angles=qpos[:, [dof + 1 for dof in self._steering_dofs]],
            wheel_speeds=velocity[:, self._driven_dofs],
            qpos=qpos,
            dofs_velocity=velocity,
        )

    def _dofs(self, joints: tuple[str, ...]) -> list[int]:
        """Return the dof of each named hinge (its qpos is one further: the quaternion)."""
        return [int(self._model.joint(name).dofadr[0]) for name in joints]


def _compile_on_plane(vehicle: Vehicle, timestep: float, *, with_servos: bool) -> "mujoco.MjModel":
    """Return the car on a road, with the physics of `build_scene` whatever its file says."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(vehicle.file))
    spec.worldbody.add_geom(
        name=_ROAD,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 1],
        friction=[vehicle.friction, 0, 0],
    )
    model = spec.compile()
    for solref in (model.geom_solref, model.jnt_solref):
        is_unstated = solref[:, 0] == _MUJOCO_TIME_CONSTANT
        solref[is_unstated, 0] = max(_GENESIS_TIME_CONSTANT, 2 * timestep)
    # Genesis lets everything that collides touch the road, and nothing else.
    model.geom_conaffinity[:] = (model.geom_contype | model.geom_conaffinity) != 0
    model.geom_contype[:] = 0
    road = model.geom(_ROAD).id
    model.geom_contype[road], model.geom_conaffinity[road] = 1, 0
    model.opt.timestep = timestep
    model.opt.gravity = (0, 0, -9.81)
    model.opt.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    # The nearest there is; Genesis lets contacts feel the implicit damping of joints and servos,
    # too. So the engines agree to a percent under `torque`, and to some percent under `pd`.
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A diverged car would otherwise be put back to the origin without a word.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    if not with_servos:
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
    return model


def _servo_on(model: "mujoco.MjModel", joint: str) -> int:
    """Return the index of the one actuator on a joint."""
    return int((model.actuator_trnid[:, 0] == model.joint(joint).id).nonzero()[0][0])


def _about_vertical(quaternion: Tensor, rate: Tensor) -> Tensor:
    """Return the world's z component of rates of turn [rad/s] in the body's axes, shape (B,)."""
    w, x, y, z = quaternion.unbind(-1)
    up = torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=-1)
    return (up * rate).sum(-1)
