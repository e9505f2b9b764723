"""What of the rigid car can be differentiated, and at which cost, from measurements."""

import statistics
import time
from collections.abc import Iterator

import torch

from diffcar.checks.attempts import list_attempts, run_attempt
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import starts_on_path
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.gradients.capabilities import Capability
from diffcar.gradients.slopes import STEP_SIZES, summarise, verdict
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene, repair
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.tasks.tracking.problem import Certifier

__all__ = ["car_capabilities"]

_ENTITY = "rigid"
_TOLERANCE = 1e-5
_NUM_ENVS = 6
_CONTACT_STEPS = 20
_COST_STEPS = 20
_COST_REPEATS = 3
_REGIMES = {
    "rolling": "wheels roll on a plane",
    "sliding": "wheels slide on a plane",
    "airborne": "no contact",
}


def car_capabilities(config: CarConfig) -> Iterator[Capability]:
    """Measure what can be read, written and touched with gradients, and the time it takes.

    Args:
        config: The scene; its precision must be 64.

    Yields:
        The rows, as they are measured.

    Raises:
        ConfigError: If Genesis runs in this process with other settings.
        SimulationError: If Genesis refuses the scene.
    """
    car = build_scene(config, num_envs=_NUM_ENVS, differentiable=True, with_repairs=False)
    path = load_path(PathConfig(source="line")).to(car.dtype, car.device)
    attempts = list_attempts(path)
    for attempt in attempts:
        if attempt.with_repairs:
            repair(car)
        result = run_attempt(car, attempt, tolerance=_TOLERANCE)
        yield Capability(
            entity=_ENTITY,
            kind=attempt.kind,
            name=attempt.name,
            outcome=result.outcome,
            figure=result.relative_error,
            detail=result.error or "3 steps",
        )
    yield from _contacts(car, path)
    yield from _costs(car, path, "differentiable")
    plain = build_scene(config, num_envs=_NUM_ENVS, differentiable=False)
    yield from _costs(plain, path, "plain")


def _contacts(car: GenesisCar, path: ReferencePath) -> Iterator[Capability]:
    """Differentiate through each regime of contact."""
    controller = build_tracking_mlp(
        ControllerConfig(), car.vehicle, dtype=car.dtype, device=car.device
    )
    certifier = Certifier(
        car,
        controller,
        path,
        [(regime, "actions") for regime in _REGIMES for _ in range(_NUM_ENVS // len(_REGIMES))],
        max_horizon=_CONTACT_STEPS,
        step_sizes=STEP_SIZES[car.dtype],
    )
    for row in certifier.certify(_CONTACT_STEPS):
        yield Capability(
            entity=_ENTITY,
            kind="contact",
            name=_REGIMES[row.regime],
            outcome=verdict(row.checks, _TOLERANCE),
            figure=summarise(row.checks).worst_relative_error,
            detail=f"by the actions, {_CONTACT_STEPS} steps",
        )
    car.variations = {}


def _costs(car: GenesisCar, path: ReferencePath, mode: str) -> Iterator[Capability]:
    """Time the steps of a drive."""
    start = starts_on_path(path, torch.ones(car.num_envs, dtype=car.dtype, device=car.device))
    action = torch.tensor([0.05, 2.0], dtype=car.dtype, device=car.device).expand(car.num_envs, 2)
    forward, backward = [], []
    for _ in range(_COST_REPEATS + 1):
        leaf = action.clone().requires_grad_(car.differentiable)
        car.reset(start)
        began = time.perf_counter()
        for _ in range(_COST_STEPS):
            car.apply(leaf)
            car.step()
        loss = car.read().position.sum()
        forward.append(time.perf_counter() - began)
        if car.differentiable:
            began = time.perf_counter()
            car.backward(loss)
            backward.append(time.perf_counter() - began)
    for name, seconds in (("forward", forward), ("backward", backward)):
        if seconds:
            # The first run compiles.
            yield Capability(
                entity=_ENTITY,
                kind="cost",
                name=f"{mode} {name}",
                outcome="ms a step",
                figure=1e3 * statistics.median(seconds[1:]) / _COST_STEPS,
                detail=f"{car.num_envs} environments of one car, one substep",
            )
