"""Which shapes of wheels roll differentiably, in Genesis as it comes and with the repairs."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from diffcar.base.errors import SimulationError
from diffcar.base.log import logger
from diffcar.checks.config import CheckGradConfig
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.gradients.certificate import Problem, certify
from diffcar.gradients.slopes import DirectionalCheck, Verdict, summarise, verdict
from diffcar.path.load import load_path
from diffcar.sim.build import build_scene, repair
from diffcar.sim.model.vehicle import Vehicle, load_vehicle
from diffcar.sim.model.wheels import WHEEL_SHAPES, with_wheels
from diffcar.tasks.tracking.problem import PARAMETERS, TOLERANCES, tracking_problem

__all__ = ["WheelResult", "audit_wheels"]

_HORIZON = 50
_LABELS = [("rolling", parameter) for parameter in PARAMETERS for _ in range(6)]


@dataclass(frozen=True)
class WheelResult:
    """One shape's gradients."""

    shape: str
    """What the wheels collide as."""
    num_directions: int
    """Directions compared over actions, initial state and network weights."""
    horizon: int
    """Control steps."""
    relative_error: float | None
    """Worst smooth direction with diffcar's repairs; None where no number came."""
    num_kinks: int
    """Directions without a derivative, with the repairs."""
    relative_error_as_it_comes: float | None
    """Worst smooth direction in Genesis as it comes; None where no number came."""
    error: str | None
    """What Genesis raised, if it did."""
    verdict: str
    """A `Verdict`, and whether it takes the repair."""


def audit_wheels(config: CheckGradConfig, vehicle: Vehicle, folder: Path) -> list[WheelResult]:
    """Let the car roll on six shapes of wheels and check each one's gradients.

    Args:
        config: Precision, actuation and so on; the certificate's settings are not used, its
            tolerance apart.
        vehicle: The car whose wheels are replaced.
        folder: Where the models go.

    Returns:
        A row a shape.
    """
    results = []
    for shape in WHEEL_SHAPES:
        logger.info(f"rolling on wheels of shape {shape}")
        wheels = load_vehicle(with_wheels(vehicle, shape, folder), lenient=True)
        results.append(_audit(config, wheels))
    return results


def _audit(config: CheckGradConfig, vehicle: Vehicle) -> WheelResult:
    """Check one car without and with the repairs."""
    scene = build_scene(
        config,
        num_envs=len(_LABELS),
        differentiable=True,
        vehicle=vehicle,
        with_repairs=False,
    )
    problem = tracking_problem(
        scene,
        build_tracking_mlp(
            config.controller, vehicle, dtype=scene.dtype, device=scene.device, seed=config.seed
        ),
        load_path(config.path, seed=config.seed).to(scene.dtype, scene.device),
        _LABELS,
        horizon=_HORIZON,
        # Line contacts are held to the tolerance of the others: the table is there to compare.
        tolerance=config.certificate.tolerance or TOLERANCES[scene.dtype],
        seed=config.seed,
    )
    before, refusal = _compare(problem)
    repair(scene)
    after, later_refusal = _compare(problem)
    return WheelResult(
        shape=vehicle.wheel_shape,
        num_directions=len(_LABELS),
        horizon=_HORIZON,
        relative_error=_worst(after),
        num_kinks=summarise(after).num_kinks,
        relative_error_as_it_comes=_worst(before),
        error=later_refusal or refusal,
        verdict=_verdict(before, after, problem.tolerance),
    )


def _compare(problem: Problem) -> tuple[list[DirectionalCheck], str | None]:
    """Return all directions, and what Genesis raised if it did."""
    try:
        rows = certify(replace(problem, guards=())).rows
    except SimulationError as error:
        return [], str(error)
    return [check for row in rows for check in row.checks], None


def _worst(checks: list[DirectionalCheck]) -> float | None:
    """Return the worst error of the smooth directions, if there are any."""
    worst = summarise(checks).worst_relative_error
    return None if math.isnan(worst) else worst


def _verdict(
    before: list[DirectionalCheck], after: list[DirectionalCheck], tolerance: float
) -> str:
    """Say in words what the errors mean."""
    if before and (told := verdict(before, tolerance)).is_good:
        return f"{told}, as it comes"
    if not after:
        return Verdict.REFUSED
    told = verdict(after, tolerance)
    return f"{told}, with the repair" if told.is_good else told
