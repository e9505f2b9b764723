"""The cars that `check-grad` looks at: a scene, a path and a network, and what is certified."""

from collections.abc import Sequence

from diffcar.checks.config import CheckGradConfig
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.gradients.problem import Problem
from diffcar.sim.build import build_scene
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.grip import load_road
from diffcar.tasks.tracking.problem import tracking_problem

__all__ = ["CarBench", "Label"]

Label = tuple[str, str]
"""Regime of a car and kind of parameter that it is about."""


class CarBench:
    """Differentiable cars on a path, one a label, still without repairs, and an untrained network.

    Args:
        config: What was asked for.
        vehicle: The car.
        labels: What each car is about.
    """

    def __init__(self, config: CheckGradConfig, vehicle: Vehicle, labels: Sequence[Label]) -> None:
        self.config = config
        self.labels = labels
        self.scene = build_scene(
            config, num_envs=len(labels), differentiable=True, vehicle=vehicle, with_repairs=False
        )
        seed, dtype, device = config.seed, self.scene.dtype, self.scene.device
        self.path = load_road(config.path, vehicle, seed=seed).to(dtype, device)
        self.controller = build_tracking_mlp(
            config.controller, vehicle, dtype=dtype, device=device, seed=seed
        )

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
