"""From a trajectory to the figures that trackers are compared by."""

import math
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from diffcar.base.errors import ConfigError
from diffcar.base.table import Column
from diffcar.path.reference import ReferencePath
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.rollout import Trajectory

if TYPE_CHECKING:
    from diffcar.tasks.tracking.drive import Drive

__all__ = [
    "CARS_EACH",
    "GOT_GOING",
    "LOST_CROSS_TRACK",
    "METRICS",
    "METRICS_OF_A_TIME",
    "NOTHING_DRIVEN",
    "SKIP_DISTANCE",
    "CarFigures",
    "SuiteFigures",
    "TrackingMetrics",
    "car_figures",
    "cross_track_figures",
    "failed",
    "lost_distance",
    "rms",
    "skipped_distance",
    "suite_figures",
    "tracking_metrics",
]

LOST_CROSS_TRACK = 1.0
"""A car further than this times `Vehicle.size` from its path has lost it [m]."""

SKIP_DISTANCE = 2.0
"""Errors count from this far times `Vehicle.size` after a start [m]: by then a car has come to its
path. Where the way or the time is short, from a quarter of it."""


def lost_distance(vehicle: Vehicle) -> float:
    """Return how far off its path a car has lost it [m]."""
    return LOST_CROSS_TRACK * vehicle.size


def skipped_distance(path: ReferencePath, vehicle: Vehicle, asked: float | None = None) -> float:
    """Return from how far on errors count [m].

    None asks for 2 m (of a car of the size of the shipped one), or a quarter of a short path.

    Raises:
        ConfigError: If nothing of the path would be left.
    """
    if asked is None:
        return min(SKIP_DISTANCE * vehicle.size, path.length / 4)
    if asked >= path.length:
        raise ConfigError(
            f"skip_distance {asked:g} leaves nothing of {path.name!r}, which is "
            f"{path.length:.4g} m long",
            hint=f"--set skip_distance={path.length / 4:.2g}, or leave it out",
        )
    return asked


@dataclass(frozen=True)
class TrackingMetrics:
    """How well the path was tracked; the names are keys of the JSON output."""

    cross_track_rmse_m: float
    """Root mean square of the cross-track error [m]."""
    cross_track_mean_m: float
    """Mean of its absolute value [m]."""
    cross_track_p95_m: float
    """95th percentile of its absolute value [m]."""
    cross_track_max_m: float
    """Largest absolute value [m]."""
    heading_rmse_rad: float
    """Root mean square of the heading error [rad]."""
    speed_rmse_mps: float
    """Root mean square of the speed error [m/s]."""
    steering_rate_rms_radps: float
    """Root mean square of the rate of the commanded steering angle [rad/s]."""
    completion: float
    """How much of the way was driven, 0 to 1, mean over the cars."""
    got_going: float
    """How many of the cars came past the first metres, 0 to 1; the others have no errors."""

    def __str__(self) -> str:
        """Return the figures that matter, in a line."""
        rmse = f"{1e3 * self.cross_track_rmse_m:.4g} mm"
        return f"cross-track RMSE {rmse}, speed RMSE {self.speed_rmse_mps:.3g} m/s"


NOTHING_DRIVEN = TrackingMetrics(
    **dict.fromkeys((own.name for own in fields(TrackingMetrics)[:-2]), math.nan),
    completion=0.0,
    got_going=0.0,
)
"""Of an evaluation that broke off."""

METRICS: list[Column[TrackingMetrics]] = [
    Column(heading, attrgetter(key), unit, factor, key)
    for heading, unit, factor, key in (
        ("cross-track RMSE", "mm", 1e3, "cross_track_rmse_m"),
        ("cross-track mean", "mm", 1e3, "cross_track_mean_m"),
        ("cross-track p95", "mm", 1e3, "cross_track_p95_m"),
        ("cross-track max", "mm", 1e3, "cross_track_max_m"),
        ("heading RMSE", "rad", 1.0, "heading_rmse_rad"),
        ("speed RMSE", "m/s", 1.0, "speed_rmse_mps"),
        ("steering rate RMS", "rad/s", 1.0, "steering_rate_rms_radps"),
        ("completion", "%", 100.0, "completion"),
    )
]
"""How well a path was tracked."""
GOT_GOING: Column[TrackingMetrics] = Column(
    "got going", attrgetter("got_going"), "%", 100.0, "got_going"
)
"""Where there are several cars: of how many the errors are."""
METRICS_OF_A_TIME = [*METRICS[:-1], GOT_GOING]
"""Of cars that drive for a fixed time, not to a goal: how far they came says nothing."""


