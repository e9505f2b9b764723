"""What the trainings of a comparison share: scenes, roads, and what comes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffcar.base.errors import ConfigError
from diffcar.base.log import logger
from diffcar.compare.config import CompareConfig
from diffcar.compare.contestants import Driver
from diffcar.compare.results import Run
from diffcar.path.load import load_path
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.model.vehicle import Vehicle
from diffcar.training.run import Course
from diffcar.training.session import OnUpdate

__all__ = ["NUM_JUDGED_CARS", "Learner", "Workshop", "require_same"]

NUM_JUDGED_CARS = 16
"""Cars that a training is judged with."""


@dataclass(frozen=True)
class Learner:
    """A run, who drives for it in the end, and who drove on the way there."""

    run: Run
    """Its figures so far."""
    driver: Driver
    """Who drives in the end."""
    history: list[tuple[int, float, int, Driver]] = field(default_factory=list)
    """Iteration, wall time [s], control steps, and who drove by then."""


@dataclass
class Workshop:
    """The scenes that trainings share, each built when it is first needed.

    Args:
        config: The configuration of the comparison.
        vehicle: The car.
        on_update: Told of every update and evaluation.
        loaded: Runs by method that are taken as they are instead of trained.
    """

    config: CompareConfig
    vehicle: Vehicle
    on_update: OnUpdate
    loaded: Mapping[str, Path] = field(default_factory=dict)
    _scenes: dict[tuple[int, bool, bool], GenesisCar] = field(default_factory=dict)

    def judged_cars(self) -> GenesisCar:
        """Return the cars that trainings are judged with, which none has on the road meanwhile."""
        return self.cars(NUM_JUDGED_CARS, are_judged=True)

    def cars(
        self, num_envs: int, *, differentiable: bool = False, are_judged: bool = False
    ) -> GenesisCar:
        """Return a scene of so many cars.

        Args:
            num_envs: Their number.
            differentiable: Whether it can be trained in.
            are_judged: Whether it is that of `judged_cars`.
        """
        key = (num_envs, differentiable, are_judged)
        if key not in self._scenes:
            kind = "differentiable" if differentiable else "plain"
            logger.info(f"building a {kind} scene of {num_envs} cars")
            self._scenes[key] = build_scene(
                self.config,
                num_envs=num_envs,
                differentiable=differentiable,
                vehicle=self.vehicle,
            )
        return self._scenes[key]

    def course(self, seed: int) -> Course:
        """Return the training path of a seed, in the scenes' number format.

        Args:
            seed: Of the training.
        """
        path = load_path(self.config.path, seed=seed, max_curvature=self.vehicle.max_curvature)
        judged = self.judged_cars()
        return Course(self.vehicle, path.to(judged.dtype, judged.device), [])


def require_same(run: Path, stored: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Refuse a finished or begun run whose settings are no longer those of the comparison.

    Args:
        run: Its folder.
        stored: Its settings.
        wanted: Those of the comparison.

    Raises:
        ConfigError: With the keys that differ.
    """
    differing = sorted(
        key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key)
    )
    if differing:
        raise ConfigError(
            f"{str(run)!r} was begun with other settings of: {', '.join(differing)}",
            hint="go on with the settings as they were, or remove that folder to begin it anew",
        )
