"""`diffcar record`: demonstrations of an expert as a CSV file."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from diffcar.base.files import Unwritten, kept
from diffcar.base.table import Column, Shown, Table, across
from diffcar.controllers.choose import choose_controller
from diffcar.demonstrations.config import RecordConfig
from diffcar.demonstrations.files import write_demonstrations
from diffcar.demonstrations.recording import Recording, record_demonstrations
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.model.doubts import notes_of
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.tasks.tracking.grip import load_road
from diffcar.tasks.tracking.metrics import (
    GOT_GOING,
    METRICS,
    METRICS_OF_A_TIME,
    TrackingMetrics,
    skipped_distance,
    tracking_metrics,
)

__all__ = ["RecordResult", "recording_report", "run"]

# The figures of tracking that are shown.
_KEYS = ("cross_track_rmse_m", "cross_track_p95_m", "cross_track_max_m", "speed_rmse_mps")
# What no clone of a car of the shipped one's size can be expected to make up for [m].
_POOR_CROSS_TRACK = 0.3


@dataclass(frozen=True)
class RecordResult:
    """A recording and its figures."""

    file: str
    """Where the demonstrations are."""
    expert: str
    """Whose actions they are."""
    path: ReferencePath
    """What it was driven along."""
    num_rows: int
    """Pairs of state and action."""
    num_episodes: int
    """Cars, each of which drove one episode."""
    num_noisy_episodes: int
    """Episodes whose commands were disturbed."""
    num_lost_episodes: int
    """Episodes that end early because their car lost the path."""
    episode_seconds: float
    """Simulated time of an episode, at the most [s]."""
    recorded_seconds: float
    """Simulated time of all rows [s]."""
    noisy_row_share: float
    """Share of the rows that are of disturbed episodes."""
    skip_distance_m: float
    """Metrics count from this far after each start [m]."""
    metrics: TrackingMetrics
    """How well the expert tracks the path undisturbed; NaN if every episode is disturbed."""
    noisy_metrics: TrackingMetrics
    """The same of the disturbed episodes."""
    wall_seconds: float
    """Wall time of the drive, without building the scene [s]."""
    notes: tuple[str, ...]
    """What differs from the expert's training, and warnings about the expert and the path."""
    unwritten: Unwritten = field(default_factory=dict)
    """Files that could not be written, and why."""

    def as_json(self) -> dict[str, object]:
        """Return flat values for a JSON file."""
        values = {**vars(self), **self.path.as_json()}
        values |= {"path": self.path.name, "path_length_m": self.path.length}
        del values["metrics"], values["noisy_metrics"], values["unwritten"]
        own, noisy = Table("", METRICS_OF_A_TIME, [self.metrics, self.noisy_metrics]).records()
        return {**values, **own, **{f"noisy_{name}": value for name, value in noisy.items()}}


def run(
    config: RecordConfig, *, out: Path, on_step: Callable[[float], None] = lambda fraction: None
) -> RecordResult:
    """Drive an expert in plain physics and write its demonstrations.

    A trained expert drives in the physics it was trained in, unless the configuration sets another
    one explicitly.

    Args:
        on_step: Called after each step with the fraction of the time that is over.

    Raises:
        DiffcarError: If the expert, the path or the model is unusable.
    """
    expert = choose_controller(config.expert)
    config, notes = expert.in_its_physics(config)
    vehicle = car_of(config)
    config = suited(config, vehicle)
    expert.require_knowledge_of(vehicle)
    notes += notes_of(vehicle)
    path = load_road(config.path, vehicle, seed=config.seed)
    num_cars = config.demonstrations.num_episodes
    scene = build_scene(config, num_envs=num_cars, differentiable=False, vehicle=vehicle)
    path = path.to(scene.dtype, scene.device)
    began = time.perf_counter()
    recording = record_demonstrations(
        scene,
        expert.build(scene),
        path,
        config.controller,
        config=config.demonstrations,
        start_config=config.start,
        seed=config.seed,
        on_step=on_step,
    )
    wall_seconds = time.perf_counter() - began
    unwritten: Unwritten = {}
    with kept(unwritten, out):
        write_demonstrations(recording.table, out)
    return _result(
        config,
        recording,
        file=str(out),
        wall_seconds=wall_seconds,
        notes=[*notes, *path.warnings],
        unwritten=unwritten,
    )


