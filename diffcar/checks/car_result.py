"""What `diffcar check-grad --entity rigid` found, and what follows from it."""

from dataclasses import asdict, dataclass, field

from diffcar.checks.attempts import AttemptResult
from diffcar.checks.config import CertificateConfig
from diffcar.checks.wheels import WheelResult
from diffcar.gradients.certificate import MIN_SHARE, Certificate, CertificateRow
from diffcar.gradients.hops import Hop
from diffcar.gradients.slopes import DirectionalCheck, Verdict, summarise
from diffcar.tasks.tracking.problem import PARAMETERS

__all__ = ["CheckGradResult", "Parity", "as_json", "labels_of"]


@dataclass(frozen=True)
class Parity:
    """How far the same actions lead apart in differentiable and in plain mode."""

    horizon: int
    """Control steps."""
    position_m: float
    """Largest distance between two rolling cars [m]."""


@dataclass
class CheckGradResult:
    """What the check found."""

    model: str
    """File of the car."""
    wheel_shape: str
    """What its wheels collide as."""
    precision: int
    """Bits of a floating-point number."""
    actuation: str
    """How commands reach the joints."""
    with_repairs: bool
    """Whether diffcar's repairs were in place."""
    tolerance: float
    """Largest relative error of a rolling car that certifies."""
    horizons: list[int]
    """Those that were asked for."""
    hops: list[Hop] = field(default_factory=list)
    """Where the gradient went."""
    attempts: list[AttemptResult] = field(default_factory=list)
    """Ways to get a gradient."""
    certificate: Certificate = field(default_factory=Certificate)
    """The gradient that training uses, at every horizon; rolling cars decide."""
    parity: list[Parity] = field(default_factory=list)
    """Differentiable against plain mode."""
    wheels: list[WheelResult] = field(default_factory=list)
    """The shapes of wheels."""
    failures: list[str] = field(default_factory=list)
    """What kept something from being checked."""
    notes: list[str] = field(default_factory=list)
    """What the user should know about the model."""
    wall_seconds: float = 0.0
    """Wall time, imports left out [s]."""

    def rolling(self, horizon: int) -> list[DirectionalCheck]:
        """Return the judged directions of rolling cars at a horizon."""
        rolling = self.certificate.decisive
        return [check for row in rolling if row.horizon == horizon for check in row.checks]

    @property
    def certified(self) -> bool:
        """Return whether the gradient that training uses is right, at every horizon."""
        is_complete = {row.horizon for row in self.certificate.rows} == set(self.horizons)
        return is_complete and not self.failures and self.certificate.is_certified

    @property
    def certified_horizons(self) -> list[int]:
        """Return the horizons at which the gradient of rolling cars is right."""
        rolling = self.certificate.decisive
        return [
            horizon
            for horizon in dict.fromkeys(row.horizon for row in rolling)
            if all(row.verdict.is_good for row in rolling if row.horizon == horizon)
        ]

    @property
    def hint(self) -> str | None:
        """Return what to do about a gradient that is not right."""
        if self.certified:
            return None
        right = self.certified_horizons
        if self.with_repairs and right and self.horizons[: len(right)] == right and max(right) > 1:
            return (
                f"up to {max(right)} steps it is right: train with train.horizon at most that; "
                f"{self._remedy[0].lower()}{self._remedy[1:]} for longer ones"
            )
        return self._remedy

    @property
    def _remedy(self) -> str:
        """Return what makes the gradient right."""
        if self.certificate.reference and self.certificate.is_reference_right:
            return "use --precision 64, in which the gradient is right"
        rolled = min((row.regime_fraction for row in self.certificate.decisive), default=1.0)
        if rolled < MIN_SHARE:
            return (
                f"the cars rolled only {100 * rolled:.0f} % of the time: does the model stand on "
                "its wheels, and is it the right way up?"
            )
        if self.wheel_shape != "sphere":
            remedies = [
                "give each wheel a colliding sphere of its radius and let the "
                f"{self.wheel_shape} only show (URDF: a sphere as <collision>; MJCF: contype 0, "
                "conaffinity 0 on the rest)"
            ]
            if not self.with_repairs and self.wheel_shape not in ("box", "mesh"):
                remedies.insert(0, "leave diffcar's repairs on (drop --no-repairs)")
            return "; or ".join(remedies)
        if not self.with_repairs:
            return "leave diffcar's repairs on (drop --no-repairs), or use --actuation torque"
        return "use genesis-world 1.4.5, or --precision 64; do not train on this gradient"


def as_json(result: CheckGradResult) -> dict[str, object]:
    """Return every figure of the check, as JSON holds it."""
    return {
        "entity": "rigid",
        "certified": result.certified,
        "worst_relative_error": result.certificate.worst_relative_error,
        "tolerance": result.tolerance,
        "certified_horizons": result.certified_horizons,
        **{
            name: getattr(result, name)
            for name in ("model", "wheel_shape", "precision", "actuation", "with_repairs")
        },
        "horizons": [
            {
                "horizon": horizon,
                **asdict(summarise(result.rolling(horizon))),
                "verdicts": {
                    row.parameter: row.verdict
                    for row in result.certificate.decisive
                    if row.horizon == horizon
                },
            }
            for horizon in result.horizons
            if result.rolling(horizon)
        ],
        "certificate": [
            _row_as_json(row, judged.verdict)
            for row, judged in zip(result.certificate.rows, result.certificate.judged, strict=True)
        ],
        "float64": [_row_as_json(row, row.verdict) for row in result.certificate.exact],
        "parity": [asdict(parity) for parity in result.parity],
        "hops": [asdict(hop) for hop in result.hops],
        "attempts": [asdict(attempt) for attempt in result.attempts],
        "wheels": [asdict(wheel) for wheel in result.wheels],
        "failures": result.failures,
        "notes": result.notes,
        "hint": result.hint,
        "wall_seconds": result.wall_seconds,
    }


def _row_as_json(row: CertificateRow, outcome: Verdict) -> dict[str, object]:
    """Return a row of the certificate with all its directions."""
    return {
        "regime": row.regime,
        "parameter": row.parameter,
        "horizon": row.horizon,
        "regime_fraction": row.regime_fraction,
        **asdict(row.summary),
        "verdict": outcome,
        "directions": [asdict(check) for check in row.checks],
    }


def labels_of(config: CertificateConfig) -> list[tuple[str, str]]:
    """Return regime and kind of parameter of each direction that a configuration asks for."""
    return [
        (regime, parameter)
        for regime, count in config.num_directions.model_dump().items()
        for parameter in PARAMETERS
        for _ in range(count)
    ]
