"""`diffcar check-grad --entity mpm`: what of an elastic body of particles can be differentiated."""

import time
from dataclasses import asdict, dataclass, field

from diffcar.base.log import logger
from diffcar.checks.car_capabilities import car_capabilities
from diffcar.checks.config import CheckGradConfig
from diffcar.checks.soft_body_capabilities import soft_body_capabilities
from diffcar.gradients.capabilities import Capability
from diffcar.gradients.slopes import GOOD_VERDICTS, worst_of
from diffcar.sim.config import CarConfig, SoftBodyConfig
from diffcar.tasks.pushing.problem import SoftBodyCheck, check_soft_body

__all__ = ["CheckSoftBodyResult", "as_json", "run"]

_TOLERANCE = 1e-5


@dataclass
class CheckSoftBodyResult:
    """What the check found."""

    tolerance: float
    """Largest relative error that certifies."""
    checks: list[SoftBodyCheck] = field(default_factory=list)
    """Input by input."""
    capabilities: list[Capability] = field(default_factory=list)
    """What rigid and MPM entities can and cannot differentiate."""
    wall_seconds: float = 0.0
    """Wall time, imports left out [s]."""

    @property
    def decisive(self) -> list[SoftBodyCheck]:
        """Return the checks that decide: with repairs, of the materials that training is for.

        Genesis's corotated material is not among them: its own forward pass is too noisy.
        """
        return [c for c in self.checks if c.is_repaired and c.material != "corotated"]

    @property
    def worst_relative_error(self) -> float | None:
        """Return the largest error of a decisive check; None without any."""
        errors = [check.worst_relative_error for check in self.decisive]
        return worst_of(errors) if errors else None

    @property
    def certified(self) -> bool:
        """Return whether every decisive gradient is right."""
        return bool(self.decisive) and all(
            check.verdict in GOOD_VERDICTS for check in self.decisive
        )


def run(
    config: CheckGradConfig,
) -> CheckSoftBodyResult:
    """Check the gradients of an elastic body and of a tool that pushes it.

    Args:
        config: Seed and backend; the body's own settings are its defaults.

    Returns:
        What was found.

    Raises:
        DiffcarError: If Genesis refuses the scene.
    """
    began = time.perf_counter()
    body = SoftBodyConfig(seed=config.seed, backend=config.backend, precision=64)
    result = CheckSoftBodyResult(tolerance=_TOLERANCE)
    logger.info("building the soft bodies (some minutes the first time)")
    for check in check_soft_body(body, tolerance=_TOLERANCE):
        result.checks.append(check)
        repaired = "repaired" if check.is_repaired else "as Genesis comes"
        logger.info(f"{check.material}: {check.input}, {check.horizon} steps, {repaired}")
    logger.info("measuring what else can be differentiated, and its cost")
    result.capabilities += soft_body_capabilities(body, result.decisive)
    logger.info("measuring the same of the rigid car")
    result.capabilities += car_capabilities(
        CarConfig(seed=config.seed, backend=config.backend, precision=64)
    )
    result.wall_seconds = time.perf_counter() - began
    return result


def as_json(result: CheckSoftBodyResult) -> dict[str, object]:
    """Return every figure of the check, as JSON holds it."""
    return {
        "entity": "mpm",
        "certified": result.certified,
        "worst_relative_error": result.worst_relative_error,
        "tolerance": result.tolerance,
        "horizons": [
            {
                "horizon": check.horizon,
                "input": check.input,
                "material": check.material,
                "num_directions": check.num_directions,
                "median_relative_error": check.median_relative_error,
                "worst_relative_error": check.worst_relative_error,
            }
            for check in result.decisive
        ],
        "attempts": [
            {
                "name": f"{row.entity}: {row.name}",
                "outcome": row.outcome,
                "error": row.detail if row.outcome in ("error", "refused") else None,
                "relative_error": row.figure,
            }
            for row in result.capabilities
            if row.kind != "cost"
        ],
        "wheels": [],
        "checks": [asdict(check) for check in result.checks],
        "capabilities": [asdict(capability) for capability in result.capabilities],
        "wall_seconds": result.wall_seconds,
    }
