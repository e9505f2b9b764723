"""Searches the parameters of the classical controllers on a path, by the cross-entropy method."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.controllers.config import CONTROLLERS
from diffcar.controllers.contract import Controller
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarScene
from diffcar.tasks.tracking.drive import drive, halving
from diffcar.tasks.tracking.metrics import CARS_EACH, car_figures
from diffcar.training.config import TuningConfig

__all__ = ["Generation", "tune"]

_ELITE_SHARE = 1 / 8
# Keeps the search from narrowing to a point by chance; a share of the whole range.
_LEAST_SPREAD = 0.005


@dataclass(frozen=True)
class Generation:
    """What a round of the search came to."""

    number: int
    """From 1."""
    parameters: dict[str, float]
    """The best found so far."""
    cross_track_rmse_m: float
    """With these, on the path that is searched on [m]."""
    num_env_steps: int
    """Control steps of all cars so far."""
    seconds: float
    """Wall time so far [s]."""


def tune(
    name: str, scene: CarScene, path: ReferencePath, config: TuningConfig, *, seed: int
) -> Iterator[Generation]:
    """Search for the parameters with the smallest cross-track RMSE on a path.

    Each candidate drives two cars, one from rest at the beginning and one flying from half-way.
    The first candidates are spread evenly over the ranges, the later ones normally around the best
    eighth of the round before.

    Args:
        name: Of a controller with a `SEARCH`.
        scene: Plain cars, two a candidate.

    Source:
        R. Rubinstein, "The Cross-Entropy Method for Combinatorial and Continuous Optimization",
        Methodology and Computing in Applied Probability 1, 1999.
    """
    kind = CONTROLLERS[name]
    ranges: dict[str, tuple[float, float]] = kind.SEARCH  # type: ignore[attr-defined]
    low, high = torch.tensor(list(ranges.values()), dtype=torch.float64).T
    generator = torch.Generator().manual_seed(seed)
    sobol = torch.quasirandom.SobolEngine(len(ranges), scramble=True, seed=seed)
    num_candidates = scene.num_envs // CARS_EACH
    unit = sobol.draw(num_candidates, dtype=torch.float64)
    best, best_rmse = unit[0], torch.tensor(torch.inf, dtype=torch.float64)
    num_env_steps = 0
    began = time.perf_counter()
    for number in range(1, config.num_generations + 1):
        parameters = dict(zip(ranges, (low + unit * (high - low)).T, strict=True))
        rmse, num_steps = _rmse_of(kind, parameters, scene, path, config.duration)
        num_env_steps += num_steps * scene.num_envs
        order = rmse.argsort()
        if rmse[order[0]] < best_rmse:
            best, best_rmse = unit[order[0]], rmse[order[0]]
        elite = unit[order[: max(2, round(_ELITE_SHARE * num_candidates))]]
        spread = elite.std(0).clamp_min(_LEAST_SPREAD)
        draw = torch.randn(unit.shape, generator=generator, dtype=torch.float64)
        unit = (elite.mean(0) + spread * draw).clamp(0.0, 1.0)
        yield Generation(
            number=number,
            parameters=dict(zip(ranges, (low + best * (high - low)).tolist(), strict=True)),
            cross_track_rmse_m=float(best_rmse),
            num_env_steps=num_env_steps,
            seconds=time.perf_counter() - began,
        )


def _rmse_of(
    kind: Callable[..., Controller],
    parameters: dict[str, Tensor],
    scene: CarScene,
    path: ReferencePath,
    seconds: float,
) -> tuple[Tensor, int]:
    """Return each candidate's RMSE on the path [m], and how many steps the cars were driven.

    The RMSE of one with which a car breaks the physics is infinite.
    """
    is_standing = torch.arange(scene.num_envs, device=scene.device) % CARS_EACH == 0
    half_way = torch.full_like(is_standing, path.length / 2, dtype=path.dtype)
    num_candidates, num_steps = scene.num_envs // CARS_EACH, 0

    def rmse_of(some: Sequence[int]) -> list[float]:
        nonlocal num_steps
        # The scene has its number of cars: the last candidate takes those that are left over.
        filled = [*some, *[some[-1]] * (num_candidates - len(some))]
        own = {
            name: value[filled].repeat_interleave(CARS_EACH).to(scene.device, scene.dtype)
            for name, value in parameters.items()
        }
        driven = drive(
            scene,
            kind(scene.vehicle, **own),
            path,
            is_standing=is_standing,
            arc_length=torch.where(is_standing, 0.0, half_way),
            max_time=seconds,
        )
        num_steps += driven.trajectory.num_steps
        rmse = car_figures(driven, must_arrive=False).cross_track_rmse.reshape(-1, CARS_EACH)
        found: list[float] = rmse.square().mean(-1).sqrt().tolist()
        return found[: len(some)]

    rmse = halving(rmse_of, range(num_candidates), math.inf)
    return torch.tensor(rmse, dtype=torch.float64), num_steps
