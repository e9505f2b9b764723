"""The controller that does nothing, as a floor for comparisons."""

import torch
from torch import Tensor

from diffcar.controllers.errors import ErrorState
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["Zero"]


class Zero:
    """Steers straight and asks for standstill."""

    def __init__(self, vehicle: Vehicle) -> None:
        del vehicle  # made like any other controller

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return zeros, shape (B, 2)."""
        return torch.zeros(len(state.speed), 2, dtype=state.speed.dtype, device=state.speed.device)
