"""Drives many controllers at once over a path, under a disturbance, in any engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.config import DisturbanceConfig
from diffcar.controllers import Controller, ControllerTeam
from diffcar.disturbances import DisturbedScene, NoisyController
from diffcar.drive import LOST_CROSS_TRACK, Drive, drive
from diffcar.path import ReferencePath
from diffcar.sim.contract import CarScene

__all__ = [
    "CARS_EACH",
    "FAILED",
    "CarFigures",
    "Entrants",
    "SuiteFigures",
    "car_figures",
    "drive_entrants",
]

CARS_EACH = 2
"""Cars of a controller: one starts at rest, one at the reference speed."""
_SKIP_DISTANCE = 2.0


@dataclass(frozen=True)
class SuiteFigures:
    """How well a controller drove a path, both cars together."""

    cross_track_rmse_m: float
    """Root mean square of the cross-track error [m]; a car that loses the path, or does not arrive
    in time, counts as one metre off."""
    cross_track_max_m: float
    """Largest absolute value [m], at most one metre."""
    speed_rmse_mps: float
    """Root mean square of the speed error [m/s]; NaN if a car failed."""
    lost: float
    """Share of the cars that lost the path or did not arrive in time."""


FAILED = SuiteFigures(LOST_CROSS_TRACK, LOST_CROSS_TRACK, float("nan"), 1.0)
"""Of a controller whose cars both fail."""

Entrants = Callable[[ReferencePath, int], Sequence[tuple[Controller, int]]]
"""Makes the controllers that are driven together, given the path and the number of cars of each: a
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
    team = ControllerTeam(entrants(path, CARS_EACH))
    plant, sensors = (torch.Generator().manual_seed(seed + offset) for offset in (0, 1))
    is_standing = torch.arange(scene.num_envs, device=scene.device) % CARS_EACH == 0
    driven = drive(
        DisturbedScene(scene, disturbance, plant, cars_alike=CARS_EACH),
        NoisyController(team, path, disturbance, sensors, cars_alike=CARS_EACH),
        path,
        is_standing=is_standing,
        must_stay_finite=False,
    )
    return _figures(driven, path), driven


@dataclass(frozen=True)
class CarFigures:
    """How well single cars drove a path, shape (B,) each."""

    cross_track_rmse: Tensor
    """As in `SuiteFigures` [m]."""
    cross_track_max: Tensor
    """As in `SuiteFigures` [m]."""
    speed_rmse: Tensor
    """As in `SuiteFigures` [m/s]; NaN for a car that failed."""
    is_lost: Tensor
    """Whether the car failed: lost the path, or did not arrive in time."""


def car_figures(driven: Drive, path: ReferencePath, *, must_arrive: bool = True) -> CarFigures:
    """Return how well each car drove.

    A car that fails counts as one metre off all the way: where it failed, and how long the others
    were on the road after that, would otherwise decide on its figures.

    Args:
        driven: A finished drive.
        path: What was followed.
        must_arrive: Whether a car that is not at its goal in the end has failed, too; a crawling
            one tracks very well.
    """
    trajectory = driven.trajectory
    distance = trajectory.distance
    error = trajectory.cross_track_error.abs()
    # Who has arrived drives on until the others have, too; what becomes of it does not count.
    is_on_its_way = ~driven.has_arrived
    is_lost = (error > LOST_CROSS_TRACK) | ~torch.isfinite(error)
    has_lost_path = (is_lost & is_on_its_way).any(0)
    skip_distance = min(_SKIP_DISTANCE, path.length / 4)
    counted = (distance >= skip_distance) & is_on_its_way
    failed = has_lost_path | ~counted.any(0)
    if must_arrive:
        failed = failed | is_on_its_way[-1]
    largest = torch.where(counted, error, 0.0).amax(0)
    return CarFigures(
        cross_track_rmse=torch.where(failed, LOST_CROSS_TRACK, _rms(error, counted)),
        cross_track_max=torch.where(failed, LOST_CROSS_TRACK, largest),
        speed_rmse=torch.where(failed, torch.nan, _rms(trajectory.speed_error, counted)),
        is_lost=failed,
    )


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


def _rms(values: Tensor, counted: Tensor) -> Tensor:
    """Return each car's root mean square of what counts, shape (B,)."""
    total = torch.where(counted, values.square(), 0.0).sum(0)
    return (total / counted.sum(0)).sqrt()


def _together(values: Tensor) -> Tensor:
    """Return the mean over the cars of each entrant."""
    return values.reshape(-1, CARS_EACH).mean(-1)
