"""Drives many controllers at once over a path, under a disturbance, in any engine."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffcar.controllers.batch import ControllerTeam
from diffcar.controllers.contract import Controller
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarScene
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.disturbances import DisturbedScene, NoisyController
from diffcar.tasks.tracking.drive import Drive, drive
from diffcar.tasks.tracking.metrics import CARS_EACH, SuiteFigures, car_figures

__all__ = ["Entrants", "drive_entrants"]

Entrants = Callable[[int], Sequence[tuple[Controller, int]]]
"""Makes the controllers that are driven together, given the number of cars of each: a
list of controllers with the number of their cars, in the order of the entrants."""


def drive_entrants(
    scene: CarScene,
    entrants: Entrants,
    path: ReferencePath,
    disturbance: DisturbanceConfig,
    *,
    seed: int,
) -> tuple[list[SuiteFigures], Drive]:
    """Let all entrants drive a path, each from rest and from a flying start.

    Args:
        scene: Plain cars, `CARS_EACH` for each entrant.
        entrants: Who drives.
        path: What they follow, in the scene's number format.
        disturbance: What they meet; every entrant meets the same.
        seed: Of the disturbance.

    Returns:
        The figures of each entrant, and the drive of all cars, entrant by entrant.

    """
    team = ControllerTeam(entrants(CARS_EACH))
    plant, sensors = (torch.Generator().manual_seed(seed + offset) for offset in (0, 1))
    is_standing = torch.arange(scene.num_envs, device=scene.device) % CARS_EACH == 0
    driven = drive(
        DisturbedScene(scene, disturbance, plant, cars_alike=CARS_EACH),
        NoisyController(team, disturbance, sensors, cars_alike=CARS_EACH),
        path,
        is_standing=is_standing,
        must_stay_finite=False,
    )
    return _figures(driven, path), driven


def _figures(driven: Drive, path: ReferencePath) -> list[SuiteFigures]:
    """Return the figures of each entrant."""
    cars = car_figures(driven, path)
    columns = zip(
        _together(cars.cross_track_rmse.square()).sqrt().tolist(),
        cars.cross_track_max.reshape(-1, CARS_EACH).amax(-1).tolist(),
        _together(cars.speed_rmse.square()).sqrt().tolist(),
        _together(cars.is_lost.to(cars.speed_rmse.dtype)).tolist(),
        strict=True,
    )
    return [SuiteFigures(*values) for values in columns]


def _together(values: Tensor) -> Tensor:
    """Return the mean over the cars of each entrant."""
    return values.reshape(-1, CARS_EACH).mean(-1)
