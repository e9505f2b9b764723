"""A comparison as tables and sentences in a terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffcar.cli.show import show_table

if TYPE_CHECKING:
    from diffcar.compare.results import Comparison

__all__ = ["show_comparison"]


def show_comparison(comparison: "Comparison", console: Console) -> None:
    """Print errors, costs, robustness and what follows from them; it fits into 80 columns."""
    from diffcar.compare.findings import findings
    from diffcar.compare.tables import tables

    for about in tables(comparison).values():
        for table in about:
            show_table(table, console)
    console.print()
    for sentence in findings(comparison):
        line = Table.grid(padding=(0, 1))
        line.add_row("-", Text(sentence))
        console.print(line)
