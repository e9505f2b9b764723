"""The results of `diffcar franka-test` as tables and curves."""

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from diffcar.base.table import number
from diffcar.cli.render import loss_curve, show_hops, titled

if TYPE_CHECKING:
    from diffcar.checks.arm import FrankaTestResult

__all__ = ["show_franka_test"]


def show_franka_test(result: "FrankaTestResult", console: Console) -> None:
    """Print probes, certificates, the gradient's way, the training and the verdicts."""
    _show_probes(result, console)
    _show_certificates(result, console)
    show_hops(result.hops, console)
    if sum(math.isfinite(loss) and loss > 0 for loss in result.losses) > 1:
        console.print(Text.from_ansi(loss_curve(result.losses, min(console.width, 100))))
    _show_distances(result, console)
    console.print(
        f"{len(result.losses)} updates, {result.num_skipped} skipped, "
        f"{result.train_seconds:.0f} s of training, {result.wall_seconds:.0f} s in all",
        highlight=False,
    )
    console.print("gradients by joint torques: ", _verdict(result.is_certified, "certified"))
    console.print(
        f"mean distance at most {number(1e3 * result.max_mean_distance_m)} mm: ",
        _verdict(result.is_reached, "reached"),
    )


def _show_probes(result: "FrankaTestResult", console: Console) -> None:
    """Print what each way to read a state gave in this run."""
    table = titled(
        "reading a state after a step with torques that require gradients, tried just now", console
    )
    table.add_column("read", overflow="fold")
    table.add_column("requires_grad", max_width=24)
    table.add_column("grad_fn", overflow="fold")
    table.add_column("|gradient|\nby torques", justify="right")
    for probe in result.probes:
        if probe.error is not None:
            table.add_row(probe.expression, Text(probe.error, "red"), "", "")
            continue
        table.add_row(
            probe.expression,
            Text(str(probe.requires_grad), "green" if probe.requires_grad else "red"),
            probe.grad_fn,
            Text("none arrived", "red") if not probe.gradient_norm else number(probe.gradient_norm),
        )
    console.print(table)


def _show_certificates(result: "FrankaTestResult", console: Console) -> None:
    """Print how exact the gradients are, case by case."""
    table = titled(
        f"gradients by joint torques against central differences in float{result.precision}, "
        f"at most {result.tolerance:g} apart",
        console,
    )
    table.add_column("case", no_wrap=True)
    for heading in (
        "steps",
        "directions",
        "median error",
        "worst error",
        "kinks",
        "contact [%]",
    ):
        table.add_column(heading, justify="right")
    table.add_column("verdict", no_wrap=True)
    for certificate in result.certificates:
        table.add_row(
            certificate.case,
            str(certificate.horizon),
            str(certificate.num_directions),
            number(certificate.median_error),
            number(certificate.worst_error),
            str(certificate.num_kinks),
            number(100 * certificate.contact_fraction),
            _verdict(certificate.is_certified, "certified"),
        )
    console.print(table)


def _show_distances(result: "FrankaTestResult", console: Console) -> None:
    """Print how near the hand comes to targets never trained on."""
    if result.before is None or result.after is None:
        return
    table = titled(
        f"distance of the hand to {result.after.num_targets} targets never trained on, after "
        f"{number(result.dt * len(result.mean_distances_m))} s in plain physics",
        console,
    )
    table.add_column("network")
    for heading in ("mean", "p95", "max"):
        table.add_column(Text(f"{heading} [mm]"), justify="right")
    for name, metrics in (("untrained", result.before), ("trained", result.after)):
        table.add_row(
            name, *(number(1e3 * value) for value in (metrics.mean_m, metrics.p95_m, metrics.max_m))
        )
    console.print(table)


def _verdict(is_positive: bool, word: str) -> Text:
    """Return a verdict in a word and a colour."""
    return Text(word, "green") if is_positive else Text(f"NOT {word}", "bold red")