def _result(
    config: RecordConfig,
    recording: Recording,
    *,
    file: str,
    wall_seconds: float,
    notes: list[str],
    unwritten: Unwritten,
) -> RecordResult:
    """Return what came of a recording, and a note where the expert is a poor one."""
    path, vehicle = recording.trajectory.path, recording.trajectory.vehicle
    drivable = config.demonstrations.duration * config.path.top_speed
    skip_distance = min(skipped_distance(path, vehicle), drivable / 4)
    metrics = _metrics(recording, ~recording.is_noisy, skip_distance)
    if metrics.cross_track_max_m > _POOR_CROSS_TRACK * vehicle.size:
        notes.append(
            f"{config.expert} itself strays {1e3 * metrics.cross_track_max_m:.0f} mm from the path "
            "and so will its clones; another --expert may do better"
        )
    episode, num_noisy = recording.table["episode"], int(recording.is_noisy.sum())
    return RecordResult(
        file=file,
        expert=config.expert,
        path=path,
        num_rows=len(episode),
        num_episodes=config.demonstrations.num_episodes,
        num_noisy_episodes=num_noisy,
        num_lost_episodes=int(recording.is_lost.sum()),
        episode_seconds=config.demonstrations.duration,
        recorded_seconds=round(len(episode) * recording.trajectory.dt, 9),
        # The disturbed cars are the first.
        noisy_row_share=float((episode < num_noisy).double().mean()),
        skip_distance_m=skip_distance,
        metrics=metrics,
        noisy_metrics=_metrics(recording, recording.is_noisy, skip_distance),
        wall_seconds=wall_seconds,
        notes=tuple(notes),
        unwritten=unwritten,
    )


def _metrics(recording: Recording, cars: torch.Tensor, skip_distance: float) -> TrackingMetrics:
    """Return how well some of the cars track the path, up to the end of an open one."""
    trajectory = recording.trajectory.select(cars)
    end = math.inf if trajectory.path.closed else trajectory.path.length
    goal = end - trajectory.start_arc_length
    return tracking_metrics(trajectory, goal_distance=goal, skip_distance=skip_distance)


class _Half(NamedTuple):
    """The episodes that were disturbed, or those that were not."""

    num_episodes: int
    num_rows: int
    metrics: TrackingMetrics


def recording_report(result: RecordResult) -> list[Shown]:
    """Return what was recorded, and how well the expert tracks the path."""
    num_noisy, num_noisy_rows = result.num_noisy_episodes, result.noisy_row_share * result.num_rows
    noisy = _Half(num_noisy, round(num_noisy_rows), result.noisy_metrics)
    clean = _Half(result.num_episodes - num_noisy, result.num_rows - noisy.num_rows, result.metrics)
    columns: list[Column[_Half]] = [
        Column("episodes", lambda half: half.num_episodes),
        Column("rows", lambda half: half.num_rows),
        *(column.within(lambda half: half.metrics) for column in METRICS if column.key in _KEYS),
        GOT_GOING.within(lambda half: half.metrics),
    ]
    table = across(
        f"{result.expert} on {result.path.name} ({result.path.length:.1f} m, "
        f"{result.path.kind}), errors after the first {result.skip_distance_m:.3g} m",
        "recorded",
        columns,
        {"undisturbed": clean, "disturbed": noisy},
    )
    lost = f", {result.num_lost_episodes} lost the path" if result.num_lost_episodes else ""
    return [
        table,
        f"{result.num_rows} rows, {result.noisy_row_share:.0%} of them disturbed, "
        f"{result.num_episodes} episodes of {result.episode_seconds:g} s{lost}, "
        f"driven in {result.wall_seconds:.1f} s",
    ]
