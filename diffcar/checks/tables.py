"""What the checks of gradients found, as tables and verdicts."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from diffcar.base.table import Column, Curve, Line, Mark, Shown, Table, across, number
from diffcar.checks.car_result import VEHICLE
from diffcar.gradients.hops import hops_table
from diffcar.gradients.slopes import Summary, Verdict

if TYPE_CHECKING:
    from diffcar.checks.arm import FrankaTestResult, ReadProbe, TorqueCertificate
    from diffcar.checks.attempts import AttemptResult
    from diffcar.checks.car_result import CheckGradResult
    from diffcar.checks.soft_body import CheckSoftBodyResult, SoftBodyCheck
    from diffcar.checks.wheels import WheelResult
    from diffcar.gradients.capabilities import Capability
    from diffcar.gradients.certificate import CertificateRow
    from diffcar.tasks.reaching.task import ReachMetrics

__all__ = ["arm_report", "car_report", "soft_body_report"]

_GOOD = ("right", "arrives", "tracks", "accepted")
_DOUBTFUL = ("kinks", "vacuous", "inexact", "unresolved", "refused")
_REPORTED = {"failed": "failed", "error": "error", "-": "not tried"}
_SHORT = {"actions": "actions", "initial state": "state", "network weights": "weights"}


def _mark(outcome: str) -> Mark:
    """Return what an outcome says about a gradient."""
    if outcome.startswith(_GOOD):
        return Mark.GOOD
    return Mark.DOUBTFUL if outcome.startswith(_DOUBTFUL) else Mark.BAD


def _passed(is_passed: bool) -> Mark:
    return Mark.GOOD if is_passed else Mark.BAD


def car_report(result: "CheckGradResult") -> list[Shown]:
    """Return car, the gradient's way, attempts, certificate, wheels and verdict."""
    shown: list[Shown] = [hops_table(result.hops)] if result.hops else []
    if result.vehicle:
        title = f"{result.model}, as it was read"
        shown.insert(0, across(title, "quantity", VEHICLE, {"value": result.vehicle}))
    shown.append(_attempts(result))
    if result.certificate.rows:
        told = ", ".join(f"{number(p.position_m)} m after {p.horizon}" for p in result.parity)
        shown += [
            _certificate(result),
            "\nthe same actions in differentiable and in plain mode, largest distance between two "
            f"rolling cars: {told} steps",
        ]
    if result.wheels:
        shown.append(_wheels(result))
    shown += [
        Line(text := f"not checked: {failure}", text, Mark.BAD)
        for failure in _without_repetition(result.failures)
    ]
    word = "certified" if result.certified else "not certified"
    shown.append(Line(f"{word}: {_verdict(result)}", word, _passed(result.certified)))
    if result.hint:
        shown.append(Line(f"hint: {result.hint}", "hint:", Mark.DOUBTFUL))
    return [*shown, f"{result.wall_seconds:.0f} s in all"]


def _attempts(result: "CheckGradResult") -> "Table[AttemptResult]":
    """Return what became of each way to get a gradient."""

    def told(attempt: "AttemptResult") -> str:
        has_advice = attempt.outcome != "right" and attempt.advice != "-"
        return (attempt.error or "") + (f"\n-> {attempt.advice}" if has_advice else "")

    columns: list[Column[AttemptResult]] = [
        Column("way", lambda attempt: attempt.name),
        Column("report", lambda attempt: _REPORTED[attempt.report]),
        Column("today", lambda attempt: attempt.outcome, mark=lambda own: _mark(own.outcome)),
        Column("relative\nerror", lambda attempt: attempt.relative_error),
        Column("error, and what to do instead", told),
    ]
    return Table(
        "ways to get a gradient, tried just now (controls written under torch.no_grad), beside "
        "what the first report on it found",
        columns,
        result.attempts,
    )


class _Row(NamedTuple):
    """A row of the certificate with what it comes to."""

    row: "CertificateRow"
    found: Summary
    worst_to_reference: float
    verdict: Verdict