def tracking_metrics(
    trajectory: Trajectory,
    *,
    goal_distance: float | Tensor,
    skip_distance: float = 0.0,
    is_driving: Tensor | None = None,
) -> TrackingMetrics:
    """Return the metrics over all cars of a trajectory; NaN where none came past `skip_distance`.

    Args:
        goal_distance: How far the cars should come along the path [m], a number or shape (B,);
            what lies beyond is not counted.
        skip_distance: How far each car drives before its errors count [m].
        is_driving: Which entries count at all, shape (T, B); None for all.
    """
    distance = trajectory.distance.detach()
    is_whole = torch.isfinite(distance).all(0)
    if is_driving is not None:
        distance = torch.where(is_driving, distance, -torch.inf)
    counted = (distance >= skip_distance) & (distance <= goal_distance)
    reached = distance.amax(0).clamp_min(0.0)
    goal = torch.as_tensor(goal_distance, dtype=reached.dtype, device=reached.device)
    cross_track = trajectory.cross_track_error.detach()[counted].abs()
    steering_rate = torch.diff(trajectory.action.detach()[..., 0], dim=0) / trajectory.dt
    return TrackingMetrics(
        **cross_track_figures(cross_track),
        cross_track_mean_m=float(cross_track.mean()),
        heading_rmse_rad=rms(trajectory.heading_error.detach()[counted]),
        speed_rmse_mps=rms(trajectory.speed_error.detach()[counted]),
        steering_rate_rms_radps=rms(steering_rate[counted[1:]]),
        completion=float((reached / goal).clamp_max(1.0).mean()),
        got_going=float((counted.any(0) & is_whole).to(reached.dtype).mean()),
    )


def cross_track_figures(error: Tensor) -> dict[str, float]:
    """Return RMSE, 95th percentile and maximum of absolute errors [m] by key, NaN of nothing."""
    return {
        "cross_track_rmse_m": rms(error),
        "cross_track_p95_m": float(torch.quantile(error, 0.95)) if len(error) else math.nan,
        "cross_track_max_m": float(error.max()) if len(error) else math.nan,
    }


def rms(values: Tensor) -> float:
    """Return the root mean square, NaN of nothing."""
    return float(values.square().mean().sqrt())


CARS_EACH = 2
"""Cars of a controller: one starts at rest, one at the reference speed."""


@dataclass(frozen=True)
class SuiteFigures:
    """How well a controller drove a path, both cars together."""

    cross_track_rmse_m: float
    """Root mean square of the cross-track error [m]; a car that loses the path, or does not arrive
    in time, counts as one that is so far off that it has just lost it: by a metre, if it is of the
    size of the shipped one."""
    cross_track_max_m: float
    """Largest absolute value [m], at most as much."""
    speed_rmse_mps: float
    """Root mean square of the speed error [m/s]; NaN if a car failed."""
    lost: float
    """Share of the cars that lost the path or did not arrive in time."""
    cross_track_p95_m: float
    """95th percentile of the cross-track error's absolute value [m]; as much if a car failed."""
    time_over_profile: float
    """How much longer the car that starts at speed took to its goal than the reference speed does,
    as a share of that: 0.01 is one percent; NaN if it failed."""


def failed(vehicle: Vehicle) -> SuiteFigures:
    """Return the figures of a controller whose cars both fail."""
    lost = lost_distance(vehicle)
    return SuiteFigures(lost, lost, math.nan, 1.0, lost, math.nan)


