"""The MLP as a path-tracking controller."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from diffcar.base.geometry import constant
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.observation import PathObserver
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["TrackingMLP", "build_network", "build_tracking_mlp", "output_for"]


@dataclass(eq=False)
class TrackingMLP:
    """Turns the network's bounded outputs into commands to the car.

    The first output is the steering angle in units of its limit, or of what `full_scale` leaves of
    it at the present speed. The second is how much the speed command exceeds the present speed, in
    units of the excess at which the motors give their most: so full scale is full torque at every
    speed, and the wheels cannot be asked to race ahead.

    The car is symmetric, so the controller is: the network sees every observation and its mirror
    image, and its steering is half the difference of the two, its drive half the sum. On a straight
    road it therefore has no bias to either side, however short the training was.
    """

    network: MLPController
    observer: PathObserver
    vehicle: Vehicle

    @property
    def past_commands(self) -> int:
        """Return how many of its last commands it must be shown."""
        return self.observer.config.past_commands

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        return self.command(self.output(self.observer.observe(state, errors)), state)

    def output(self, observation: Tensor) -> Tensor:
        """Return steering and drive in [-1, 1], shape (B, 2), for observations (B, size)."""
        both = self.network(torch.cat([observation, self.observer.mirror(observation)]))
        seen, mirrored = both.chunk(2)
        return torch.addcmul(seen, mirrored, constant((-1.0, 1.0), both.dtype, both.device)) / 2

    def command(self, output: Tensor, state: CarState) -> Tensor:
        """Scale outputs in [-1, 1], shape (B, 2), to steering angle [rad] and speed [m/s]."""
        present = pad(state.speed[:, None], (1, 0))
        return torch.addcmul(
            present, output, full_scale(state.speed, self.vehicle, self.observer.config)
        )


def full_scale(speed: Tensor, vehicle: Vehicle, config: ControllerConfig) -> Tensor:
    """Return what outputs of one stand for: steering [rad] and excess of speed [m/s].

    With a `steering_acceleration` the angle falls with the square of the speed once it would ask
    for more than that: a network then steers a car at 10 m/s as it does at 3.

    Args:
        speed: The cars' present speed [m/s], shape (B,).

    Returns:
        Shape (B, 2), or (2,) where the speed does not matter.
    """
    limits = constant((vehicle.max_steering, vehicle.speed_increment), speed.dtype, speed.device)
    if config.steering_acceleration is None:
        return limits
    share = speed.square() * (vehicle.max_curvature / config.steering_acceleration)
    steering = limits[0] * (1 + share.square()).rsqrt()
    return torch.stack([steering, limits[1].expand_as(steering)], -1)


def output_for(action: Tensor, speed: Tensor, vehicle: Vehicle, config: ControllerConfig) -> Tensor:
    """Return the output in [-1, 1], (B, 2), that `TrackingMLP.command` would scale to an action.

    Where the action asks for more than the car can give, the output is at its bound, with which
    the car does the same.

    Args:
        action: Steering angle [rad] and speed [m/s] commanded, shape (B, 2).
        speed: The car's present speed [m/s], shape (B,).
    """
    own = torch.stack([action[:, 0], action[:, 1] - speed], -1)
    return (own / full_scale(speed, vehicle, config)).clamp(-1.0, 1.0)


def build_tracking_mlp(
    config: ControllerConfig,
    vehicle: Vehicle,
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> TrackingMLP:
    """Return an untrained controller; its weights depend on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    network = build_network(config, generator=generator).to(dtype=dtype, device=device)
    return TrackingMLP(network, PathObserver(config), vehicle)


def build_network(
    config: ControllerConfig, *, generator: torch.Generator | None = None
) -> MLPController:
    """Return an untrained network, with a head for each delay that it is told of."""
    return MLPController(
        PathObserver.size(config),
        2,
        config.hidden_sizes,
        num_heads=max(1, config.num_delays),
        generator=generator,
    )
