"""A controller's drive along a path, from start to goal."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from diffcar.base.errors import PathError, SimulationError
from diffcar.base.log import logger
from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState, starts_on_path
from diffcar.path.reference import PathBatch, ReferencePath
from diffcar.sim.contract import CarScene, CarState, Placement
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.metrics import (
    TrackingMetrics,
    lost_distance,
    skipped_distance,
    tracking_metrics,
)
from diffcar.tasks.tracking.rollout import Trajectory, rollout

__all__ = ["Drive", "drive", "drive_together", "halving"]

_TYPICAL_ACCELERATION = 2.0
# Wall time after which a drive that nobody shows tells how far it is [s].
_TELL_SECONDS = 15.0
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Drive:
    """A finished drive."""

    trajectory: Trajectory
    """The record."""
    goal_distance: Tensor
    """How far along the path each car was to come [m], shape (B,)."""
    has_arrived: Tensor
    """Whether each car had come that far by each step, shape (T, B)."""

    def metrics(self, *, skip_distance: float | None = None) -> TrackingMetrics:
        """Return the figures of all cars together.

        Their errors count after a distance [m] (see `skipped_distance`), and of a car that loses
        the path up to there: how long others are on the road after that says nothing of it.
        """
        driven = self.trajectory
        error = driven.cross_track_error.detach().abs()
        is_lost = (error > lost_distance(driven.vehicle)) | ~torch.isfinite(error)
        was_lost = torch.cat([torch.zeros_like(is_lost[:1]), is_lost[:-1]]).cummax(0).values
        return tracking_metrics(
            driven,
            goal_distance=self.goal_distance,
            skip_distance=skipped_distance(driven.path, driven.vehicle, skip_distance),
            is_driving=~was_lost,
        )

    @property
    def seconds(self) -> Tensor:
        """How long each car took to its goal [s], between steps; NaN of who is not there."""
        after = self.trajectory.distance
        before = torch.cat([torch.zeros_like(after[:1]), after[:-1]])
        arrival = (~self.has_arrived).sum(0, keepdim=True).clamp_max(len(after) - 1)
        # Within the step that it arrives in a car is taken to be evenly fast.
        begun, ended = before.gather(0, arrival), after.gather(0, arrival)
        within = ((self.goal_distance - begun) / (ended - begun)).clamp(0, 1)
        seconds = self.trajectory.dt * (arrival + within)[0]
        return seconds.where(self.has_arrived[-1], torch.nan)

    def along(self, path: ReferencePath, most_steps: int) -> "Drive":
        """Return the drive of cars that all followed one path, up to where it was over for them."""
        driven = self.trajectory
        is_on_path = driven.cross_track_error.abs() <= lost_distance(driven.vehicle)
        is_over = self.has_arrived | ~is_on_path
        ends = is_over.all(-1).nonzero().flatten().tolist()
        num_steps = min([most_steps, *(end + 1 for end in ends[:1])])
        record = replace(driven.until(num_steps), path=path)
        return Drive(record, self.goal_distance, self.has_arrived[:num_steps])

    def select(self, cars: Tensor) -> "Drive":
        """Return the drive of some of the cars, picked by a mask or by indices."""
        own = self.trajectory.select(cars)
        return Drive(own, self.goal_distance[cars], self.has_arrived[:, cars])


def drive(
    scene: CarScene,
    controller: Controller,
    path: ReferencePath,
    *,
    is_standing: Tensor | None = None,
    arc_length: Tensor | None = None,
    cross_track: float = 0.0,
    heading: float = 0.0,
    max_time: float | None = None,
    must_stay_finite: bool = True,
    on_step: Callable[[CarState, ErrorState], None] | None = None,
) -> Drive:
    """Drive each car once around a closed path, or to the end of an open one.

    The drive ends when every car has arrived or has lost the path: is more than a metre off, or as
    much more as it is larger than the shipped one.

    Args:
        is_standing: Whether each car starts at rest, or at the reference speed, shape (B,); None
            starts every other one at rest.
        arc_length: Where each car starts [m], shape (B,); None starts all at the beginning.
        cross_track: Initial lateral offset [m].
        heading: Initial heading offset [rad].
        max_time: Simulated time after which the drive ends [s]; None takes half as
            long again as the path takes at its reference speed, and a second.
        must_stay_finite: Whether a state that is not finite ends everything, or is a car's own
            affair, which has lost the path then.

    Raises:
        PathError: If a car starts at the end of an open path or beyond.
        SimulationError: If the state of a car is no longer finite and must be.
    """
    if is_standing is None:
        is_standing = torch.arange(scene.num_envs, device=scene.device) % 2 == 0
    path = path.to(scene.dtype, scene.device)
    if arc_length is None:
        arc_length = torch.zeros(len(is_standing), dtype=path.dtype, device=is_standing.device)
    if not path.closed and not bool((arc_length < path.length).all()):
        raise PathError(
            f"a car starts at {float(arc_length.max()):.4g} m of {path.name!r}, which ends at "
            f"{path.length:.4g} m",
            hint="start fewer cars, or closer together, or take a longer path",
        )
    speed = path.sample(arc_length).speed
    speed = torch.where(is_standing, torch.zeros_like(speed), speed)
    start = starts_on_path(path, arc_length, cross_track=cross_track, heading=heading, speed=speed)
    longest = _time_limit(path, scene.vehicle) if max_time is None else max_time
    limit = torch.full_like(arc_length, longest)
    return _drive(scene, controller, path, start, limit, must_stay_finite, on_step)


def drive_together(
    scene: CarScene,
    controller: Controller,
    paths: Sequence[ReferencePath],
    *,
    max_times: Sequence[float | None],
) -> Iterator[tuple[Drive, Tensor]]:
    """Drive several paths at once, each with its share of the cars, as `drive` drives one.

    Of each path every other car starts at rest, and all a little apart, so that the figures are not
    those of one trajectory.

    Args:
        max_times: Of each path, the simulated time after which nobody waits for it [s]; None as
            `drive` has it.

    Yields:
        For each path its drive, and which of its cars have started at rest.

    Raises:
        SimulationError: If the state of a car is no longer finite.
    """
    at_once, car = max(1, scene.num_envs // 2), scene.vehicle
    for first in range(0, len(paths), at_once):
        own = [path.to(scene.dtype, scene.device) for path in paths[first : first + at_once]]
        index = torch.arange(scene.num_envs, device=scene.device)
        which = index * len(own) // scene.num_envs
        number = index - torch.searchsorted(which, which)
        room = torch.tensor([math.inf if path.closed else path.length / 4 for path in own])
        apart = (room / torch.bincount(which).cpu()).clamp_max(0.1 * car.size).to(scene.dtype)
        arc_length = apart.to(scene.device)[which] * number
        road = PathBatch(own, which)
        is_standing = number % 2 == 0
        speed = road.sample(arc_length).speed.where(~is_standing, 0.0)
        start = starts_on_path(road, arc_length, speed=speed)
        times = zip(own, max_times[first : first + at_once], strict=True)
        limits = [_time_limit(path, car) if most is None else most for path, most in times]
        limit = torch.tensor(limits, dtype=scene.dtype, device=scene.device)[which]
        driven = _drive(scene, controller, road, start, limit, True, None)
        for path_number, path in enumerate(own):
            cars = which == path_number
            most_steps = round(limits[path_number] / scene.dt)
            yield driven.select(cars).along(path, most_steps), is_standing[cars]


def halving(
    work: Callable[[Sequence[ItemT]], Sequence[ResultT]], items: Sequence[ItemT], failed: ResultT
) -> list[ResultT]:
    """Do something with all at once; where that breaks the physics, with one half and the other.

    Genesis stops all cars when the state of one is no longer finite, and does not say whose it is.

    Args:
        work: Returns a result for each item.
        failed: The result of one that breaks the physics alone.
    """
    try:
        return list(work(items))
    except SimulationError:
        if len(items) == 1:
            return [failed]
    half = len(items) // 2
    parts = (items[:half], items[half:])
    return [own for some in parts for own in halving(work, some, failed)]


def _drive(
    scene: CarScene,
    controller: Controller,
    road: ReferencePath | PathBatch,
    start: Placement,
    limit: Tensor,
    must_stay_finite: bool,
    on_step: Callable[[CarState, ErrorState], None] | None,
) -> Drive:
    """Drive until every car has arrived, is off its road or out of time [s], shape (B,)."""
    assert start.arc_length is not None
    arc_length, most = start.arc_length, lost_distance(scene.vehicle)
    is_closed = torch.as_tensor(road.closed, device=arc_length.device)
    goal = torch.where(is_closed, 0.0, -arc_length) + road.length
    goal_arc_length = arc_length + goal
    num_steps, told = 0, time.perf_counter()
    is_waited_for = torch.ones_like(is_closed).expand_as(arc_length)

    def is_over(state: CarState, errors: ErrorState) -> bool:
        nonlocal num_steps, told, is_waited_for
        num_steps += 1
        if on_step is not None:
            on_step(state, errors)
        elif (now := time.perf_counter()) - told > _TELL_SECONDS:
            told, seconds = now, num_steps * scene.dt
            logger.info(f"driving: {seconds:.0f} of at most {float(limit.max()):.0f} s simulated")
        is_finite = torch.isfinite(errors.cross_track_error)
        if must_stay_finite and bool((is_waited_for & ~is_finite).any()):
            errors.require_finite()
        is_on_path = errors.cross_track_error.abs() <= most
        is_in_time = num_steps * scene.dt < limit
        is_waited_for = is_on_path & is_in_time & (errors.arc_length < goal_arc_length)
        return not bool(is_waited_for.any())

    with torch.no_grad():
        most_steps = max(1, round(float(limit.max()) / scene.dt))
        trajectory = rollout(scene, controller, road, start, most_steps, on_step=is_over)
    has_arrived = (trajectory.arc_length >= goal_arc_length).cummax(0).values
    return Drive(trajectory, goal, has_arrived)


def _time_limit(path: ReferencePath, vehicle: Vehicle) -> float:
    """Return half as long again as the path takes at its reference speed, from rest [s]."""
    seconds = float(path.timetable[-1]) + float(path.samples[0, 4]) / _TYPICAL_ACCELERATION
    return 1.5 * seconds + vehicle.root_size
