"""Cars in plain torch: a scene for the tests of everything that is not about a simulator."""

import math
from types import SimpleNamespace

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.geometry import constant, quaternion_from_yaw, rotate_into_body
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarState, Placement, map_tensors
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.scenes import Scenes
from tests.plain import yaw_from_quaternion

_STEERING_TIME = 0.05


class Bicycle:
    """A `CarScene` of single-track cars whose tyres give way a little, differentiable by itself.

    Positions and velocities are laid out as Genesis lays out the shipped car's, so that what is
    saved of one can be loaded into the other.

    Args:
        num_envs: Number of cars.
        differentiable: Whether steps are recorded for `backward`.
        vehicle: The car; None takes the shipped one.
        dtype: Precision of everything.
        dt: Control interval [s].
        slip_time: In which a car of the shipped one's size comes to turn as its wheels point [s].
    """

    device = torch.device("cpu")
    entity = SimpleNamespace(n_dofs=12)
    wheel_dofs = (8, 9, 10, 11)
    command_delay: Tensor | None = None

    def __init__(
        self,
        num_envs: int,
        *,
        differentiable: bool = False,
        vehicle: Vehicle | None = None,
        dtype: torch.dtype = torch.float64,
        dt: float = 0.02,
        slip_time: float = 0.04,
    ) -> None:
        self.num_envs = num_envs
        self.differentiable = differentiable
        self.vehicle = vehicle or load_vehicle()
        self.dtype = dtype
        self.dt = dt
        self.slip_time = slip_time * self.vehicle.root_size
        self.rest_height = self.vehicle.base_height
        self.variations: dict[str, Tensor] = {}
        self.last_command: dict[str, Tensor] = {}
        self._ratios: dict[str, Tensor] = {}
        self._force: Tensor | None = None
        zeros = self.zeros(num_envs)
        self.reset(Placement(self.zeros(num_envs, 2), zeros, zeros, zeros))

    def reset(self, start: Placement | CarState) -> None:
        state = self.state_of(start) if isinstance(start, Placement) else start
        self._ratios = dict(self.variations)
        self._force = None
        self._state = self.describe(state.qpos.detach(), state.dofs_velocity.detach())

    def place(self, pose: Tensor, velocity: Tensor) -> None:
        """Place the cars by x, y, z and yaw, shape (B, 4), differentiably."""
        self._ratios = dict(self.variations)
        joints = self.zeros(len(pose), 6)
        qpos = torch.cat([pose[:, :3], quaternion_from_yaw(pose[:, 3]), joints], -1)
        self._state = self.describe(qpos, velocity)

    def restart(self, cars: Tensor, placement: Placement) -> None:
        self._ratios = dict(self.variations)
        fresh, qpos, velocity = (
            self.state_of(placement),
            self._state.qpos,
            self._state.dofs_velocity,
        )
        qpos, velocity = qpos.clone(), velocity.clone()
        qpos[cars], velocity[cars] = fresh.qpos, fresh.dofs_velocity
        self._state = self.describe(qpos, velocity)

    def state_of(self, placement: Placement) -> CarState:
        placement = map_tensors(placement, lambda values: values.to(self.dtype))
        still = torch.zeros_like(placement.speed)
        steering = torch.stack([still, still], -1)
        return self._compose(
            placement.position, placement.yaw, placement.speed, still, placement.yaw_rate, steering
        )

    def read(self) -> CarState:
        return self._state

    def apply(self, action: Tensor) -> None:
        self._action = action
        self.last_command = {"command: action": action}

    def apply_force(self, force: Tensor) -> None:
        self._force = force if self._force is None else self._force + force

    def step(self) -> None:
        is_recorded = self.differentiable and torch.is_grad_enabled()
        with torch.set_grad_enabled(is_recorded):
            self._state = self._next(self._state)
        self._force = None

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def tensor(self, values: object) -> Tensor:
        return torch.as_tensor(values, dtype=self.dtype)

    def zeros(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=self.dtype)

    def describe(self, qpos: Tensor, velocity: Tensor) -> CarState:
        """Return what positions and velocities mean for a car."""
        yaw = yaw_from_quaternion(qpos[:, 3:7])
        forward, left = rotate_into_body(velocity[:, :2], yaw)
        wheel_speeds = velocity[:, 10:12]
        return CarState(
            qpos[:, :2],
            yaw,
            forward,
            left,
            velocity[:, 5],
            qpos[:, 7:9],
            wheel_speeds,
            qpos,
            velocity,
        )

    def _next(self, car: CarState) -> CarState:
        """Return the cars a control interval later."""
        vehicle, dt = self.vehicle, self.dt
        mass = vehicle.mass * self._ratios.get("mass_ratio", 1.0)
        friction = self._ratios.get("friction_ratio", 1.0)
        grip = 9.81 * vehicle.friction * friction
        target = self._action[:, :1].clamp(-vehicle.max_steering, vehicle.max_steering)
        share = 1 - math.exp(-dt / (_STEERING_TIME * vehicle.root_size))
        steering = car.steering_angles + share * (target - car.steering_angles)

        excess = (self._action[:, 1] - car.speed) / vehicle.wheel_radius
        torque = (vehicle.drive_gain * excess).clamp(
            -vehicle.max_drive_torque, vehicle.max_drive_torque
        )
        acceleration = (2 * torque / vehicle.wheel_radius / mass).clamp(-grip, grip)
        along, aside = 0.0, 0.0
        if self._force is not None:
            along, aside = (own / mass for own in rotate_into_body(self._force, car.yaw))
        speed = car.speed + dt * (acceleration + along)

        # A heavy car on a slippery road comes to the turn that its wheels point to later, or never.
        sharpest = grip / car.speed.abs().clamp_min(0.5)
        turn = car.speed * torch.tan(steering.mean(-1)) / vehicle.wheelbase
        turn = turn.clamp(-sharpest, sharpest)
        share = 1 - math.e ** (-dt / self.slip_time * friction * vehicle.mass / mass)
        yaw_rate = car.yaw_rate + share * (turn - car.yaw_rate)
        slip = -vehicle.rear_axle_x * turn - car.lateral_velocity
        lateral = car.lateral_velocity + share * slip + dt * aside
        yaw = car.yaw + dt * yaw_rate
        middle = (car.yaw + yaw) / 2
        cos, sin = torch.cos(middle), torch.sin(middle)
        way = torch.stack([speed * cos - lateral * sin, speed * sin + lateral * cos], -1)
        return self._compose(car.position + dt * way, yaw, speed, lateral, yaw_rate, steering)

    def _compose(
        self,
        position: Tensor,
        yaw: Tensor,
        speed: Tensor,
        lateral: Tensor,
        yaw_rate: Tensor,
        steering: Tensor,
    ) -> CarState:
        """Return the state with its positions and velocities, which gradients go through."""
        num_cars = len(speed)
        zeros = self._row(0.0).expand(num_cars, 4)
        cos, sin = torch.cos(yaw), torch.sin(yaw)
        height = self._row(self.vehicle.base_height).expand(num_cars, 1)
        qpos = torch.cat([position, height, quaternion_from_yaw(yaw), steering, zeros], -1)
        forward, leftward = speed * cos - lateral * sin, speed * sin + lateral * cos
        planar = torch.stack([forward, leftward], -1)
        wheels = (speed / self.vehicle.wheel_radius)[:, None].expand(-1, 4)
        velocity = torch.cat([planar, zeros[:, :3], yaw_rate[:, None], zeros[:, :2], wheels], -1)
        return self.describe(qpos, velocity)

    def _row(self, value: float) -> Tensor:
        return constant((value,), self.dtype, self.device)


class Fragile(Bicycle):
    """Cars of which one breaks the physics for everybody when it is told to."""

    def apply(self, action: Tensor) -> None:
        """Command all cars, none of them more than 90 m/s."""
        if bool((action[:, 1] > 90).any()):
            raise SimulationError("a state is no longer finite")
        super().apply(action)


def bicycles(
    config: CarConfig,
    *,
    num_envs: int,
    differentiable: bool = False,
    vehicle: Vehicle | None = None,
    engine: str = "genesis",
    **options: object,
) -> Bicycle:
    """Build what `build_scene` would build of the same settings, a little slower in MuJoCo."""
    del options  # cameras, repairs and kernels that only Genesis has
    return Bicycle(
        num_envs,
        differentiable=differentiable,
        vehicle=vehicle,
        dtype=torch.float64 if config.precision == 64 else torch.float32,
        dt=config.dt,
        slip_time=0.04 if engine == "genesis" else 0.06,
    )


def bicycle_scenes(config: CarConfig) -> Scenes:
    """Return the scenes of a training, each of bicycles."""
    return Scenes(config, build=bicycles)  # type: ignore[arg-type]
