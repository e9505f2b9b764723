"""The results of `diffcar check-grad --entity mpm` as tables and a verdict."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from diffcar.base.table import number
from diffcar.cli.render import titled
from diffcar.cli.render_check_grad import styled_verdict

if TYPE_CHECKING:
    from diffcar.checks.soft_body import CheckSoftBodyResult
    from diffcar.gradients.capabilities import Capability

__all__ = ["show_soft_body"]


def show_soft_body(result: "CheckSoftBodyResult", console: Console) -> None:
    """Print the checks input by input, the table of capabilities and the verdict."""
    table = titled("elastic body of MPM particles against finite differences, float64", console)
    table.add_column("input", overflow="fold")
    table.add_column("material", overflow="fold")
    table.add_column("gradient")
    for heading in ("steps", "dirs.\n/ kinks", "median\nerror", "worst\nerror"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", overflow="fold")
    for check in result.checks:
        table.add_row(
            check.input,
            check.material,
            "repaired" if check.is_repaired else "Genesis's",
            str(check.horizon),
            f"{check.num_directions} / {check.num_kinks}",
            number(check.median_relative_error),
            number(check.worst_relative_error),
            styled_verdict(check.verdict),
        )
    console.print(table)
    _show_capabilities(result.capabilities, console)
    worst = f"worst relative error {number(result.worst_relative_error)}"
    verdict = Text("certified", "bold green") if result.certified else Text("not certified", "red")
    console.print(
        verdict,
        f"elastic and muscle bodies, with diffcar's repairs: {worst} (tolerance "
        f"{number(result.tolerance)})",
        soft_wrap=True,
    )
    console.print(f"{result.wall_seconds:.0f} s in all", highlight=False)


def _show_capabilities(rows: "list[Capability]", console: Console) -> None:
    """Print what rigid and MPM entities can and cannot differentiate."""
    table = titled(
        "what rigid and MPM entities can differentiate, measured just now, with diffcar's repairs "
        "where nothing else is said",
        console,
    )
    table.add_column("what")
    table.add_column("entity")
    table.add_column("name", overflow="fold")
    table.add_column("outcome", overflow="fold")
    table.add_column("error\nor cost", justify="right")
    table.add_column("detail", overflow="fold")
    for kind in ("read", "write", "contact", "cost"):
        chosen = [row for row in rows if row.kind == kind]
        for row in chosen:
            outcome = Text(row.outcome) if kind == "cost" else styled_verdict(row.outcome)
            table.add_row(
                kind,
                row.entity,
                row.name,
                outcome,
                number(row.figure),
                row.detail,
                end_section=row is chosen[-1],
            )
    console.print(table)
