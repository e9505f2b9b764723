"""The results of `diffcar check-grad --entity rigid` as tables and a verdict."""

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from diffcar.base.table import number
from diffcar.cli.render import show_hops, titled

if TYPE_CHECKING:
    from diffcar.checks.car_result import CheckGradResult

__all__ = ["show_check_grad", "styled_verdict"]

_REFERENCE_LEGEND = (
    " The verdict is by the last error: that of the float32 gradient to the one in float64, which "
    "is checked by differences of its own; differences in float32 are known to a percent at best."
)
_SHORT = {"actions": "actions", "initial state": "state", "network weights": "weights"}
_WIDE = 96
_UNDECIDED = ("kinks", "vacuous", "inexact", "unresolved", "refused")
_REPORTED = {"failed": "failed", "error": "error", "-": "not tried"}


def show_check_grad(result: "CheckGradResult", console: Console) -> None:
    """Print the gradient's way, the attempts, the certificate, the wheels and the verdict."""
    if result.hops:
        show_hops(result.hops, console)
    _show_attempts(result, console)
    if result.rows:
        _show_certificate(result, console)
        _show_parity(result, console)
    if result.wheels:
        _show_wheels(result, console)
    _show_verdict(result, console)


def styled_verdict(text: str) -> Text:
    """Colour a verdict by what it says."""
    if text.startswith(("right", "arrives", "tracks", "accepted")):
        return Text(text, "green")
    return Text(text, "yellow" if text.startswith(_UNDECIDED) else "red")


def _show_attempts(result: "CheckGradResult", console: Console) -> None:
    """Print what became of each way to get a gradient."""
    table = titled(
        "ways to get a gradient, tried just now (controls written under torch.no_grad), beside "
        "what the first report on it found",
        console,
    )
    table.add_column("way", overflow="fold")
    table.add_column("report")
    table.add_column("today")
    table.add_column("relative\nerror", justify="right")
    table.add_column("error, and what to do instead", overflow="fold")
    for attempt in result.attempts:
        told = attempt.error or ""
        if attempt.outcome != "right" and attempt.advice != "-":
            told += f"\n-> {attempt.advice}"
        table.add_row(
            attempt.name,
            _REPORTED[attempt.report],
            styled_verdict(attempt.outcome),
            number(attempt.relative_error),
            told,
        )
    console.print(table)


def _show_certificate(result: "CheckGradResult", console: Console) -> None:
    """Print analytic against numeric directional derivatives."""
    from diffcar.gradients.slopes import summarise

    table = titled(
        f"analytic against numeric directional derivatives, float{result.precision}, "
        f"{result.actuation} actuation",
        console,
    )
    table.add_column("regime", overflow="fold")
    table.add_column("by", overflow="fold")
    is_wide = console.width >= _WIDE
    headings = ["steps", "dirs.\n/ kinks", "median\nerror", "worst\nerror", "plateau"]
    if is_wide:
        headings.insert(4, "1 - cos")
    if result.reference:
        headings.append("worst to\nfloat64")
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("verdict", overflow="fold")
    last_of_horizon = (result.rows[-1].regime, result.rows[-1].parameter) if result.rows else ()
    for row, judged in zip(result.rows, result.judged, strict=True):
        summary = summarise(row.checks)
        errors = [
            summary.median_relative_error,
            summary.worst_relative_error,
            *([abs(1 - summary.cosine)] if is_wide else []),
            summary.uncertainty,
        ]
        if result.reference:
            errors.append(summarise(judged.checks).worst_relative_error)
        table.add_row(
            row.regime,
            _SHORT[row.parameter],
            str(row.horizon),
            f"{summary.num_directions} / {summary.num_kinks}",
            *(_short_number(error) for error in errors),
            styled_verdict(result.verdict_of(judged)),
            end_section=(row.regime, row.parameter) == last_of_horizon,
        )
    console.print(table)
    console.print(
        "Rolling cars decide. state: initial state; weights: of the network, in closed loop. "
        "Errors: of the directions without a kink; plateau: how far differences at neighbouring "
        f"step sizes disagree at the worst.{_REFERENCE_LEGEND if result.reference else ''} "
        f"{_time_in_regimes(result)}",
        style="dim",
        highlight=False,
    )


