"""The cars that `check-grad` looks at: a scene, a path and a network, and what is certified."""

from collections.abc import Sequence
from dataclasses import dataclass

from diffcar.checks.config import CheckGradConfig
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.gradients.problem import Problem
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.grip import load_road
from diffcar.tasks.tracking.problem import tracking_problem

__all__ = ["CarBench", "Label"]

Label = tuple[str, str]
"""Regime of a car and kind of parameter that it is about."""


@dataclass(frozen=True)
class CarBench:
    """Differentiable cars on a path, one a label."""

    config: CheckGradConfig
    """What was asked for."""
    labels: Sequence[Label]
    """What each car is about."""
    scene: GenesisCar
    """The cars."""
    path: ReferencePath
    """What they drive along, in the scene's number format."""
    controller: TrackingMLP
    """An untrained network."""

    @classmethod
    def build(
        cls, config: CheckGradConfig, vehicle: Vehicle, labels: Sequence[Label]
    ) -> "CarBench":
        """Build it, still without repairs."""
        scene = build_scene(
            config, num_envs=len(labels), differentiable=True, vehicle=vehicle, with_repairs=False
        )
        path = load_road(config.path, vehicle, seed=config.seed).to(scene.dtype, scene.device)
        controller = build_tracking_mlp(
            config.controller, vehicle, dtype=scene.dtype, device=scene.device, seed=config.seed
        )
        return cls(config, labels, scene, path, controller)

    def problem(self, horizon: int, labels: Sequence[Label] | None = None) -> Problem:
        """Return what is certified over a horizon, of the bench's labels or as many others."""
        settings = self.config.certificate
        return tracking_problem(
            self.scene,
            self.controller,
            self.path,
            self.labels if labels is None else labels,
            horizon=horizon,
            step_sizes=settings.step_sizes,
            tolerance=settings.tolerance,
            seed=self.config.seed,
        )
