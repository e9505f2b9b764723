"""Which shapes of wheels roll differentiably, in Genesis as it comes and with the repairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffcar.base.log import logger
from diffcar.base.table import Column, Table
from diffcar.checks.bench import CarBench
from diffcar.checks.config import CertificateConfig, CheckGradConfig
from diffcar.gradients.capabilities import outcome_column
from diffcar.gradients.certificate import Certificate, attempt
from diffcar.gradients.slopes import Verdict, verdict
from diffcar.sim.build import equip
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.vehicle import Vehicle
from diffcar.sim.model.wheels import WHEEL_SHAPES, with_wheels
from diffcar.tasks.tracking.problem import PARAMETERS, TOLERANCES

__all__ = ["WheelResult", "audit_wheels", "wheels_as_json", "wheels_table"]

_HORIZON = 50
_LABELS = [("rolling", parameter) for parameter in PARAMETERS for _ in range(6)]


@dataclass(frozen=True)
class WheelResult:
    """One shape's gradients."""

    shape: str
    """What the wheels collide as."""
    as_it_comes: Certificate
    """By actions, initial state and network weights, in Genesis as it comes."""
    repaired: Certificate
    """The same with diffcar's repairs."""

    @property
    def error(self) -> str | None:
        """Return what Genesis raised, if it did."""
        failures = self.repaired.failures + self.as_it_comes.failures
        refusals = (own.text for own in failures if own.verdict is Verdict.REFUSED)
        return next(refusals, None)

    @property
    def verdict(self) -> str:
        """Return a `Verdict` over all directions, and whether it takes the repair."""
        before, after = self.as_it_comes.checks, self.repaired.checks
        tolerance = self.repaired.rows[0].tolerance
        if before and (told := verdict(before, tolerance)).is_good:
            return f"{told}, as it comes"
        if not after:
            return Verdict.REFUSED
        told = verdict(after, tolerance)
        return f"{told}, with the repair" if told.is_good else told


def audit_wheels(config: CheckGradConfig, vehicle: Vehicle, folder: Path) -> Iterator[WheelResult]:
    """Let the car roll on six shapes of wheels and check each one's gradients.

    Args:
        config: Precision, actuation and so on; the certificate's settings are not used, its
            tolerance apart.
        vehicle: The car whose wheels are replaced.
        folder: Where the models go.
    """
    unasked = config.model_copy(update={"certificate": CertificateConfig()})
    for shape in WHEEL_SHAPES:
        logger.info(f"rolling on wheels of shape {shape}")
        wheels = load_vehicle(with_wheels(vehicle, shape, folder), lenient=True)
        bench = CarBench(unasked, wheels, _LABELS)
        # Line contacts are held to the tolerance of the others: the table is there to compare.
        tolerance = config.certificate.tolerance or TOLERANCES[bench.scene.dtype]
        problem = replace(bench.problem(_HORIZON), tolerance=tolerance, guards=())
        before = attempt(problem)
        equip(bench.scene)
        yield WheelResult(wheels.wheel_shape, before, attempt(problem))


def wheels_table(wheels: Sequence[WheelResult]) -> Table[WheelResult]:
    """Return which shapes roll differentiably: the worst smooth direction of each."""
    return Table(
        f"wheels of six shapes rolling on a plane for {_HORIZON} steps, worst of "
        f"{len(_LABELS)} directions",
        (
            Column("shape", lambda own: own.shape, key="shape"),
            Column(
                "Genesis as\nit comes",
                lambda own: own.as_it_comes.summary.worst_relative_error,
                key="relative_error_as_it_comes",
            ),
            Column(
                "with diffcar's\nrepairs",
                lambda own: own.repaired.summary.worst_relative_error,
                key="relative_error",
            ),
            Column("kinks", lambda own: own.repaired.summary.num_kinks, key="num_kinks"),
            outcome_column("verdict", lambda own: own.verdict, key="verdict"),
            Column("error", lambda own: own.error, key="error", words=lambda own: own.error or ""),
        ),
        wheels,
    )


def wheels_as_json(wheels: Sequence[WheelResult]) -> list[dict[str, object]]:
    """Return the same for files."""
    same = {"num_directions": len(_LABELS), "horizon": _HORIZON}
    return [record | same for record in wheels_table(wheels).records()]