def _time_in_regimes(result: "CheckGradResult") -> str:
    """Say how much of the longest rollouts the cars were in their regimes."""
    longest = max((row.horizon for row in result.rows), default=0)
    shares: dict[str, list[float]] = {}
    for row in result.rows:
        if row.horizon == longest:
            shares.setdefault(row.regime, []).append(row.regime_fraction)
    told = [f"{regime} {100 * sum(own) / len(own):.0f} %" for regime, own in shares.items()]
    return f"Over {longest} steps the cars were {', '.join(told)} of the time." if told else ""


def _short_number(value: float) -> str:
    """Return two significant digits of an error."""
    return "-" if not math.isfinite(value) else f"{value:.1e}"


def _show_parity(result: "CheckGradResult", console: Console) -> None:
    """Print how far differentiable and plain mode drift apart."""
    told = ", ".join(f"{number(p.position_m)} m after {p.horizon}" for p in result.parity)
    console.print(
        f"\nthe same actions in differentiable and in plain mode, largest distance between two "
        f"rolling cars: {told} steps",
        highlight=False,
    )


def _show_wheels(result: "CheckGradResult", console: Console) -> None:
    """Print which shapes roll differentiably."""
    first = result.wheels[0]
    table = titled(
        f"wheels of six shapes rolling on a plane for {first.horizon} steps, worst of "
        f"{first.num_directions} directions",
        console,
    )
    table.add_column("shape")
    table.add_column("Genesis as\nit comes", justify="right")
    table.add_column("with diffcar's\nrepairs", justify="right")
    table.add_column("kinks", justify="right")
    table.add_column("verdict")
    table.add_column("error", overflow="fold")
    for wheel in result.wheels:
        table.add_row(
            wheel.shape,
            number(wheel.relative_error_as_it_comes),
            number(wheel.relative_error),
            str(wheel.num_kinks),
            styled_verdict(wheel.verdict),
            wheel.error or "",
        )
    console.print(table)


def _without_repetition(failures: list[str]) -> list[str]:
    """Put failures of the same reason into one line."""
    stages: dict[str, list[str]] = {}
    for failure in failures:
        stage, _, reason = failure.partition(": ")
        stages.setdefault(reason, []).append(stage)
    return [f"{'; '.join(own)}: {reason}" for reason, own in stages.items()]


def _show_verdict(result: "CheckGradResult", console: Console) -> None:
    """Print the sentence that matters."""
    from diffcar.gradients.slopes import GOOD_VERDICTS

    for failure in _without_repetition(result.failures):
        console.print(Text(f"not checked: {failure}", "red"), soft_wrap=True)
    repairs = "with diffcar's repairs" if result.with_repairs else "Genesis as it comes"
    subject = f"{result.model}, {result.wheel_shape} wheels, {repairs}"
    found = f"worst relative error of rolling cars {number(result.worst_relative_error)}"
    if result.reference:
        found = f"{found} between float32 and float64"
    limit = f"(tolerance {number(result.tolerance)})"
    num_kinks = sum(check.is_kink for row in result.judged_rolling for check in row.checks)
    left_out = f"; {num_kinks} directions at kinks left out" if num_kinks else ""
    steps = ", ".join(map(str, result.horizons))
    if result.certified:
        line = Text.assemble(
            ("certified", "bold green"),
            f": {subject}: the gradient is right; {found} over {steps} steps {limit}{left_out}",
        )
    elif result.rows:
        odd = [
            f"{row.parameter} over {row.horizon} steps: {result.verdict_of(row)}"
            for row in result.judged_rolling
            if result.verdict_of(row) not in GOOD_VERDICTS
        ]
        line = Text.assemble(
            ("not certified", "bold red"),
            f": {subject}: {'; '.join(odd)}. {found} {limit}{left_out}",
        )
    else:
        line = Text.assemble(("not certified", "bold red"), f": {subject}: no gradient to check")
    console.print(line, soft_wrap=True)
    if result.hint:
        console.print(Text.assemble(("hint: ", "cyan"), result.hint), soft_wrap=True)
    console.print(f"{result.wall_seconds:.0f} s in all", highlight=False)
