"""Many controllers in one batch, each with cars of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["ControllerBatch", "TrackingEnsemble"]


class TrackingEnsemble(TrackingMLP):
    """Networks of one architecture, each of which drives the same number of cars in a row."""

    def __init__(
        self, networks: Sequence[MLPController], observer: PathObserver, vehicle: Vehicle
    ) -> None:
        super().__init__(networks[0], observer, vehicle, name="ensemble")
        weights = zip(*(network.parameters() for network in networks), strict=True)
        self._weights = [torch.stack(own) for own in weights]

    def network_output(self, observation: Tensor) -> Tensor:
        """Return what each network puts out for its own rows, shape (B, 2)."""
        num_networks = len(self._weights[0])
        # Observations come with their mirror images behind them: both to the network of their car.
        own = observation.reshape(2, num_networks, -1, observation.shape[-1]).transpose(0, 1)
        output = self.network.forward_with(self._weights, own.flatten(1, 2))
        return output.reshape(num_networks, 2, -1, 2).transpose(0, 1).reshape(-1, 2)


class ControllerBatch:
    """Controllers that share a batch, one after the other, each with a number of cars."""

    name = "batch"

    def __init__(self, members: Sequence[tuple[Controller, int]]) -> None:
        self._members = members
        self.past_commands = max(getattr(own, "past_commands", 0) for own, _ in members)

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        actions, first = [], 0
        for controller, num_cars in self._members:
            cars = slice(first, first := first + num_cars)
            actions.append(controller(state.select(cars), errors.select(cars)))
        return torch.cat(actions)
