"""The scenes that trainings share, each kind built when it is first needed."""

from collections.abc import Callable

from diffcar.base.log import logger
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.sim.model.doubts import notes_of
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["Scenes"]


class Scenes:
    """Cars of one kind, in as many scenes as training and evaluation need."""

    def __init__(
        self, config: CarConfig, *, build: Callable[..., GenesisCar] = build_scene
    ) -> None:
        self.vehicle: Vehicle = car_of(config)
        """The car, before any variation."""
        self.config = suited(config, self.vehicle)
        for note in notes_of(self.vehicle):
            logger.warning(note)
        self._build = build
        self._built: dict[tuple[int, bool, str, bool], GenesisCar] = {}

    def cars(
        self,
        num_envs: int,
        *,
        differentiable: bool = False,
        purpose: str = "training",
        with_varied_mass: bool = False,
    ) -> GenesisCar:
        """Return a scene of so many cars.

        Scenes of different purposes are never the same, so that cars which are on the road for one
        of them stay there.
        """
        key = (num_envs, differentiable, purpose, with_varied_mass)
        if key not in self._built:
            how = {"differentiable": differentiable, "vehicle": self.vehicle}
            how |= {"with_varied_mass": True} if with_varied_mass else {}
            self._built[key] = self._build(self.config, num_envs=num_envs, **how)
        return self._built[key]