@dataclass(frozen=True)
class CarFigures:
    """How well single cars drove a path, shape (B,) each; see `SuiteFigures`."""

    cross_track_rmse: Tensor
    """Root mean square of the cross-track error [m]."""
    cross_track_max: Tensor
    """Its largest absolute value [m]."""
    speed_rmse: Tensor
    """Root mean square of the speed error [m/s]; NaN of a car that failed."""
    is_lost: Tensor
    """Whether it lost the path or did not arrive in time."""


def car_figures(driven: "Drive", *, must_arrive: bool = True) -> CarFigures:
    """Return how well each car drove.

    A car that fails counts as lost all the way: where it failed, and how long the others were on
    the road after that, would otherwise decide on its figures. Where cars `must_arrive`, one that
    is not at its goal in the end has failed, too; a crawling one tracks very well.
    """
    trajectory = driven.trajectory
    error, most = trajectory.cross_track_error.abs(), lost_distance(trajectory.vehicle)
    # Who has arrived drives on until the others have, too; what becomes of it does not count.
    is_on_its_way = ~driven.has_arrived
    is_lost = (error > most) | ~torch.isfinite(error)
    has_lost_path = (is_lost & is_on_its_way).any(0)
    counted = _counted(driven)
    has_failed = has_lost_path | ~counted.any(0) | (is_on_its_way[-1] & must_arrive)
    largest = torch.where(counted, error, 0.0).amax(0)
    return CarFigures(
        cross_track_rmse=torch.where(has_failed, most, _rms_of_cars(error, counted)),
        cross_track_max=torch.where(has_failed, most, largest),
        speed_rmse=torch.where(
            has_failed, torch.nan, _rms_of_cars(trajectory.speed_error, counted)
        ),
        is_lost=has_failed,
    )


def _counted(driven: "Drive") -> Tensor:
    """Tell which entries count: from past the first metres to the goal, shape (T, B)."""
    own = driven.trajectory
    return (own.distance >= skipped_distance(own.path, own.vehicle)) & ~driven.has_arrived


def _rms_of_cars(values: Tensor, counted: Tensor) -> Tensor:
    """Return each car's root mean square of what counts, shape (B,)."""
    total = torch.where(counted, values.square(), 0.0).sum(0)
    return (total / counted.sum(0)).sqrt()


def _time_over_profile(driven: "Drive") -> Tensor:
    """Return how much longer than the reference speed each car takes, shape (B,), if it arrives."""
    trajectory, path, seconds = driven.trajectory, driven.trajectory.path, driven.seconds
    begins_at = np.zeros(1) if path.closed else trajectory.start_arc_length.cpu().numpy()
    profile = path.timetable[-1] - np.interp(begins_at, path.grid, path.timetable)
    return seconds / torch.as_tensor(profile).to(seconds) - 1


def suite_figures(driven: "Drive") -> list[SuiteFigures]:
    """Return the figures of each controller of a drive, which has `CARS_EACH` of the cars."""
    cars = car_figures(driven)

    def together(values: Tensor) -> Tensor:
        return values.reshape(-1, CARS_EACH).mean(-1)

    error = driven.trajectory.cross_track_error.abs()
    error = torch.where(_counted(driven), error, torch.nan)
    of_both = error.reshape(len(error), -1, CARS_EACH).transpose(1, 2).flatten(0, 1)
    is_lost = together(cars.is_lost.to(error.dtype))
    p95 = torch.nanquantile(of_both, 0.95, dim=0)
    times = torch.where(cars.is_lost, torch.nan, _time_over_profile(driven))
    columns = zip(
        together(cars.cross_track_rmse.square()).sqrt().tolist(),
        cars.cross_track_max.reshape(-1, CARS_EACH).amax(-1).tolist(),
        together(cars.speed_rmse.square()).sqrt().tolist(),
        is_lost.tolist(),
        torch.where(is_lost > 0, failed(driven.trajectory.vehicle).cross_track_p95_m, p95).tolist(),
        times.reshape(-1, CARS_EACH)[:, 1:].mean(-1).tolist(),
        strict=True,
    )
    return [SuiteFigures(*values) for values in columns]
