"""The MLP as a path-tracking controller."""

import torch
from torch import Tensor

from diffcar.controllers.mlp import MLPController
from diffcar.sim.contract import CarState
from diffcar.sim.vehicle import Vehicle
from diffcar.tracking import ErrorState, PathObserver

__all__ = ["TrackingMLP"]


class TrackingMLP:
    """Turns the network's bounded outputs into commands to the car.

    The first output is the steering angle in units of its limit. The second is how much the speed
    command exceeds the present speed, in units of the excess at which the motors give their most:
    so full scale is full torque at every speed, and the wheels cannot be asked to race ahead.

    Args:
        network: The perceptron.
        observer: What it sees.
        vehicle: Limits of the car.
        name: What to call it in tables.
    """

    def __init__(
        self, network: MLPController, observer: PathObserver, vehicle: Vehicle, name: str = "mlp"
    ) -> None:
        self.network = network
        self.observer = observer
        self.vehicle = vehicle
        self.name = name

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        return self.command(self.network(self.observer.observe(state, errors)), state)

    def command(self, output: Tensor, state: CarState) -> Tensor:
        """Scale outputs in [-1, 1], shape (B, 2), to steering angle [rad] and speed [m/s]."""
        steering = output[:, 0] * self.vehicle.max_steering
        speed = state.speed + output[:, 1] * self.vehicle.speed_increment
        return torch.stack([steering, speed], dim=-1)
