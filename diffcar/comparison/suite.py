"""Drives the runs of a comparison over its suite, many at once, in both engines."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from typing import NamedTuple

import pandas as pd
import torch

from diffcar.base.log import logger
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.driven import Driven, KeptDrives
from diffcar.comparison.results import CURVE_COLUMNS, SCORE_COLUMNS, TRACK_COLUMNS
from diffcar.comparison.runs import FinishedRun, RunController
from diffcar.controllers.batch import ControllerBatch
from diffcar.controllers.config import CONTROLLERS
from diffcar.controllers.contract import Controller
from diffcar.controllers.mlp import with_weights
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.contract import CarScene
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.disturbances import DisturbedScene, NoisyController
from diffcar.tasks.tracking.drive import Drive, drive, halving
from diffcar.tasks.tracking.metrics import (
    CARS_EACH,
    SuiteFigures,
    failed,
    lost_distance,
    suite_figures,
)

__all__ = ["Suite", "batch_controllers", "drive_suite"]

# Controllers on the road at once: enough to share the cost of a step, few enough to build quickly.
_CONTROLLERS_AT_ONCE = 32
_DRAWN_POINTS = 400


class _Road(NamedTuple):
    """A path of the suite."""

    path: ReferencePath
    grip: float
    """Share of the car's grip that its speed uses; NaN if it does not go by that."""
    is_ranked: bool
    """Whether methods are ranked on it."""


def drive_suite(
    scene: CarScene,
    controllers: Sequence[RunController],
    path: ReferencePath,
    disturbance: DisturbanceConfig,
    *,
    seed: int,
) -> tuple[list[SuiteFigures], Drive]:
    """Let all controllers drive a path, each from rest and from a flying start.

    Args:
        scene: Plain cars, `CARS_EACH` for each controller.
        controllers: What drives.
        path: What they follow, in the scene's number format.
        disturbance: What they meet; every controller meets the same.
        seed: Of the disturbance.

    Returns:
        The figures of each controller, and the drive of all cars, controller by controller.
    """
    batch = batch_controllers(controllers, scene)
    plant, sensors = (torch.Generator().manual_seed(seed + offset) for offset in (0, 1))
    is_standing = torch.arange(scene.num_envs, device=scene.device) % CARS_EACH == 0
    cars = DisturbedScene(scene, disturbance, plant, cars_alike=CARS_EACH)
    driven = drive(
        cars,
        NoisyController(batch, disturbance, sensors, cars_alike=CARS_EACH, traits=cars.traits),
        path,
        is_standing=is_standing,
        must_stay_finite=False,
    )
    return suite_figures(driven), driven


def batch_controllers(controllers: Sequence[RunController], scene: CarScene) -> ControllerBatch:
    """Let controllers share the cars of a scene; neighbours of a kind are computed together.

    Args:
        controllers: What drives, one after the other.
        scene: Whose cars they drive, `CARS_EACH` each.
    """
    members = []
    for _, group in groupby(controllers, key=lambda controller: controller.kind):
        alike = list(group)
        members.append((_together(alike, scene), len(alike) * CARS_EACH))
    return ControllerBatch(members)


def _together(controllers: Sequence[RunController], scene: CarScene) -> Controller:
    """Return one controller for controllers of a kind."""
    first = controllers[0]
    networks = [controller.network for controller in controllers if controller.network is not None]
    if first.config is not None:
        ensemble = TrackingMLP(networks[0], PathObserver(first.config), scene.vehicle)
        weights = zip(*(network.parameters() for network in networks), strict=True)
        return with_weights(ensemble, [torch.stack(own) for own in weights], envs_each=CARS_EACH)
    own = {
        name: torch.tensor([controller.parameters[name] for controller in controllers])
        .repeat_interleave(CARS_EACH)
        .to(dtype=scene.dtype, device=scene.device)
        for name in first.parameters
    }
    return CONTROLLERS[first.kind](scene.vehicle, **own)


