"""`diffcar check-grad --entity mpm`: what of an elastic body of particles can be differentiated."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from diffcar.base.log import logger
from diffcar.base.table import Column, Shown, Table, number, verdict_line
from diffcar.checks.capabilities import (
    capabilities_table,
    car_capabilities,
    row_of,
    soft_body_capabilities,
)
from diffcar.checks.config import CheckGradConfig
from diffcar.gradients.capabilities import Capability, outcome_column
from diffcar.gradients.certificate import Certificate, CertificateRow, attempt
from diffcar.sim.build import build_scene, equip
from diffcar.sim.config import SoftBodyConfig
from diffcar.tasks.pushing.problem import INPUTS, NOISY_MATERIAL, input_problem

__all__ = ["CheckSoftBodyResult", "SoftBodyCheck", "run", "soft_body_report"]

_TOLERANCE = 1e-5
_NUM_ENVS = 4
_FALL_STEPS = 10
# The forward pass of this material is too noisy for differences of longer falls.
_NOISY_FALL_STEPS = 5
_PUSH_STEPS = (5, 10, 30)
_OF_HORIZONS = (
    "horizon",
    "input",
    "material",
    "num_directions",
    "median_relative_error",
    "worst_relative_error",
)


class SoftBodyCheck(NamedTuple):
    """The certificate of one input of a body of one material."""

    found: Certificate
    """Of a single row, whose regime is the material and whose parameter is one of `INPUTS`."""
    is_repaired: bool
    """Whether Genesis's gradients were repaired, or taken as they come."""

    @property
    def row(self) -> CertificateRow:
        """Return what was compared."""
        return self.found.rows[0]


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
        return [c for c in self.checks if c.is_repaired and c.row.regime != NOISY_MATERIAL]

    @property
    def certificate(self) -> Certificate:
        """Return what the decisive checks come to together."""
        return sum((check.found for check in self.decisive), Certificate())

    def as_json(self) -> dict[str, object]:
        """Return every figure of the check, as JSON holds it."""
        checks = [
            {
                **_table([own]).records()[0],
                "is_repaired": own.is_repaired,
                "num_kinks": own.row.summary.num_kinks,
                "detail": own.found.told,
            }
            for own in self.checks
        ]
        return {
            "entity": "mpm",
            "certified": self.certificate.is_certified,
            "worst_relative_error": self.certificate.worst_relative_error,
            "tolerance": self.tolerance,
            "horizons": [
                {name: record[name] for name in _OF_HORIZONS}
                for record in _table(self.decisive).records()
            ],
            "attempts": [
                {
                    "name": f"{row.entity}: {row.name}",
                    "outcome": row.outcome,
                    "error": row.detail if row.outcome in ("error", "refused") else None,
                    "relative_error": row.figure,
                }
                for row in self.capabilities
                if row.kind != "cost"
            ],
            "wheels": [],
            "checks": checks,
            "capabilities": [asdict(capability) for capability in self.capabilities],
            "wall_seconds": self.wall_seconds,
        }


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
        row = check.row
        logger.info(f"{row.regime}: {row.parameter}, {row.horizon} steps, {repaired}")
    logger.info("measuring what else can be differentiated, and its cost")
    for check in result.decisive:
        name = f"{check.row.parameter} ({check.row.regime})"
        detail = f"{check.row.horizon} steps, repaired"
        result.capabilities.append(row_of("write", name, check.found, detail))
    result.capabilities += soft_body_capabilities(body)
    logger.info("measuring the same of the rigid car")
    result.capabilities += car_capabilities(config)
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
        for is_repaired, inputs in ((False, as_it_comes), (True, repaired)):
            if is_repaired:
                equip(scene)
            for name, steps in inputs:
                problem = input_problem(scene, name, steps, material=material, tolerance=_TOLERANCE)
                yield SoftBodyCheck(attempt(problem), is_repaired)


def _table(checks: Sequence[SoftBodyCheck]) -> Table[SoftBodyCheck]:
    """Return the checks input by input."""

    def figure(heading: str, name: str) -> Column[SoftBodyCheck]:
        return Column(heading, lambda own: getattr(own.row.summary, name), key=name)

    return Table(
        "elastic body of MPM particles against finite differences, float64",
        (
            Column("input", lambda own: own.row.parameter, key="input"),
            Column("material", lambda own: own.row.regime, key="material"),
            Column("gradient", lambda own: "repaired" if own.is_repaired else "Genesis's"),
            Column("steps", lambda own: own.row.horizon, key="horizon"),
            Column(
                "dirs.\n/ kinks",
                lambda own: own.row.summary.num_directions,
                key="num_directions",
                words=lambda own: own.row.summary.share_of_kinks,
            ),
            figure("median\nerror", "median_relative_error"),
            figure("worst\nerror", "worst_relative_error"),
            outcome_column("verdict", lambda own: own.found.verdict, key="verdict"),
        ),
        checks,
    )


def soft_body_report(result: CheckSoftBodyResult) -> list[Shown]:
    """Return the checks input by input, the table of capabilities and the verdict."""
    worst = number(result.certificate.worst_relative_error)
    return [
        _table(result.checks),
        capabilities_table(result.capabilities),
        verdict_line(
            "certified",
            result.certificate.is_certified,
            "{} elastic and muscle bodies, with diffcar's repairs: worst relative error "
            f"{worst} (tolerance {number(result.tolerance)})",
        ),
        f"{result.wall_seconds:.0f} s in all",
    ]
