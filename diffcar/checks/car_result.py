"""What `diffcar check-grad --entity rigid` found, and what follows from it."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from diffcar.base.table import Column, Line, Mark, Shown, Table, number, verdict_line
from diffcar.checks.attempts import Tried, attempts_table
from diffcar.checks.bench import Label
from diffcar.checks.config import CertificateConfig, CheckGradConfig
from diffcar.checks.vehicle import car_as_json, car_table
from diffcar.checks.wheels import WheelResult, wheels_as_json, wheels_table
from diffcar.gradients.capabilities import outcome_column
from diffcar.gradients.certificate import Certificate, CertificateRow
from diffcar.gradients.hops import Hop, hops_table
from diffcar.gradients.problem import MIN_SHARE
from diffcar.gradients.slopes import DirectionalCheck, Verdict, summarise
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.problem import PARAMETERS

__all__ = ["CheckGradResult", "car_report", "labels_of", "verdict_lines"]

_SHORT = {"actions": "actions", "initial state": "state", "network weights": "weights"}


@dataclass
class CheckGradResult:
    """What the check found."""

    config: CheckGradConfig
    """What was asked for."""
    wheel_shape: str
    """What the car's wheels collide as."""
    tolerance: float
    """Largest relative error of a rolling car that certifies."""
    vehicle: Vehicle | None = None
    """The car as it was read, where it is not the shipped one."""
    hops: list[Hop] = field(default_factory=list)
    """Where the gradient went."""
    attempts: list[Tried] = field(default_factory=list)
    """Ways to get a gradient."""
    certificate: Certificate = field(default_factory=Certificate)
    """The gradient that training uses, at every horizon; rolling cars decide."""
    at_the_limit: list[CertificateRow] = field(default_factory=list)
    """The same of cars that turn at 90 % of their grip, which decide nothing."""
    parity: dict[int, float] = field(default_factory=dict)
    """How far the same actions lead rolling cars apart in differentiable and in plain mode, at the
    most, after so many steps [m]."""
    wheels: list[WheelResult] = field(default_factory=list)
    """The shapes of wheels."""
    failures: list[str] = field(default_factory=list)
    """What kept something from being checked."""
    notes: list[str] = field(default_factory=list)
    """What the user should know about the model."""
    wall_seconds: float = 0.0
    """Wall time, imports left out [s]."""

    @property
    def model(self) -> str:
        """Return the file of the car."""
        return self.config.model or "assets/car.xml"

    @property
    def horizons(self) -> list[int]:
        """Return those that were asked for."""
        return self.config.certificate.horizons

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
        are_first = self.horizons[: len(right)] == right
        if self.config.repairs and are_first and max(right, default=0) > 1:
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
            if not self.config.repairs and self.wheel_shape not in ("box", "mesh"):
                remedies.insert(0, "leave diffcar's repairs on (drop --no-repairs)")
            return "; or ".join(remedies)
        if not self.config.repairs:
            return "leave diffcar's repairs on (drop --no-repairs), or use --actuation torque"
        if self.certificate.verdict is Verdict.UNRESOLVED and not self.failures:
            return (
                f"differences are known less well here than the tolerance, {self.tolerance:g}, and "
                "the gradient is off by no more than that: nothing is proved, and nothing refuted"
            )
        return "use genesis-world 1.4.5, or --precision 64; do not train on this gradient"

    def as_json(self) -> dict[str, object]:
        """Return every figure of the check, as JSON holds it."""
        return {
            "entity": "rigid",
            "certified": self.certified,
            "worst_relative_error": self.certificate.worst_relative_error,
            "tolerance": self.tolerance,
            "certified_horizons": self.certified_horizons,
            "model": self.model,
            "wheel_shape": self.wheel_shape,
            "precision": self.config.precision,
            "actuation": self.config.actuation,
            "with_repairs": self.config.repairs,
            "vehicle": self.vehicle and car_as_json(self.vehicle),
            "horizons": [
                {
                    "horizon": horizon,
                    **asdict(summarise(self.rolling(horizon))),
                    "verdicts": {
                        row.parameter: row.verdict
                        for row in self.certificate.decisive
                        if row.horizon == horizon
                    },
                }
                for horizon in self.horizons
                if self.rolling(horizon)
            ],
            "certificate": [
                _row_as_json(row, judged.verdict) for row, judged in self.certificate.pairs
            ],
            "at_the_limit": [_row_as_json(row, row.verdict) for row in self.at_the_limit],
            "float64": [_row_as_json(row, row.verdict) for row in self.certificate.exact],
            "parity": [
                {"horizon": horizon, "position_m": apart} for horizon, apart in self.parity.items()
            ],
            "hops": [asdict(hop) for hop in self.hops],
            "attempts": [
                attempts_table([own]).records()[0] | {"advice": own.advice} for own in self.attempts
            ],
            "wheels": wheels_as_json(self.wheels),
            "failures": self.failures,
            "notes": self.notes,
            "hint": self.hint,
            "wall_seconds": self.wall_seconds,
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


def labels_of(config: CertificateConfig) -> list[Label]:
    """Return regime and kind of parameter of each direction that a configuration asks for."""
    return [
        (regime, parameter)
        for regime, count in config.num_directions.model_dump().items()
        for parameter in PARAMETERS
        for _ in range(count)
    ]


def car_report(result: CheckGradResult) -> list[Shown]:
    """Return car, the gradient's way, attempts, certificate, wheels and verdict."""
    shown: list[Shown] = [car_table(result.model, result.vehicle)] if result.vehicle else []
    shown += [hops_table(result.hops)] if result.hops else []
    shown.append(attempts_table(result.attempts))
    if result.certificate.rows:
        told = ", ".join(f"{number(apart)} m after {at}" for at, apart in result.parity.items())
        shown += [
            _certificate(result),
            "\nthe same actions in differentiable and in plain mode, largest distance between two "
            f"rolling cars: {told} steps",
        ]
    if result.wheels:
        shown.append(wheels_table(result.wheels))
    shown += verdict_lines(result, _verdict(result))
    return [*shown, f"{result.wall_seconds:.0f} s in all"]


def verdict_lines(result: CheckGradResult, told: str) -> list[Shown]:
    """Return what kept something from being checked, the verdict before what is told, a hint."""
    shown: list[Shown] = [
        Line(text := f"not checked: {failure}", text, Mark.BAD)
        for failure in _without_repetition(result.failures)
    ]
    shown.append(verdict_line("certified", result.certified, "{}: " + told))
    if result.hint:
        shown.append(Line(f"hint: {result.hint}", "hint:", Mark.DOUBTFUL))
    return shown


_Pair = tuple[CertificateRow, CertificateRow]


def _certificate(result: CheckGradResult) -> Table[_Pair]:
    """Return analytic against numeric directional derivatives; rows as found and as judged."""

    def short(heading: str, of: Callable[[_Pair], float]) -> Column[_Pair]:
        def words(pair: _Pair) -> str:
            return f"{of(pair):.1e}" if math.isfinite(of(pair)) else "-"

        return Column(heading, of, words=words)

    columns: list[Column[_Pair]] = [
        Column("regime", lambda pair: pair[0].regime),
        Column("by", lambda pair: _SHORT[pair[0].parameter]),
        Column("steps", lambda pair: pair[0].horizon),
        Column(
            "dirs.\n/ kinks",
            lambda pair: pair[0].summary.num_directions,
            words=lambda pair: pair[0].summary.share_of_kinks,
        ),
        short("median\nerror", lambda pair: pair[0].summary.median_relative_error),
        short("worst\nerror", lambda pair: pair[0].summary.worst_relative_error),
        replace(short("1 - cos", lambda pair: abs(1 - pair[0].summary.cosine)), is_extra=True),
        short("plateau", lambda pair: pair[0].summary.uncertainty),
        outcome_column("verdict", lambda pair: pair[1].verdict),
    ]
    legend = ""
    if result.certificate.reference:
        against = short("worst to\nfloat64", lambda pair: pair[1].summary.worst_relative_error)
        columns.insert(-1, against)
        legend = (
            " The verdict is by the last error: that of the float32 gradient to the one in "
            "float64, which is checked by differences of its own; differences in float32 are known "
            "to a percent at best."
        )
    return Table(
        f"analytic against numeric directional derivatives, float{result.config.precision}, "
        f"{result.config.actuation} actuation",
        columns,
        [*result.certificate.pairs, *((row, row) for row in result.at_the_limit)],
        note="Rolling cars decide. state: initial state; weights: of the network, in closed loop. "
        "Errors: of the directions without a kink; plateau: how far differences at neighbouring "
        f"step sizes disagree at the worst.{legend} {_time_in_regimes(result)}",
        section=lambda pair: pair[0].horizon,
    )


def _time_in_regimes(result: CheckGradResult) -> str:
    """Say how much of the longest rollouts the cars were in their regimes."""
    longest = max((row.horizon for row in result.certificate.rows), default=0)
    shares: dict[str, list[float]] = {}
    for row in result.certificate.rows:
        if row.horizon == longest:
            shares.setdefault(row.regime, []).append(row.regime_fraction)
    told = [f"{regime} {100 * sum(own) / len(own):.0f} %" for regime, own in shares.items()]
    return f"Over {longest} steps the cars were {', '.join(told)} of the time." if told else ""


def _without_repetition(failures: list[str]) -> list[str]:
    """Put failures of the same reason into one line."""
    stages: dict[str, list[str]] = {}
    for failure in failures:
        stage, _, reason = failure.partition(": ")
        stages.setdefault(reason, []).append(stage)
    return [f"{'; '.join(own)}: {reason}" for reason, own in stages.items()]


def _verdict(result: CheckGradResult) -> str:
    """Return the sentence that matters, without its first word."""
    repairs = "with diffcar's repairs" if result.config.repairs else "Genesis as it comes"
    subject = f"{result.model}, {result.wheel_shape} wheels, {repairs}"
    if not result.certificate.rows:
        return f"{subject}: no gradient to check"
    found = (
        f"worst relative error of rolling cars {number(result.certificate.worst_relative_error)}"
    )
    if result.certificate.reference:
        found = f"{found} between float32 and float64"
    limit = f"(tolerance {number(result.tolerance)})"
    num_kinks = sum(check.is_kink for row in result.certificate.decisive for check in row.checks)
    left_out = f"; {num_kinks} directions at kinks left out" if num_kinks else ""
    if result.certified:
        steps = ", ".join(map(str, result.horizons))
        return f"{subject}: the gradient is right; {found} over {steps} steps {limit}{left_out}"
    odd = [
        f"{row.parameter} over {row.horizon} steps: {row.verdict}"
        for row in result.certificate.decisive
        if not row.verdict.is_good
    ]
    return f"{subject}: {'; '.join(odd)}. {found} {limit}{left_out}"