def _certificate(result: "CheckGradResult") -> Table[_Row]:
    """Return analytic against numeric directional derivatives."""
    rows = [
        _Row(
            row,
            row.summary,
            judged.summary.worst_relative_error,
            judged.verdict,
        )
        for row, judged in zip(result.certificate.rows, result.certificate.judged, strict=True)
    ]
    columns: list[Column[_Row]] = [
        Column("regime", lambda own: own.row.regime),
        Column("by", lambda own: _SHORT[own.row.parameter]),
        Column("steps", lambda own: own.row.horizon),
        Column(
            "dirs.\n/ kinks",
            lambda own: own.found.num_directions,
            words=lambda own: f"{own.found.num_directions} / {own.found.num_kinks}",
        ),
        _short("median\nerror", lambda own: own.found.median_relative_error),
        _short("worst\nerror", lambda own: own.found.worst_relative_error),
        replace(_short("1 - cos", lambda own: abs(1 - own.found.cosine)), is_extra=True),
        _short("plateau", lambda own: own.found.uncertainty),
        Column("verdict", lambda own: own.verdict, mark=lambda own: _mark(own.verdict)),
    ]
    legend = ""
    if result.certificate.reference:
        columns.insert(-1, _short("worst to\nfloat64", lambda own: own.worst_to_reference))
        legend = (
            " The verdict is by the last error: that of the float32 gradient to the one in "
            "float64, which is checked by differences of its own; differences in float32 are known "
            "to a percent at best."
        )
    return Table(
        f"analytic against numeric directional derivatives, float{result.precision}, "
        f"{result.actuation} actuation",
        columns,
        rows,
        note="Rolling cars decide. state: initial state; weights: of the network, in closed loop. "
        "Errors: of the directions without a kink; plateau: how far differences at neighbouring "
        f"step sizes disagree at the worst.{legend} {_time_in_regimes(result)}",
        section=lambda own: own.row.horizon,
    )


def _short(heading: str, of: Callable[[_Row], float]) -> Column[_Row]:
    """Return a column of errors with two significant digits."""

    def words(row: _Row) -> str:
        return f"{of(row):.1e}" if math.isfinite(of(row)) else "-"

    return Column(heading, of, words=words)


def _time_in_regimes(result: "CheckGradResult") -> str:
    """Say how much of the longest rollouts the cars were in their regimes."""
    longest = max((row.horizon for row in result.certificate.rows), default=0)
    shares: dict[str, list[float]] = {}
    for row in result.certificate.rows:
        if row.horizon == longest:
            shares.setdefault(row.regime, []).append(row.regime_fraction)
    told = [f"{regime} {100 * sum(own) / len(own):.0f} %" for regime, own in shares.items()]
    return f"Over {longest} steps the cars were {', '.join(told)} of the time." if told else ""


def _wheels(result: "CheckGradResult") -> "Table[WheelResult]":
    """Return which shapes roll differentiably."""
    first = result.wheels[0]
    columns: list[Column[WheelResult]] = [
        Column("shape", lambda wheel: wheel.shape),
        Column("Genesis as\nit comes", lambda wheel: wheel.relative_error_as_it_comes),
        Column("with diffcar's\nrepairs", lambda wheel: wheel.relative_error),
        Column("kinks", lambda wheel: wheel.num_kinks),
        Column("verdict", lambda wheel: wheel.verdict, mark=lambda wheel: _mark(wheel.verdict)),
        Column("error", lambda wheel: wheel.error or ""),
    ]
    return Table(
        f"wheels of six shapes rolling on a plane for {first.horizon} steps, worst of "
        f"{first.num_directions} directions",
        columns,
        result.wheels,
    )


def _without_repetition(failures: list[str]) -> list[str]:
    """Put failures of the same reason into one line."""
    stages: dict[str, list[str]] = {}
    for failure in failures:
        stage, _, reason = failure.partition(": ")
        stages.setdefault(reason, []).append(stage)
    return [f"{'; '.join(own)}: {reason}" for reason, own in stages.items()]


def _verdict(result: "CheckGradResult") -> str:
    """Return the sentence that matters, without its first word."""
    repairs = "with diffcar's repairs" if result.with_repairs else "Genesis as it comes"
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


def soft_body_report(result: "CheckSoftBodyResult") -> list[Shown]:
    """Return the checks input by input, the table of capabilities and the verdict."""
    columns: list[Column[SoftBodyCheck]] = [
        Column("input", lambda check: check.input),
        Column("material", lambda check: check.material),
        Column("gradient", lambda check: "repaired" if check.is_repaired else "Genesis's"),
        Column("steps", lambda check: check.horizon),
        Column(
            "dirs.\n/ kinks",
            lambda check: check.num_directions,
            words=lambda check: f"{check.num_directions} / {check.num_kinks}",
        ),
        Column("median\nerror", lambda check: check.median_relative_error),
        Column("worst\nerror", lambda check: check.worst_relative_error),
        Column("verdict", lambda check: check.verdict, mark=lambda check: _mark(check.verdict)),
    ]
    title = "elastic body of MPM particles against finite differences, float64"
    word = "certified" if result.certified else "not certified"
    return [
        Table(title, columns, result.checks),
        _capabilities(result.capabilities),
        Line(
            f"{word} elastic and muscle bodies, with diffcar's repairs: worst relative error "
            f"{number(result.worst_relative_error)} (tolerance {number(result.tolerance)})",
            word,
            _passed(result.certified),
        ),
        f"{result.wall_seconds:.0f} s in all",
    ]


