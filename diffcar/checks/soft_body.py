"""`diffcar check-grad --entity mpm`: what of an elastic body of particles can be differentiated."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from diffcar.base.log import logger
from diffcar.checks.capabilities import car_capabilities, soft_body_capabilities
from diffcar.checks.config import CheckGradConfig
from diffcar.gradients.capabilities import Capability
from diffcar.gradients.certificate import attempt
from diffcar.gradients.slopes import Verdict, worst_of
from diffcar.sim.build import build_scene, repair
from diffcar.sim.config import CarConfig, SoftBodyConfig
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing.problem import INPUTS, NOISY_MATERIAL, input_problem

__all__ = ["CheckSoftBodyResult", "SoftBodyCheck", "as_json", "check_input", "run"]

_TOLERANCE = 1e-5
_NUM_ENVS = 4
_FALL_STEPS = 10
# The forward pass of this material is too noisy for differences of longer falls.
_NOISY_FALL_STEPS = 5
_PUSH_STEPS = (5, 10, 30)


@dataclass(frozen=True)
class SoftBodyCheck:
    """What the check of one input came to."""

    input: str
    """The input, one of `INPUTS`."""
    material: str
    """Material of the body."""
    horizon: int
    """Control steps from the first input to the scored state."""
    is_repaired: bool
    """Whether Genesis's gradients were repaired, or taken as they come."""
    num_directions: int
    """Directions compared, one in each environment."""
    num_kinks: int
    """Those of them along which no derivative exists."""
    median_relative_error: float
    """Of the directions without a kink; not a number where none was compared."""
    worst_relative_error: float
    """Of the directions without a kink; not a number where none was compared."""
    verdict: Verdict
    """What they come to."""
    detail: str = ""
    """The text of the error where the attempt raised one."""


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
        return [c for c in self.checks if c.is_repaired and c.material != NOISY_MATERIAL]

    @property
    def worst_relative_error(self) -> float | None:
        """Return the largest error of a decisive check; None without any."""
        errors = [check.worst_relative_error for check in self.decisive]
        return worst_of(errors) if errors else None

    @property
    def certified(self) -> bool:
        """Return whether every decisive gradient is right."""
        return bool(self.decisive) and all(check.verdict.is_good for check in self.decisive)


def run(config: CheckGradConfig) -> CheckSoftBodyResult:
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
    for check in _check_inputs(body):
        result.checks.append(check)
        repaired = "repaired" if check.is_repaired else "as Genesis comes"
        logger.info(f"{check.material}: {check.input}, {check.horizon} steps, {repaired}")
    logger.info("measuring what else can be differentiated, and its cost")
    result.capabilities += [_as_capability(check) for check in result.decisive]
    result.capabilities += soft_body_capabilities(body)
    logger.info("measuring the same of the rigid car")
    result.capabilities += car_capabilities(
        CarConfig(seed=config.seed, backend=config.backend, precision=64)
    )
    result.wall_seconds = time.perf_counter() - began
    return result


def _check_inputs(config: SoftBodyConfig) -> Iterator[SoftBodyCheck]:
    """Check every input of a soft body; where a repair matters, first as Genesis comes.

    The tool is checked on the first material, muscles on the one that has them, the initial
    velocity on all.
    """
    tool = [("tool velocity", steps) for steps in _PUSH_STEPS]
    tool += [(name, _PUSH_STEPS[0]) for name in INPUTS[3:]]
    fall = [("initial velocity", _FALL_STEPS)]
    noisy_fall = [("initial velocity", _NOISY_FALL_STEPS)]
    muscles = [("muscle activation", _FALL_STEPS)]
    # Only what a repair changes is checked without it, too.
    for material, as_it_comes, repaired in (
        ("elastic", tool, fall + tool),
        (NOISY_MATERIAL, noisy_fall, noisy_fall),
        ("muscle", [], fall + muscles),
    ):
        chosen = config.model_copy(update={"material": material})
        scene = build_scene(chosen, num_envs=_NUM_ENVS, differentiable=True, with_repairs=False)
        for name, steps in as_it_comes:
            yield check_input(scene, name, steps, material=material)
        repair(scene)
        for name, steps in repaired:
            yield check_input(scene, name, steps, material=material, is_repaired=True)


def check_input(
    scene: GenesisSoftBody,
    name: str,
    horizon: int,
    *,
    material: str = "elastic",
    is_repaired: bool = False,
    tool_offset: Sequence[float] = (0.0, 0.0, 0.0),
) -> SoftBodyCheck:
    """Check the gradient by one input (see `input_problem`); an error is a result, too."""
    found = attempt(
        input_problem(
            scene,
            name,
            horizon,
            material=material,
            tool_offset=tool_offset,
            tolerance=_TOLERANCE,
        )
    )
    summary = found.rows[0].summary
    return SoftBodyCheck(
        input=name,
        material=material,
        horizon=horizon,
        is_repaired=is_repaired,
        num_directions=summary.num_directions,
        num_kinks=summary.num_kinks,
        median_relative_error=summary.median_relative_error,
        worst_relative_error=summary.worst_relative_error,
        verdict=found.verdict,
        detail="; ".join(failure.text for failure in found.failures),
    )


def _as_capability(check: SoftBodyCheck) -> Capability:
    """Turn the check of a repaired input into a row."""
    return Capability(
        entity="mpm",
        kind="write",
        name=f"{check.input} ({check.material})",
        outcome=check.verdict,
        figure=check.worst_relative_error,
        detail=check.detail or f"{check.horizon} steps, repaired",
    )


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
