"""A CSV file as its header and rows, with every complaint naming file, row and column."""

import csv
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffcar.base.errors import DemonstrationError

__all__ = ["Column", "Sheet", "read_sheet", "split_factor"]

_SEPARATORS = (";", "\t", ",")
_NUM_NAMES_SHOWN = 24


@dataclass(frozen=True)
class Column:
    """Where a quantity stands in a sheet."""

    index: int
    """Which field of a row it is, from 0."""
    factor: float
    """What its numbers are multiplied by."""


@dataclass(frozen=True)
class Sheet:
    """The text of a CSV file, cut into fields."""

    file: Path
    """Where it was read from."""
    header: tuple[str, ...]
    """The names of the columns."""
    rows: tuple[tuple[int, list[str]], ...]
    """Each row's number, as a text editor counts lines, and its fields."""

    def find(self, name: str, columns: Mapping[str, str]) -> Column | None:
        """Return where a quantity stands, or None if it does not.

        Args:
            name: What diffcar calls it.
            columns: What the files call it, as `NAME` or `NAME*FACTOR`, by diffcar's names. A file
                without a column of that name may have one of diffcar's.

        Raises:
            DemonstrationError: If two columns have the name.
        """
        for given, factor in (split_factor(columns.get(name, name)), (name, 1.0)):
            if self.header.count(given) > 1:
                raise DemonstrationError(
                    f"{str(self.file)!r} has {self.header.count(given)} columns called {given!r}",
                    hint="rename or delete all but one",
                )
            if given in self.header:
                return Column(self.header.index(given), factor)
        return None

    def numbers(
        self, columns: Mapping[str, Column], *, skip_incomplete: bool
    ) -> tuple[dict[str, list[float]], int]:
        """Return the numbers of some columns.

        Args:
            columns: Where each is found.
            skip_incomplete: Whether to leave out rows that lack a number.

        Returns:
            The numbers of each column, and how many rows were left out.

        Raises:
            DemonstrationError: At the first row that lacks a number; where such are left out, if
                no row remains.
        """
        complete: list[list[float]] = []
        first_problem: DemonstrationError | None = None
        for number, fields in self.rows:
            try:
                complete.append(
                    [
                        column.factor * self._number(number, fields, column.index)
                        for column in columns.values()
                    ]
                )
            except DemonstrationError as problem:
                if not skip_incomplete:
                    raise
                first_problem = first_problem or problem
        if first_problem is not None and not complete:
            raise DemonstrationError(f"no row is complete; the first is not: {first_problem}")
        values = {name: [row[index] for row in complete] for index, name in enumerate(columns)}
        return values, len(self.rows) - len(complete)

    def _number(self, row: int, fields: Sequence[str], index: int) -> float:
        """Return a field's finite number, or say what it is instead."""
        text = fields[index] if index < len(fields) else ""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        found = f"{text!r} is not a finite number" if text else "empty"
        remedy = "mend it or drop such rows with --skip-incomplete"
        if "," in text:
            remedy = f"numbers need a decimal point; {remedy}"
        raise DemonstrationError(
            f"{str(self.file)!r} row {row}, column {self.header[index]!r}: {found}", hint=remedy
        )

    def missing(self, names: Sequence[str], *, used: Mapping[str, Column]) -> DemonstrationError:
        """Return the error that columns are missing, with what they may be called in the file.

        Args:
            names: What is missing, in diffcar's words.
            used: The columns that were found.
        """
        taken = {column.index for column in used.values()}
        free = [name for index, name in enumerate(self.header) if index not in taken and name]
        spellings = {name.lower(): name for name in free}
        likely = {
            name: difflib.get_close_matches(name, spellings, n=1, cutoff=0.5) for name in names
        }
        flags = " ".join(
            f"--column {name}={spellings[near[0]] if near else 'NAME'}"
            for name, near in likely.items()
        )
        shown = ", ".join(free[:_NUM_NAMES_SHOWN]) + (", ..." if free[_NUM_NAMES_SHOWN:] else "")
        return DemonstrationError(
            f"{str(self.file)!r} has no column {', '.join(map(repr, names))}",
            hint=f"say what it is called there, such as {flags}; unused are: {shown or 'none'}",
        )


def split_factor(text: str) -> tuple[str, float]:
    """Split `NAME` or `NAME*FACTOR` into the name and the factor.

    Args:
        text: What a user wrote.

    Raises:
        DemonstrationError: If the factor is not a number other than zero.
    """
    name, star, factor = text.rpartition("*")
    if not star:
        return text.strip(), 1.0
    try:
        value = float(factor)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value == 0:
        raise DemonstrationError(
            f"the column {text!r} is multiplied by {factor!r}, which is not a usable number",
            hint="write NAME or NAME*FACTOR, such as yaw_rad=yaw_deg*0.0174533",
        )
    return name.strip(), value


def read_sheet(file: Path) -> Sheet:
    """Read a CSV file, its separator guessed from the header.

    Empty lines and lines that begin with `#` are passed over.

    Args:
        file: Commas, semicolons or tabs between the fields, names in the first line.

    Returns:
        Its content.

    Raises:
        DemonstrationError: If it cannot be read, or is not a table with a header and rows.
    """
    lines = [
        (number, line)
        for number, line in enumerate(_read_text(file).split("\n"), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise DemonstrationError(f"{str(file)!r} is empty", hint="`diffcar record` writes one")
    first = lines[0][1]
    separator = max(_SEPARATORS, key=first.count)
    number = 0
    try:
        cut = []
        for number, line in lines:
            fields = next(csv.reader([line], delimiter=separator))
            cut.append((number, [field.strip() for field in fields]))
    except csv.Error as error:
        raise DemonstrationError(f"{str(file)!r} row {number}: {error}") from None
    header, rows = tuple(cut[0][1]), tuple(cut[1:])
    if all(_is_number(name) for name in header):
        raise DemonstrationError(
            f"{str(file)!r} row {lines[0][0]} holds numbers where the names of the columns should "
            "be",
            hint="put a line with the names first, without a # before it",
        )
    if not rows:
        raise DemonstrationError(f"{str(file)!r} has a header but no rows")
    for number, fields in rows:
        # A separator after the last field is no field more.
        if any(fields[len(header) :]):
            raise DemonstrationError(
                f"{str(file)!r} row {number} has {len(fields)} fields, the header {len(header)}",
                hint="is there a decimal comma, or a separator in a text without quotes?",
            )
    return Sheet(file, header, rows)


def _read_text(file: Path) -> str:
    """Return a file's text."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DemonstrationError(
            f"the demonstrations {str(file)!r} cannot be read: {error.strerror or error}",
            hint="`diffcar record` writes a file of demonstrations",
        ) from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DemonstrationError(
            f"{str(file)!r} is not a text file", hint="export the demonstrations as CSV in UTF-8"
        )
    return text


def _is_number(text: str) -> bool:
    """Tell whether a field reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
