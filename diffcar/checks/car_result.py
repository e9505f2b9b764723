"""What `diffcar check-grad --entity rigid` found, and what follows from it."""

from dataclasses import asdict, dataclass, field

from diffcar.base.table import Column
from diffcar.checks.attempts import AttemptResult
from diffcar.checks.config import CertificateConfig
from diffcar.checks.wheels import WheelResult
from diffcar.gradients.certificate import MIN_SHARE, Certificate, CertificateRow
from diffcar.gradients.hops import Hop
from diffcar.gradients.slopes import DirectionalCheck, Verdict, summarise
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.problem import PARAMETERS

__all__ = ["VEHICLE", "CheckGradResult", "Parity", "as_json", "labels_of"]


def _coordinates(values: tuple[float, float, float]) -> str:
    """Return three coordinates as people read them."""
    return ", ".join(f"{value:.3g}" for value in values)


VEHICLE: list[Column[Vehicle]] = [
    Column("mass", lambda car: car.mass, "kg", key="mass_kg"),
    Column(
        "inertia about x, y, z",
        lambda car: car.inertia,
        "kg m²",
        key="inertia_kgm2",
        words=lambda car: _coordinates(car.inertia),
    ),
    Column(
        "centre of mass from the base, x, y, z",
        lambda car: car.centre_of_mass,
        "m",
        key="centre_of_mass_m",
        words=lambda car: _coordinates(car.centre_of_mass),
    ),
    Column("height of the base", lambda car: car.base_height, "m", key="base_height_m"),
    Column("wheelbase", lambda car: car.wheelbase, "m", key="wheelbase_m"),
    Column("track", lambda car: car.track, "m", key="track_m"),
    Column("rear axle from the base, x", lambda car: car.rear_axle_x, "m", key="rear_axle_x_m"),
    Column("wheels", lambda car: car.wheel_shape),
    Column("radius of the wheels", lambda car: car.wheel_radius, "m", key="wheel_radius_m"),
    Column("friction", lambda car: car.friction, key="friction"),
    Column("steering angle", lambda car: car.max_steering, "rad", key="max_steering_rad"),
    Column("steering servo", lambda car: car.steering_gain, "N m/rad", key="steering_gain"),
    Column(
        "steering torque", lambda car: car.max_steering_torque, "N m", key="max_steering_torque_nm"
    ),
    Column("motor", lambda car: car.drive_gain, "N m s/rad", key="drive_gain"),
    Column("motor torque", lambda car: car.max_drive_torque, "N m", key="max_drive_torque_nm"),
    Column("wheel speed", lambda car: car.max_wheel_speed, "rad/s", key="max_wheel_speed_radps"),
]
"""What was read of a car; angles, torques and speeds are the largest."""


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
    vehicle: Vehicle | None = None
    """The car as it was read, where it is not the shipped one."""
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
        "vehicle": result.vehicle and {str(c.key): c.of(result.vehicle) for c in VEHICLE if c.key},
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
