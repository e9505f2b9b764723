"""The car in MuJoCo: the same model in another engine, without gradients."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.registry import Registry
from diffcar.sim.actuation import joint_targets, servo_torques
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.model.model_file import quiet_mujoco
from diffcar.sim.model.read import car_of
from diffcar.sim.model.servos import replace_servos
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.sim.rolling import RollingCar

if TYPE_CHECKING:
    import mujoco

__all__ = ["MuJoCoCar"]

_ROAD = "diffcar road"
# How fast contacts and joint limits yield where a model does not say [s].
_MUJOCO_TIME_CONSTANT, _GENESIS_TIME_CONSTANT = 0.02, 0.01


class MuJoCoCar(RollingCar):
    """Parallel cars on a plane in MuJoCo (see `CarScene` for the contract).

    Computes in float64 on the CPU; what it reports is in the config's precision, and no part of a
    graph.
    """

    def __init__(self, config: CarConfig, num_envs: int, *, vehicle: Vehicle | None = None) -> None:
        import mujoco

        vehicle = vehicle or car_of(config)
        config = suited(config, vehicle)
        self.num_envs = num_envs
        self.dt = config.dt
        self.actuation: str = config.actuation
        self.dtype = torch.float64 if config.precision == 64 else torch.float32
        self.device = torch.device("cpu")
        self._substeps = config.substeps
        with quiet_mujoco():
            self._model = _compile_on_plane(
                vehicle, config.dt / config.substeps, with_servos=config.actuation == "pd"
            )
        self._models = [self._model] * num_envs
        self._cars = [mujoco.MjData(self._model) for _ in range(num_envs)]
        self._varied: dict[str, list[float]] = {}
        self._find_joints(vehicle)
        first_joint = self._model.joint(vehicle.steering_joints[0])
        self._base = int(self._model.body_rootid[first_joint.bodyid[0]])
        self._servo_dofs = self.steering_dofs + self.driven_dofs
        self._state: CarState | None = None
        self._is_pushed = False
        self._settle()

    def reset(self, start: Placement | CarState) -> None:
        """Place the cars on the road with their wheels rolling, or go on from a state."""
        self._vary_models()
        if isinstance(start, Placement):
            whole = self._start_of(start)
        else:
            whole = start.qpos, start.dofs_velocity
        self._place(range(self.num_envs), *whole)
        self._is_pushed = False

    def restart(self, cars: Tensor, placement: Placement) -> None:
        """Place some of the cars afresh, as `reset` places all."""
        self._vary_models()
        self._place(cars.tolist(), *self._start_of(placement))

    def state_of(self, placement: Placement) -> CarState:
        """Return the state that cars have once they are placed so."""
        qpos, velocity = self._start_of(placement)
        return self.describe(qpos.to(self.dtype), velocity.to(self.dtype))

    def _start_of(self, placement: Placement) -> tuple[Tensor, Tensor]:
        """Return generalised positions and velocities of cars whose wheels roll, in float64."""
        shapes = ((len(placement.speed), size) for size in (self._model.nq, self._model.nv))
        return self.rolling(placement, *(torch.zeros(s, dtype=torch.float64) for s in shapes))

    def read(self) -> CarState:
        """Return the present state; repeated reads between steps cost nothing."""
        if self._state is None:
            qpos = torch.from_numpy(np.stack([car.qpos for car in self._cars]))
            velocity = torch.from_numpy(np.stack([car.qvel for car in self._cars]))
            self._state = self.describe(qpos.to(self.dtype), velocity.to(self.dtype))
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
            # In the order in which `replace_servos` adds them.
            for car, command in zip(self._cars, commands.double().numpy(), strict=True):
                car.ctrl[:] = command
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
        start = Placement.at_origin(torch.zeros(self.num_envs, dtype=torch.float64))
        self.reset(start)
        for _ in range(num_steps):
            self.step()
        self.rest_height = float(self._cars[0].qpos[2])
        self.reset(start)

    def _place(self, cars: Sequence[int], qpos: Tensor, velocity: Tensor) -> None:
        """Set the whole state of some cars and forget what acted on them before."""
        import mujoco

        rows = zip(cars, qpos.double().numpy(), velocity.double().numpy(), strict=True)
        for index, position, rate in rows:
            car = self._cars[index]
            mujoco.mj_resetData(self._models[index], car)
            car.qpos[:], car.qvel[:] = position, rate
        self._state = None

    def _vary_models(self) -> None:
        """Give each car of another mass or friction a model of its own."""
        import mujoco

        varied = {name: ratio.tolist() for name, ratio in self.variations.items()}
        if varied == self._varied:
            return
        for index, car in enumerate(self._cars):
            model = self._model
            if varied:
                model = copy.copy(model)
                for name, values in varied.items():
                    _VARIATIONS[name](self, model, values[index])
                # Recomputes what derives from the masses, among it the stiffness of contacts.
                with quiet_mujoco():
                    mujoco.mj_setConst(model, car)
            self._models[index] = model
        self._varied = varied

    def _set_mass(self, model: "mujoco.MjModel", ratio: float) -> None:
        """Give the bodies of a car's model another mass and inertia."""
        model.body_mass[:] *= ratio
        model.body_inertia[:] *= ratio

    def _shift_mass(self, model: "mujoco.MjModel", shift: float) -> None:
        """Move the chassis's centre of mass forward [m]."""
        model.body_ipos[self._base, 0] += shift

    def _set_friction(self, model: "mujoco.MjModel", ratio: float) -> None:
        """Give road and wheels another friction."""
        model.geom_friction[:] *= ratio

    def describe(self, qpos: Tensor, velocity: Tensor) -> CarState:
        """Return what positions and velocities mean, turning about the world's vertical."""
        w, x, y, z = qpos[:, 3:7].unbind(-1)
        up = [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
        yaw_rate = (torch.stack(up, dim=-1) * velocity[:, 3:6]).sum(-1)
        return replace(super().describe(qpos, velocity), yaw_rate=yaw_rate)

    def _dof(self, joint: str) -> int:
        """Return the dof of a named hinge."""
        return int(self._model.joint(joint).dofadr[0])


_VARIATIONS: Registry[Callable[[MuJoCoCar, "mujoco.MjModel", float], None]] = Registry(
    "variation",
    {
        "mass_ratio": MuJoCoCar._set_mass,
        "mass_shift": MuJoCoCar._shift_mass,
        "friction_ratio": MuJoCoCar._set_friction,
    },
    error=SimulationError,
)
"""How each variation changes a car's model."""


def _compile_on_plane(vehicle: Vehicle, timestep: float, *, with_servos: bool) -> "mujoco.MjModel":
    """Return the car on a road, with the physics of `build_scene` whatever its file says."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(vehicle.file))
    replace_servos(spec, vehicle)
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
    # How a model wants to be solved is not what it is: a step is solved alike for all.
    fresh = mujoco.MjOption()
    for name in ("solver", "iterations", "tolerance", "impratio", "noslip_iterations", "gravity"):
        setattr(model.opt, name, getattr(fresh, name))
    model.opt.timestep = timestep
    model.opt.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    # The nearest there is; Genesis lets contacts feel the implicit damping of joints and servos,
    # too. So the engines agree to a percent under `torque`, and to some percent under `pd`.
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A diverged car would otherwise be put back to the origin without a word.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    if not with_servos:
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
    return model
