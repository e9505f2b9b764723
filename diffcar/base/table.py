"""What is shown of records: tables, curves and sentences, wherever they are shown.

A column says what a quantity is called, how it is read, and its key in files.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

__all__ = [
    "Column",
    "Curve",
    "Line",
    "Mark",
    "Shown",
    "Table",
    "across",
    "count",
    "millimetres",
    "number",
    "times",
    "verdict_line",
]

RowT = TypeVar("RowT")
OuterT = TypeVar("OuterT")


class Mark(StrEnum):
    """What a cell says about its value, for the eye; a cell's words say it, too."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    BEST = "best"


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """A quantity of every row: shown in a unit, written in SI."""

    heading: str
    """What people read above it, without the unit."""
    of: Callable[[RowT], object]
    """Returns the value of a row, in SI."""
    unit: str = ""
    factor: float = 1.0
    """From SI to the unit in which it is shown."""
    key: str | None = None
    """Its name in JSON and CSV; None where it is for the eye alone."""
    mark: Callable[[RowT], Mark | None] | None = None
    """Returns what a row's cell says about its value, if anything."""
    words: Callable[[RowT], str] | None = None
    """Returns what people read where three digits of the value would not do."""
    max_width: int | None = None
    """Characters in a line of it, at the most."""
    is_whole: bool = False
    """Whether its text is kept on one line where there is room for that."""
    is_extra: bool = False
    """Whether it is left out where there is little room."""

    @property
    def title(self) -> str:
        """Return heading and unit; the unit stands in a line of its own below a line's end."""
        gap = "" if self.heading.endswith("\n") else " "
        return f"{self.heading}{gap}[{self.unit}]" if self.unit else self.heading

    def within(self, get: Callable[[OuterT], RowT]) -> "Column[OuterT]":
        """Return the column of something that holds such a row."""
        return Column(self.heading, lambda row: self.of(get(row)), self.unit, self.factor, self.key)

    def text(self, row: RowT) -> str:
        """Return the value as people read it: three significant digits, `-` for what is missing."""
        if self.words is not None:
            return self.words(row)
        value = self.of(row)
        if isinstance(value, float) or (type(value) is int and self.factor != 1):
            return number(self.factor * value)
        return "-" if value is None else str(value)

    def mark_of(self, row: RowT) -> Mark | None:
        """Return what the cell of a row says about its value, if anything."""
        return None if self.mark is None else self.mark(row)


@dataclass(frozen=True)
class Table(Generic[RowT]):
    """Rows of one kind under their columns, for the terminal, a page, JSON and CSV alike."""

    title: str
    columns: Sequence[Column[RowT]]
    rows: Sequence[RowT]
    note: str = ""
    """What must be known to read it."""
    section: Callable[[RowT], object] | None = None
    """Returns what neighbouring rows must have in common to stand together, without a line."""

    def is_number(self, column: Column[RowT]) -> bool:
        """Return whether a column holds numbers alone, which are aligned to the right."""
        values = [column.of(row) for row in self.rows]
        return all(isinstance(v, int | float | None) and not isinstance(v, bool) for v in values)

    def records(self) -> list[dict[str, object]]:
        """Return the rows by the keys of their columns, in SI, as JSON holds them."""
        columns = [column for column in self.columns if column.key is not None]
        return [{str(column.key): column.of(row) for column in columns} for row in self.rows]


@dataclass(frozen=True)
class Curve:
    """A quantity over the updates of a session, drawn logarithmically."""

    title: str
    values: Sequence[float]
    """One an update; those that are not finite and positive are left out."""


@dataclass(frozen=True)
class Line:
    """A line that is never broken, since it is found or copied by what it says."""

    text: str
    marked: str = ""
    """The words of it that the mark is on."""
    mark: Mark | None = None


Shown = Table[Any] | Curve | Line | str
"""What a result is shown as; text is broken between words."""


def verdict_line(word: str, is_good: bool, about: str) -> Line:
    """Return a line that says a word or that it is not so, where `about` has `{}`."""
    word = word if is_good else f"not {word}"
    before, _, after = about.partition("{}")
    return Line(f"{before}{word}{after}", word, Mark.GOOD if is_good else Mark.BAD)


def across(
    title: str, heading: str, columns: Sequence[Column[RowT]], rows: Mapping[str, RowT]
) -> Table[Column[RowT]]:
    """Return a table that is read across: a line for each quantity, with its unit at the end.

    Args:
        heading: What the quantities have in common.
        columns: The quantities.
        rows: What has them, by heading.
    """

    def subject(name: str, row: RowT) -> Column[Column[RowT]]:
        return Column(name, lambda column: column.of(row), words=lambda column: column.text(row))

    first = Column[Column[RowT]](heading, lambda column: column.heading)
    last = Column[Column[RowT]]("unit", lambda column: column.unit)
    return Table(title, [first, *(subject(*item) for item in rows.items()), last], columns)


def number(value: float | None) -> str:
    """Return three significant digits, `-` for what is missing or not finite."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 999.5:
        return f"{value:.3g}"
    return f"{value:,.0f}" if 1 <= abs(value) < 1e6 else f"{value:.2e}"


def millimetres(metres: float, deviation: float = math.nan) -> str:
    """Return a length [m] in millimetres, without the unit, and its standard deviation if known."""
    spread = "" if math.isnan(deviation) else f" ± {1e3 * deviation:.2g}"
    return f"{number(1e3 * metres)}{spread}"


def count(value: float) -> str:
    """Return a count that a sentence can hold, such as `38,100` or `1.23 million`."""
    if not math.isfinite(value):
        return "-"
    if abs(value) < 1e4:
        return f"{value:,.0f}"
    if abs(value) < 999_500:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value / 1e6:.3g} million"


def times(ratio: float) -> str:
    """Return a factor, such as `3.2x`; `-` for what is not finite."""
    text = number(ratio)
    return text if text == "-" else f"{text}x"
