"""Tables, curves and sentences in a terminal."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import rich.table
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from diffcar.base.table import Column, Curve, Line, Mark, Shown, Table

__all__ = ["show"]

_STYLES: dict[Mark | None, str] = {
    None: "",
    Mark.GOOD: "green",
    Mark.DOUBTFUL: "yellow",
    Mark.BAD: "red",
    Mark.BEST: "bold",
}
# Columns of the terminal from which there is room for everything.
_WIDE = 96
_CURVE_SIZE = (100, 14)


def show(items: Iterable[Shown], console: Console) -> None:
    """Print what a result is shown as, from top to bottom."""
    for item in items:
        match item:
            case Table():
                _show_table(item, console)
            case Curve():
                _show_curve(item, console)
            case Line():
                text, begin = Text(item.text), item.text.index(item.marked)
                text.stylize(_STYLES[item.mark], begin, begin + len(item.marked))
                console.print(text, highlight=False, soft_wrap=True)
            case str():
                console.print(item, highlight=False, markup=False)


def _show_table(table: Table[Any], console: Console) -> None:
    """Print a table: units in the headings, numbers to the right, what must be known below.

    Colours say nothing that the words do not say, too. In a narrow terminal numbers stay whole.
    """
    is_narrow = console.width < _WIDE
    columns = [column for column in table.columns if not (is_narrow and column.is_extra)]
    grid = _grid(table, columns)
    needed = console.measure(grid, options=console.options.update(width=1000))
    # Where it is wide, texts may wrap, as long as no word is broken.
    if (needed.maximum if is_narrow else needed.minimum) > console.width:
        grid = _grid(table, columns, is_tight=True)
    # A table would wrap its title to its own width.
    console.print(f"\n{escape(table.title)}", style="italic", highlight=False, soft_wrap=True)
    console.print(grid)
    if table.note:
        console.print(table.note, style="dim", highlight=False, markup=False)


def _grid(
    table: Table[Any], columns: Sequence[Column[Any]], *, is_tight: bool = False
) -> rich.table.Table:
    """Lay a table out; if room is tight, without a frame, and headings no wider than numbers."""
    grid = rich.table.Table(show_edge=not is_tight, pad_edge=not is_tight)
    for column in columns:
        title, is_number = column.title, table.is_number(column)
        if is_tight and is_number:
            width = max([1, *(len(column.text(row)) for row in table.rows)])
            words = title.replace("-", "- ")
            title = textwrap.fill(words, width, break_long_words=False).replace("- ", "-")
        grid.add_column(
            Text(title),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_number if is_tight else column.is_whole,
            max_width=column.max_width,
        )
    groups = [table.section(row) if table.section else None for row in table.rows]
    for row, group, following in zip(table.rows, groups, [*groups[1:], None], strict=False):
        cells = (Text(c.text(row), _STYLES[c.mark_of(row)]) for c in columns)
        grid.add_row(*cells, end_section=group != following)
    return grid


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
