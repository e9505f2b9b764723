"""Many controllers in one batch, each with cars of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState
from diffcar.sim.contract import CarState

__all__ = ["ControllerBatch"]


class ControllerBatch:
    """Controllers that share a batch, one after the other, each with a number of cars."""

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
