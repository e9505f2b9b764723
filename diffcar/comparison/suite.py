"""Drives the runs of a comparison over its suite, many at once, in both engines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.log import logger
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.results import CurvePoint, DrivenTrack, Score
from diffcar.comparison.runs import Driver, FinishedRun, team_of
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.contract import CarScene
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.disturbances import DisturbedScene, NoisyController
from diffcar.tasks.tracking.drive import Drive, drive
from diffcar.tasks.tracking.metrics import (
    CARS_EACH,
    FAILED,
    LOST_CROSS_TRACK,
    SuiteFigures,
    suite_figures,
)

__all__ = ["Suite", "drive_suite"]

# Drivers on the road at once: enough to share the cost of a step, few enough to build quickly.
_DRIVERS_AT_ONCE = 32
_DRAWN_POINTS = 400


@dataclass(frozen=True)
class _Driven:
    """How a driver drove a path."""

    figures: SuiteFigures
    drive: Drive | None
    """The drive that it was part of; None if it broke the physics."""
    car: int
    """Its car in it that started at rest."""


def drive_suite(
    scene: CarScene,
    drivers: Sequence[Driver],
    path: ReferencePath,
    disturbance: DisturbanceConfig,
    *,
    seed: int,
) -> tuple[list[SuiteFigures], Drive]:
    """Let all drivers drive a path, each from rest and from a flying start.

    Args:
        scene: Plain cars, `CARS_EACH` for each driver.
        drivers: What drives.
        path: What they follow, in the scene's number format.
        disturbance: What they meet; every driver meets the same.
        seed: Of the disturbance.

    Returns:
        The figures of each driver, and the drive of all cars, driver by driver.
    """
    team = team_of(drivers, scene, CARS_EACH)
    plant, sensors = (torch.Generator().manual_seed(seed + offset) for offset in (0, 1))
    is_standing = torch.arange(scene.num_envs, device=scene.device) % CARS_EACH == 0
    driven = drive(
        DisturbedScene(scene, disturbance, plant, cars_alike=CARS_EACH),
        NoisyController(team, disturbance, sensors, cars_alike=CARS_EACH),
        path,
        is_standing=is_standing,
        must_stay_finite=False,
    )
    return suite_figures(driven), driven


class Suite:
    """The paths, conditions and engines of a comparison, ready to be driven.

    Args:
        config: The comparison's settings.
        paths: Those of the suite.
        vehicle: The car.
    """

    def __init__(
        self, config: CompareConfig, paths: Sequence[ReferencePath], vehicle: Vehicle
    ) -> None:
        self._config = config
        num_envs = CARS_EACH * _DRIVERS_AT_ONCE
        logger.info(f"building the scenes of the suite, {num_envs} cars each")
        genesis = build_scene(config, num_envs=num_envs, vehicle=vehicle, with_varied_mass=True)
        self._scenes: dict[str, CarScene] = {"genesis": genesis}
        for engine in config.suite.engines:
            if engine != "genesis":
                self._scenes[engine] = build_scene(
                    config, num_envs=num_envs, vehicle=vehicle, engine=engine
                )
        self._paths = [path.to(genesis.dtype, genesis.device) for path in paths]

    def scores(self, runs: Sequence[FinishedRun]) -> tuple[list[Score], list[DrivenTrack]]:
        """Return everybody's final scores, and the undisturbed drives of the first seed."""
        scores, tracks = [], []
        conditions = {"nominal": DisturbanceConfig(), **self._config.suite.conditions}
        for engine in self._config.suite.engines:
            for condition, disturbance in conditions.items():
                logger.info(f"driving the suite: {engine}, {condition}")
                for path in self._paths:
                    drives = self._drive([own.driver for own in runs], engine, path, disturbance)
                    for own, driven in zip(runs, drives, strict=True):
                        run = own.run
                        where = (engine, condition, path.name)
                        scores.append(Score(run.method, run.seed, *where, driven.figures))
                        is_drawn = condition == "nominal" and run.seed == self._config.seeds[0]
                        if is_drawn and driven.drive is not None:
                            tracks.append(
                                _track(run.method, engine, path, driven.drive, driven.car)
                            )
        return scores, tracks

    def curves(self, runs: Sequence[FinishedRun]) -> Iterator[CurvePoint]:
        """Yield how good every run was at each snapshot of its training."""
        logger.info("driving the suite with the snapshots of all trainings")
        points = [(own.run, snapshot) for own in runs for snapshot in own.snapshots]
        drivers = [snapshot.driver for _, snapshot in points]
        by_path = [
            [driven.figures for driven in self._drive(drivers, "genesis", path)]
            for path in self._paths
        ]
        for (run, snapshot), own in zip(points, zip(*by_path, strict=True), strict=True):
            yield CurvePoint(
                method=run.method,
                seed=run.seed,
                iteration=snapshot.iteration,
                train_seconds=snapshot.train_seconds,
                num_env_steps=snapshot.num_env_steps,
                cross_track_rmse_m=sum(f.cross_track_rmse_m for f in own) / len(own),
                lost=sum(f.lost for f in own) / len(own),
            )

    def _drive(
        self,
        drivers: Sequence[Driver],
        engine: str,
        path: ReferencePath,
        disturbance: DisturbanceConfig | None = None,
    ) -> Iterator[_Driven]:
        """Yield how each driver drives, as many at once as there is room for."""
        for first in range(0, len(drivers), _DRIVERS_AT_ONCE):
            some = drivers[first : first + _DRIVERS_AT_ONCE]
            scene = self._scenes[engine]
            yield from self._drive_together(some, scene, path, disturbance or DisturbanceConfig())

    def _drive_together(
        self,
        drivers: Sequence[Driver],
        scene: CarScene,
        path: ReferencePath,
        disturbance: DisturbanceConfig,
    ) -> list[_Driven]:
        """Drive as many as there is room for; who breaks the physics fails alone."""
        # The scene has its number of cars: the last driver takes those that are left over.
        filled = [*drivers, *[drivers[-1]] * (_DRIVERS_AT_ONCE - len(drivers))]
        try:
            figures, driven = drive_suite(scene, filled, path, disturbance, seed=self._config.seed)
        except SimulationError:
            # Genesis stops all cars when the state of one is no longer finite, and does not say
            # whose it is.
            if len(drivers) == 1:
                return [_Driven(FAILED, None, 0)]
            half = len(drivers) // 2
            return [
                own
                for some in (drivers[:half], drivers[half:])
                for own in self._drive_together(some, scene, path, disturbance)
            ]
        own = figures[: len(drivers)]
        return [_Driven(each, driven, number * CARS_EACH) for number, each in enumerate(own)]


def _track(method: str, engine: str, path: ReferencePath, driven: Drive, car: int) -> DrivenTrack:
    """Return a drive from rest, thinned for drawing."""
    trajectory = driven.trajectory
    distance = trajectory.distance[:, car]
    is_driven = (distance <= driven.goal_distance[car]) & (
        trajectory.cross_track_error[:, car].abs() <= LOST_CROSS_TRACK
    )
    x, y = trajectory.unshifted_position[:, car].to(distance.device).unbind(-1)
    every = max(1, int(is_driven.sum()) // _DRAWN_POINTS)

    def thinned(values: Tensor) -> list[float]:
        return [round(value, 5) for value in values[is_driven][::every].tolist()]

    return DrivenTrack(
        method=method,
        engine=engine,
        path=path.name,
        distance=thinned(distance),
        x=thinned(x),
        y=thinned(y),
        cross_track=thinned(trajectory.cross_track_error[:, car]),
    )
