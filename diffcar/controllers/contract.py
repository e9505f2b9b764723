"""The contract of everything that drives the car."""

from typing import Protocol

from torch import Tensor

from diffcar.controllers.errors import ErrorState
from diffcar.sim.contract import CarState

__all__ = ["Controller"]


class Controller(Protocol):
    """A path-tracking controller; batched, without memory, its actions bounded.

    One that looks at `state.commands` says how many of them it needs as its `past_commands`. One of
    your own is called by its `name` in results, if it has one, or else as you called it.
    """

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