class Suite:
    """The paths, conditions and engines of a comparison, ready to be driven.

    Args:
        config: The comparison's settings.
        paths: Those of the suite.
        vehicle: The car.
        kept: What was driven before.
    """

    def __init__(
        self,
        config: CompareConfig,
        paths: Sequence[ReferencePath],
        vehicle: Vehicle,
        kept: KeptDrives,
    ) -> None:
        self._config = config
        self._kept = kept
        num_envs = CARS_EACH * _CONTROLLERS_AT_ONCE
        genesis = build_scene(config, num_envs=num_envs, vehicle=vehicle, with_varied_mass=True)
        self._scenes: dict[str, CarScene] = {"genesis": genesis}
        for engine in config.suite.engines:
            if engine != "genesis":
                self._scenes[engine] = build_scene(
                    config, num_envs=num_envs, vehicle=vehicle, engine=engine
                )
        roads = zip(paths, config.suite.paths, strict=True)
        self._roads = [
            _Road(
                path.to(genesis.dtype, genesis.device),
                settings.grip or math.nan,
                config.ranked_grip in (None, settings.grip),
            )
            for path, settings in roads
        ]

    def scores(self, runs: Sequence[FinishedRun]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return everybody's final scores, and the undisturbed drives of the first seed.

        Where the paths have several grips, those are the drives at the one that is ranked.
        """
        scores, tracks = [], []
        controllers = [own.controller for own in runs]
        conditions = {"nominal": DisturbanceConfig(), **self._config.suite.conditions}
        for engine in self._config.suite.engines:
            for condition, disturbance in conditions.items():
                logger.info(f"driving the suite: {engine}, {condition}")
                for path, grip, is_ranked in self._roads:
                    drives = self._drive(controllers, engine, path, disturbance)
                    for run, driven in zip((own.run for own in runs), drives, strict=True):
                        where = {"engine": engine, "condition": condition}
                        place = {**where, "path": path.name, "grip": grip}
                        scores.append({**vars(run), **place, **asdict(driven.figures)})
                        is_first = run.seed == self._config.seeds[0]
                        if is_ranked and is_first and condition == "nominal":
                            of_whom = (run.method, engine, path.name)
                            tracks += [(*of_whom, *point) for point in driven.points]
        return (
            pd.DataFrame(scores, columns=SCORE_COLUMNS),
            pd.DataFrame(tracks, columns=TRACK_COLUMNS),
        )

    def curves(self, runs: Sequence[FinishedRun]) -> pd.DataFrame:
        """Return how good every run was at each snapshot of its training, on the paths ranked."""
        logger.info("driving the suite with the snapshots of all trainings")
        points = [(own.run, snapshot) for own in runs for snapshot in own.snapshots]
        controllers = [snapshot.controller for _, snapshot in points]
        calm = DisturbanceConfig()
        paths = (road.path for road in self._roads if road.is_ranked)
        by_path = [self._drive(controllers, "genesis", path, calm) for path in paths]
        rows = []
        for (run, snapshot), own in zip(points, zip(*by_path, strict=True), strict=True):
            figures = [asdict(driven.figures) for driven in own]
            means = {name: sum(f[name] for f in figures) / len(own) for name in figures[0]}
            rows.append({**vars(run), **vars(snapshot), **means})
        return pd.DataFrame(rows, columns=CURVE_COLUMNS)

    def _drive(
        self,
        controllers: Sequence[RunController],
        engine: str,
        path: ReferencePath,
        disturbance: DisturbanceConfig,
    ) -> list[Driven]:
        """Drive as many at once as there is room for; who breaks the physics fails alone."""
        scene, seed, most = self._scenes[engine], self._config.seed, _CONTROLLERS_AT_ONCE

        def together(some: Sequence[RunController]) -> list[Driven]:
            # The scene has its number of cars: the last controller takes those that are left over.
            filled = [*some, *[some[-1]] * (most - len(some))]
            figures, driven = drive_suite(scene, filled, path, disturbance, seed=seed)
            own = figures[: len(some)]
            return [Driven(each, _points(driven, i * CARS_EACH)) for i, each in enumerate(own)]

        fail = Driven(failed(scene.vehicle), [])
        parts = [controllers[i : i + most] for i in range(0, len(controllers), most)]
        return [
            own
            for some in parts
            for own in self._kept.drives(
                some, engine, path, disturbance, partial(halving, together, some, fail)
            )
        ]


def _points(driven: Drive, car: int) -> list[list[float]]:
    """Return where a car drove until its goal or until it was lost, thinned for drawing."""
    trajectory = driven.trajectory
    distance, error = trajectory.distance[:, car], trajectory.cross_track_error[:, car]
    is_on_path = error.abs() <= lost_distance(trajectory.vehicle)
    is_driven = (distance <= driven.goal_distance[car]) & is_on_path
    every = max(1, int(is_driven.sum()) // _DRAWN_POINTS)
    place = trajectory.unshifted_position[:, car].to(distance.device)
    points = torch.stack([distance.double(), *place.T, error.double()], dim=1)
    return points[is_driven][::every].round(decimals=5).tolist()
