"""Drives the runs of a comparison over its suite."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.log import logger
from diffcar.compare.config import CompareConfig
from diffcar.compare.contestants import Driver, entrants_of
from diffcar.compare.results import CurvePoint, DrivenTrack, Score
from diffcar.compare.suite import drive_entrants
from diffcar.compare.workshop import Learner, Workshop
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.contract import CarScene
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.drive import Drive
from diffcar.tasks.tracking.metrics import CARS_EACH, FAILED, SuiteFigures

__all__ = ["Jury"]

# Drivers on the road at once: enough to share the cost of a step, few enough to build quickly.
_DRIVERS_AT_ONCE = 32
_DRAWN_POINTS = 400


class Jury:
    """Drives everybody over the suite, in both engines.

    Args:
        config: The configuration of the comparison.
        paths: Those of the suite.
        workshop: The car, and who is told.
    """

    def __init__(
        self,
        config: CompareConfig,
        paths: Sequence[ReferencePath],
        workshop: Workshop,
    ) -> None:
        self._config = config
        num_envs = CARS_EACH * _DRIVERS_AT_ONCE
        logger.info(f"building the scenes of the suite, {num_envs} cars each")
        genesis = build_scene(
            config,
            num_envs=num_envs,
            differentiable=False,
            vehicle=workshop.vehicle,
            with_varied_mass=True,
        )
        self._scenes: dict[str, CarScene] = {"genesis": genesis}
        if "mujoco" in config.suite.engines:
            self._scenes["mujoco"] = build_scene(
                config, num_envs=num_envs, engine="mujoco", vehicle=workshop.vehicle
            )
        self._paths = [path.to(genesis.dtype, genesis.device) for path in paths]

    def judge(self, learners: Sequence[Learner]) -> tuple[list[Score], list[DrivenTrack]]:
        """Return everybody's final scores, and the drives of the first seed."""
        scores, tracks = [], []
        conditions = {"nominal": DisturbanceConfig(), **self._config.suite.conditions}
        for engine in self._config.suite.engines:
            for condition, disturbance in conditions.items():
                logger.info(f"driving the suite: {engine}, {condition}")
                for path in self._paths:
                    drives = self._drive([x.driver for x in learners], engine, path, disturbance)
                    for learner, (figures, driven, car) in zip(learners, drives, strict=True):
                        who = learner.run
                        scores.append(
                            Score(who.method, who.seed, engine, condition, path.name, figures)
                        )
                        is_drawn = condition == "nominal" and who.seed == self._config.seeds[0]
                        if is_drawn and driven is not None:
                            tracks.append(_track(who.method, engine, path, driven, car))
        return scores, tracks

    def curves(self, learners: Sequence[Learner]) -> Iterator[CurvePoint]:
        """Yield how good everybody was at each snapshot of the training."""
        logger.info("driving the suite with the snapshots of all trainings")
        points = [(learner.run, *then) for learner in learners for then in learner.history]
        drivers = [driver for *_, driver in points]
        nominal = DisturbanceConfig()
        columns = [
            [figures for figures, *_ in self._drive(drivers, "genesis", path, nominal)]
            for path in self._paths
        ]
        for number, (who, iteration, seconds, num_env_steps, _) in enumerate(points):
            own = [column[number] for column in columns]
            yield CurvePoint(
                method=who.method,
                seed=who.seed,
                iteration=iteration,
                train_seconds=seconds,
                num_env_steps=num_env_steps,
                cross_track_rmse_m=sum(f.cross_track_rmse_m for f in own) / len(own),
                lost=sum(f.lost for f in own) / len(own),
            )

    def _drive(
        self,
        drivers: Sequence[Driver],
        engine: str,
        path: ReferencePath,
        disturbance: DisturbanceConfig,
    ) -> Iterator[tuple[SuiteFigures, Drive | None, int]]:
        """Yield each driver's figures, the drive that it was part of, and its car in it."""
        for first in range(0, len(drivers), _DRIVERS_AT_ONCE):
            some = drivers[first : first + _DRIVERS_AT_ONCE]
            yield from self._drive_together(some, self._scenes[engine], path, disturbance)

    def _drive_together(
        self,
        drivers: Sequence[Driver],
        scene: CarScene,
        path: ReferencePath,
        disturbance: DisturbanceConfig,
    ) -> list[tuple[SuiteFigures, Drive | None, int]]:
        """Drive as many as there is room for; who breaks the physics fails alone."""
        # The scene has its number of cars: the last driver takes those that are left over.
        filled = [*drivers, *[drivers[-1]] * (_DRIVERS_AT_ONCE - len(drivers))]
        try:
            figures, driven = drive_entrants(
                scene, entrants_of(filled, scene), path, disturbance, seed=self._config.seed
            )
        except SimulationError:
            # Genesis stops all cars when the state of one is no longer finite, and does not say
            # whose it is.
            if len(drivers) == 1:
                return [(FAILED, None, 0)]
            half = len(drivers) // 2
            return [
                drive
                for some in (drivers[:half], drivers[half:])
                for drive in self._drive_together(some, scene, path, disturbance)
            ]
        own = figures[: len(drivers)]
        return [(each, driven, number * CARS_EACH) for number, each in enumerate(own)]


def _track(method: str, engine: str, path: ReferencePath, driven: Drive, car: int) -> DrivenTrack:
    """Return a drive from rest, thinned for drawing."""
    trajectory = driven.trajectory
    distance = trajectory.distance[:, car]
    is_driven = (distance <= driven.goal_distance[car]) & (
        trajectory.cross_track_error[:, car].abs() <= 1.0
    )
    every = max(1, int(is_driven.sum()) // _DRAWN_POINTS)

    def thinned(values: Tensor) -> list[float]:
        return [round(value, 5) for value in values[is_driven][::every].tolist()]

    return DrivenTrack(
        method=method,
        engine=engine,
        path=path.name,
        distance=thinned(distance),
        x=thinned(trajectory.position[:, car, 0]),
        y=thinned(trajectory.position[:, car, 1]),
        cross_track=thinned(trajectory.cross_track_error[:, car]),
    )
