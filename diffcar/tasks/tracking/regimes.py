"""Where gradients are checked: rolling, sliding and airborne cars, and what they do there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState

__all__ = ["PARAMETERS", "Cases", "draw_cases"]

PARAMETERS = ("actions", "initial state", "network weights")
# A wheel's contact point that moves faster than this over the road slides [m/s].
_SLIDING_SPEED = 0.1
# Above this height over the rest position a car has left the road [m]. Sliding ones hover a few
# millimetres over it: friction in pyramids pushes a sliding contact up by friction · speed · dt.
_AIRBORNE_HEIGHT = 0.05
_DROP_HEIGHT = 600.0
_ICE = 0.05


@dataclass(frozen=True)
class Cases:
    """A start and a table of actions for every environment; tensors have a row for each."""

    regime: list[str]
    """`rolling`, `sliding` or `airborne`."""
    parameter: list[str]
    """What is perturbed: one of `PARAMETERS`."""
    pose: Tensor
    """Start: x, y, z of the base's frame [m] and yaw [rad], shape (B, 4)."""
    velocity: Tensor
    """Start: generalised velocities, shape (B, 12)."""
    arc_length: Tensor
    """Near the start along the path [m], shape (B,)."""
    actions: Tensor
    """Steering angle [rad] and speed [m/s], shape (B, T, 2)."""
    friction_ratio: Tensor
    """Factor on the friction coefficient, shape (B,)."""

    @property
    def is_closed_loop(self) -> Tensor:
        """Return which environments the network drives, shape (B,)."""
        return self.of_parameter("network weights")

    def of_parameter(self, name: str) -> Tensor:
        """Return which environments are about one kind of parameter, shape (B,)."""
        mask = [parameter == name for parameter in self.parameter]
        return torch.tensor(mask, device=self.pose.device)

    def of_regime(self, name: str) -> Tensor:
        """Return which environments are in one regime, shape (B,)."""
        return torch.tensor([regime == name for regime in self.regime], device=self.pose.device)

    def groups(self) -> Iterator[tuple[str, str, list[int]]]:
        """Yield regime, kind of parameter and environments of each group."""
        labels = list(zip(self.regime, self.parameter, strict=True))
        for label in dict.fromkeys(labels):
            yield *label, [row for row, own in enumerate(labels) if own == label]

    def is_airborne(self, state: CarState, scene: GenesisCar) -> Tensor:
        """Return which cars have left the road, to either side, shape (B,)."""
        return (state.qpos[:, 2].detach() - scene.rest_height).abs() > _AIRBORNE_HEIGHT

    def is_sliding(self, state: CarState, scene: GenesisCar) -> Tensor:
        """Return which cars have a rear wheel that slides over the road, shape (B,)."""
        vehicle = scene.vehicle
        along = state.speed[:, None] - vehicle.wheel_radius * state.wheel_speeds
        across = state.lateral_velocity + vehicle.rear_axle_x * state.yaw_rate
        slides = (along.square() + across.square()[:, None]).amax(-1).sqrt() > _SLIDING_SPEED
        return slides.detach() & ~self.is_airborne(state, scene)


def draw_cases(
    labels: Sequence[tuple[str, str]],
    path: ReferencePath,
    scene: GenesisCar,
    *,
    horizon: int,
    seed: int,
) -> Cases:
    """Draw starts beside the path and gentle or violent actions.

    Rolling cars steer and accelerate well within the grip of their tyres; sliding ones come
    sideways onto a road with a twentieth of the friction and brake and accelerate at full torque;
    airborne ones fall.

    Args:
        labels: Regime and kind of parameter of each environment.
        path: The reference.
        scene: The car, for its limits.
        horizon: Steps that actions are needed for.
        seed: Of the draw.
    """
    num_cases = len(labels)
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        draw = torch.rand(num_cases, *shape, generator=generator, dtype=torch.float64)
        return (low + (high - low) * draw).to(dtype=scene.dtype, device=scene.device)

    def where(regime: str) -> Tensor:
        return torch.tensor([label[0] == regime for label in labels], device=scene.device)

    sliding, airborne = where("sliding"), where("airborne")
    arc_length = uniform(0.0, path.length if path.closed else 0.5 * path.length)
    point = path.sample(arc_length)
    offset = uniform(-0.05, 0.05)
    normal = torch.stack([-torch.sin(point.heading), torch.cos(point.heading)], -1)
    drift = uniform(0.5, 1.2) * torch.sign(uniform(-1.0, 1.0))
    yaw = point.heading + torch.where(sliding, drift, uniform(-0.05, 0.05))
    height = scene.rest_height + torch.where(airborne, _DROP_HEIGHT, 0.0)
    position = point.position + offset[:, None] * normal
    speed = torch.where(sliding, uniform(3.0, 4.0), uniform(1.5, 2.5))
    velocity = torch.zeros(num_cases, scene.entity.n_dofs, dtype=scene.dtype, device=scene.device)
    velocity[:, 0] = speed * torch.cos(point.heading)
    velocity[:, 1] = speed * torch.sin(point.heading)
    velocity[:, 5] = speed * point.curvature + torch.where(sliding, uniform(-1.0, 1.0), 0.0)
    velocity[:, scene.wheel_dofs] = (speed / scene.vehicle.wheel_radius)[:, None]
    time = scene.dt * torch.arange(horizon, dtype=scene.dtype, device=scene.device)
    phase = uniform(0.0, 6.3, 1)
    violence = sliding[:, None].to(scene.dtype)
    amplitude = (0.2 + 0.5 * violence) * scene.vehicle.max_steering
    steering = amplitude * torch.sin(2.5 * time + phase)
    commanded = speed[:, None] + (0.2 + 6.0 * violence) * torch.cos(2.0 * time + phase)
    return Cases(
        regime=[regime for regime, _ in labels],
        parameter=[parameter for _, parameter in labels],
        pose=torch.cat([position, height[:, None], yaw[:, None]], -1),
        velocity=velocity,
        arc_length=arc_length,
        actions=torch.stack([steering, commanded], -1),
        friction_ratio=torch.where(sliding, _ICE, 1.0).to(scene.dtype),
    )
