"""Tables, curves and sentences in a terminal."""

import math
from collections.abc import Iterable
from typing import Any

import rich.table
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from diffcar.base.table import Curve, Line, Mark, Shown, Table

__all__ = ["show", "show_table", "titled"]

_STYLES = {Mark.GOOD: "green", Mark.DOUBTFUL: "yellow", Mark.BAD: "red", Mark.BEST: "bold"}
# Columns of the terminal from which there is room for everything.
_WIDE = 96
_MANY = 6
_CURVE_SIZE = (100, 14)


def show(items: Iterable[Shown], console: Console) -> None:
    """Print what a result is shown as, from top to bottom."""
    for item in items:
        match item:
            case Table():
                show_table(item, console)
            case Curve():
                _show_curve(item, console)
            case Line():
                text = Text(item.text)
                if item.mark is not None:
                    begin = item.text.index(item.marked)
                    text.stylize(_STYLES[item.mark], begin, begin + len(item.marked))
                console.print(text, highlight=False, soft_wrap=True)
            case str():
                console.print(item, highlight=False, markup=False)


def show_table(table: Table[Any], console: Console) -> None:
    """Print a table: units in the headings, numbers to the right, what must be known below.

    Colours say nothing that the words do not say, too.
    """
    columns = [c for c in table.columns if console.width >= _WIDE or not c.is_extra]
    grid = titled(table.title, console)
    is_broad = len(columns) > _MANY
    # Without the outer frame, and with headings broken at hyphens, eight fit into 80 columns.
    grid.show_edge = grid.pad_edge = not is_broad
    for column in columns:
        title = column.title
        if is_broad and console.width < _WIDE:
            title = title.replace("-", "-\n")
        grid.add_column(
            Text(title),
            justify="right" if table.is_number(column) else "left",
            overflow="fold",
            no_wrap=column.is_whole,
            max_width=column.max_width,
        )
    groups = [table.section(row) if table.section else None for row in table.rows]
    for row, group, following in zip(table.rows, groups, [*groups[1:], None], strict=False):
        cells = (Text(c.text(row), _STYLES.get(c.mark_of(row), "")) for c in columns)
        grid.add_row(*cells, end_section=group != following)
    console.print(grid)
    if table.note:
        console.print(table.note, style="dim", highlight=False, markup=False)


def titled(title: str, console: Console) -> rich.table.Table:
    """Print a title, which a table would wrap to its own width, and return the table below it."""
    console.print(f"\n{escape(title)}", style="italic", highlight=False, soft_wrap=True)
    return rich.table.Table()


def _show_curve(curve: Curve, console: Console) -> None:
    """Draw a curve logarithmically, if there is more than a point of it."""
    import plotext

    points = [(i + 1, y) for i, y in enumerate(curve.values) if math.isfinite(y) and y > 0]
    if len(points) < 2:
        return
    width, height = _CURVE_SIZE
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(min(console.width, width), height)
    plotext.yscale("log")
    plotext.title(curve.title)
    plotext.xlabel("update of this session")
    plotext.plot([x for x, _ in points], [y for _, y in points], marker="braille")
    console.print(Text.from_ansi(str(plotext.build())))
