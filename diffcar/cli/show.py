"""Tables, curves and sentences in a terminal."""

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import rich.table
from rich.cells import cell_len
from rich.console import Console
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
                console.print(text, soft_wrap=True)
            case str():
                console.print(Text(item))


def _show_table(table: Table[Any], console: Console) -> None:
    """Print a table: units in the headings, numbers to the right, what must be known below.

    Colours say nothing that the words do not say, too. In a narrow terminal numbers and words stay
    whole: columns for which there is no room follow in a table of their own.
    """
    is_narrow = console.width < _WIDE
    columns = [column for column in table.columns if not (is_narrow and column.is_extra)]
    # A table would wrap its title to its own width.
    console.print(Text(f"\n{table.title}", "italic"), soft_wrap=True)
    grid = _grid(table, columns)
    least = sum(_least_width(table, column) + _GAP for column in columns)
    if console.measure(grid, options=console.options.update(width=1000)).maximum <= console.width:
        console.print(grid)
    elif not is_narrow and least + 1 <= console.width:
        widths = _share(table, columns, console.width - _GAP * len(columns) - 1)
        console.print(_grid(table, columns, widths, is_framed=True))
    else:
        for part in _parts(table, columns, console.width):
            widths = _share(table, part, console.width - _GAP * (len(part) - 1))
            console.print(_grid(table, part, widths), soft_wrap=True)
    if table.note:
        console.print(Text(table.note, "dim"))


# Between columns; a frame has one more, and a character.
_GAP = 3


def _parts(
    table: Table[Any], columns: Sequence[Column[Any]], width: int
) -> Iterator[list[Column[Any]]]:
    """Cut columns into as few groups as fit a width, each behind the first column."""
    first, *rest = columns
    part = [first]
    for column in rest:
        least = sum(_least_width(table, own) + _GAP for own in (*part, column))
        if len(part) > 1 and least - _GAP > width:
            yield part
            part = [first]
        part.append(column)
    yield part


def _least_width(table: Table[Any], column: Column[Any]) -> int:
    """Return how wide a column must be so that no number and no word of it is cut."""
    texts = [column.text(row) for row in table.rows]
    if not table.is_number(column):
        texts = [word for text in texts for word in text.split()]
    title = column.title.replace("-", "- ").split()
    return max(map(cell_len, [*texts, *title, " "]))


def _most_width(table: Table[Any], column: Column[Any]) -> int:
    """Return how wide a column may become, which its heading does not decide."""
    width = max([0, *(cell_len(column.text(row)) for row in table.rows)])
    return max(_least_width(table, column), min(width, column.max_width or width))


def _share(table: Table[Any], columns: Sequence[Column[Any]], width: int) -> list[int]:
    """Share a width out among columns, of which each gets what it needs at least."""
    widths = [_least_width(table, column) for column in columns]
    wanted = [_most_width(table, column) for column in columns]

    def need(index: int) -> tuple[bool, int]:
        lacking = wanted[index] - widths[index]
        return columns[index].is_whole and lacking > 0, lacking

    for _ in range(min(width, sum(wanted)) - sum(widths)):
        widths[max(range(len(widths)), key=need)] += 1  # one character after the other
    return widths


def _grid(
    table: Table[Any],
    columns: Sequence[Column[Any]],
    widths: Sequence[int] | None = None,
    *,
    is_framed: bool = False,
) -> rich.table.Table:
    """Lay a table out; if the widths of its columns are given, without a frame by default."""
    is_framed = is_framed or widths is None
    grid = rich.table.Table(show_edge=is_framed, pad_edge=is_framed)
    if widths is not None:  # said for the whole, too, or what does not fit would be cut
        grid.width = sum(widths) + _GAP * (len(widths) - 1) + (_GAP + 1) * is_framed
    for index, column in enumerate(columns):
        title, is_number = column.title, table.is_number(column)
        if widths is not None:
            words = title.replace("-", "- ")
            title = textwrap.fill(words, widths[index], break_long_words=False).replace("- ", "-")
        grid.add_column(
            Text(title),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_number,
            width=None if widths is None else widths[index],
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
    marker = "x" if console.options.ascii_only else "braille"
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(min(console.width, width), height)
    plotext.yscale("log")
    plotext.title(curve.title)
    plotext.xlabel("update of this session")
    plotext.plot([x for x, _ in points], [y for _, y in points], marker=marker)
    console.print(Text.from_ansi(str(plotext.build())), soft_wrap=True)