def _capabilities(capabilities: "list[Capability]") -> "Table[Capability]":
    """Return what rigid and MPM entities can and cannot differentiate."""
    columns: list[Column[Capability]] = [
        Column("what", lambda row: row.kind),
        Column("entity", lambda row: row.entity),
        Column("name", lambda row: row.name),
        Column(
            "outcome",
            lambda row: row.outcome,
            mark=lambda row: None if row.kind == "cost" else _mark(row.outcome),
        ),
        Column("error\nor cost", lambda row: row.figure),
        Column("detail", lambda row: row.detail),
    ]
    kinds = ("read", "write", "contact", "cost")
    return Table(
        "what rigid and MPM entities can differentiate, measured just now, with diffcar's repairs "
        "where nothing else is said",
        columns,
        sorted(capabilities, key=lambda row: kinds.index(row.kind)),
        section=lambda row: row.kind,
    )


def arm_report(result: "FrankaTestResult") -> list[Shown]:
    """Return probes, certificates, the gradient's way, the training and the verdicts."""
    shown: list[Shown] = [
        _probes(result),
        _torque_certificates(result),
        hops_table(result.hops),
        Curve("loss", result.losses),
    ]
    if result.before is not None and result.after is not None:
        rows = [("untrained", result.before), ("trained", result.after)]
        columns: list[Column[tuple[str, ReachMetrics]]] = [
            Column("network", lambda row: row[0]),
            Column("mean", lambda row: row[1].mean_m, "mm", 1e3),
            Column("p95", lambda row: row[1].p95_m, "mm", 1e3),
            Column("max", lambda row: row[1].max_m, "mm", 1e3),
        ]
        title = (
            f"distance of the hand to {result.after.num_targets} targets never trained on, after "
            f"{number(result.dt * len(result.mean_distances_m))} s in plain physics"
        )
        shown.append(Table(title, columns, rows))
    certified = _word(result.is_certified, "certified")
    reached = _word(result.is_reached, "reached")
    limit = number(1e3 * result.max_mean_distance_m)
    return [
        *shown,
        f"{len(result.losses)} updates, {result.num_skipped} skipped, "
        f"{result.train_seconds:.0f} s of training, {result.wall_seconds:.0f} s in all",
        Line(f"gradients by joint torques:  {certified}", certified, _passed(result.is_certified)),
        Line(f"mean distance at most {limit} mm:  {reached}", reached, _passed(result.is_reached)),
    ]


def _word(is_positive: bool, word: str) -> str:
    return word if is_positive else f"NOT {word}"


def _probes(result: "FrankaTestResult") -> "Table[ReadProbe]":
    """Return what each way to read a state gave in this run."""

    def norm(probe: "ReadProbe") -> str:
        if probe.error is not None:
            return ""
        return number(probe.gradient_norm) if probe.gradient_norm else "none arrived"

    columns: list[Column[ReadProbe]] = [
        Column("read", lambda probe: probe.expression),
        Column(
            "requires_grad",
            lambda probe: probe.error or str(probe.requires_grad),
            max_width=24,
            mark=lambda probe: _passed(probe.error is None and bool(probe.requires_grad)),
        ),
        Column("grad_fn", lambda probe: "" if probe.error else probe.grad_fn),
        Column(
            "|gradient|\nby torques",
            lambda probe: probe.gradient_norm,
            words=norm,
            mark=lambda probe: None if probe.gradient_norm else Mark.BAD,
        ),
    ]
    title = "reading a state after a step with torques that require gradients, tried just now"
    return Table(title, columns, result.probes)


def _torque_certificates(result: "FrankaTestResult") -> "Table[TorqueCertificate]":
    """Return how exact the gradients are, case by case."""
    columns: list[Column[TorqueCertificate]] = [
        Column("case", lambda own: own.case, is_whole=True),
        Column("steps", lambda own: own.horizon),
        Column("directions", lambda own: own.num_directions),
        Column("median error", lambda own: own.median_error),
        Column("worst error", lambda own: own.worst_error),
        Column("kinks", lambda own: own.num_kinks),
        Column("contact", lambda own: own.contact_fraction, "%", 100.0),
        Column(
            "verdict",
            lambda own: _word(own.is_certified, "certified"),
            is_whole=True,
            mark=lambda own: _passed(own.is_certified),
        ),
    ]
    return Table(
        f"gradients by joint torques against central differences in float{result.precision}, "
        f"at most {result.tolerance:g} apart",
        columns,
        result.certificates,
    )
