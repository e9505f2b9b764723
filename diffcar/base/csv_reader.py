"""Somebody's CSV file: its header and rows, every complaint naming file, row and column."""

import csv
import difflib
import errno
import hashlib
import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffcar.base.errors import DemonstrationError, DiffcarError

__all__ = ["Place", "Sheet", "parse_number", "read_lines", "read_sheet", "split_factor"]

_SEPARATORS = (";", "\t", ",")
_NUM_NAMES_SHOWN = 24


Place = tuple[int, float]
"""Which field of a row a quantity is, from 0, and what its numbers are multiplied by."""


@dataclass(frozen=True)
class Sheet:
    """The text of a CSV file, cut into fields."""

    file: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]
    """Each row's number, as a text editor counts lines, and its fields."""
    digest: str
    """SHA-256 of its lines that are not blank."""

    def find(self, name: str, columns: Mapping[str, str]) -> Place | None:
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
                return self.header.index(given), factor
        return None

    def numbers(
        self, columns: Mapping[str, Place], *, skip_incomplete: bool, gaps: Collection[str] = ()
    ) -> tuple[dict[str, list[float]], list[int]]:
        """Return the numbers of some columns, and of which rows they are.

        Args:
            columns: Where each is found.
            skip_incomplete: Whether to leave out rows that lack a number.
            gaps: Columns whose missing numbers are NaN and leave a row complete.

        Raises:
            DemonstrationError: At the first row that lacks a number; where such are left out, if
                no row remains.
        """
        complete: list[list[float]] = []
        rows: list[int] = []
        problems: list[DemonstrationError] = []
        for row, fields in self.rows:
            try:
                own = [self._number(row, fields, to, name in gaps) for name, to in columns.items()]
            except DemonstrationError as problem:
                if not skip_incomplete:
                    raise
                problems.append(problem)
            else:
                complete.append(own)
                rows.append(row)
        if not complete:
            raise DemonstrationError(f"no row is complete; the first is not: {problems[0]}")
        return {name: [row[at] for row in complete] for at, name in enumerate(columns)}, rows

    def _number(self, row: int, fields: Sequence[str], place: Place, may_lack: bool) -> float:
        """Return a field's finite number times its factor, or say what it is instead."""
        index, factor = place
        text = fields[index] if index < len(fields) else ""
        value = parse_number(text)
        if value is not None and math.isfinite(value * factor):
            return value * factor
        if may_lack:
            return math.nan
        times = f" times {factor:g}" if value is not None and math.isfinite(value) else ""
        found = f"{text!r}{times} is not a finite number" if text else "empty"
        remedy = "mend it or drop such rows with --skip-incomplete"
        if "," in text:
            remedy = f"numbers need a decimal point; {remedy}"
        raise DemonstrationError(
            f"{str(self.file)!r} row {row}, column {self.header[index]!r}: {found}", hint=remedy
        )

    def missing(self, names: Sequence[str], *, used: Mapping[str, Place]) -> DemonstrationError:
        """Return the error that columns are missing, with what they may be called in the file.

        Args:
            names: What is missing, in diffcar's words.
            used: The columns that were found.
        """
        taken = {field for field, _ in used.values()}
        free = [name for index, name in enumerate(self.header) if index not in taken and name]
        spellings = {name.lower(): name for name in free}
        near = {n: difflib.get_close_matches(n, spellings, n=1, cutoff=0.5) for n in names}
        said = (f"{n}={spellings[like[0]] if like else 'NAME'}" for n, like in near.items())
        flags = " ".join(f"--column {shlex.quote(each)}" for each in said)
        shown = ", ".join(free[:_NUM_NAMES_SHOWN]) + (", ..." if free[_NUM_NAMES_SHOWN:] else "")
        return DemonstrationError(
            f"{str(self.file)!r} has no column {', '.join(map(repr, names))}",
            hint=f"say what it is called there, such as {flags}; unused are: {shown or 'none'}",
        )


def split_factor(text: str) -> tuple[str, float]:
    """Split what a user wrote, `NAME` or `NAME*FACTOR`, into the name and the factor.

    Raises:
        DemonstrationError: If the factor is not a number other than zero.
    """
    name, star, factor = text.rpartition("*")
    if not star:
        return text.strip(), 1.0
    value = parse_number(factor)
    if not value or not math.isfinite(value):
        raise DemonstrationError(
            f"the column {text!r} is multiplied by {factor!r}, which is not a usable number",
            hint="write NAME or NAME*FACTOR, such as yaw_rad=yaw_deg*0.0174533",
        )
    return name.strip(), value


def read_sheet(file: Path) -> Sheet:
    """Read a CSV file of demonstrations, its separator guessed from the header.

    Empty lines and lines that begin with `#` are passed over.

    Raises:
        DemonstrationError: If it cannot be read, or is not a table with a header and rows.
    """
    hint = "`diffcar record` writes a file of demonstrations"
    lines = read_lines(file, "the demonstrations", error=DemonstrationError, hint=hint)
    digest = hashlib.sha256("\n".join(line for _, line in lines).encode()).hexdigest()
    lines = [(row, line) for row, line in lines if not line.lstrip().startswith("#")]
    if not lines:
        raise DemonstrationError(f"{str(file)!r} is empty", hint="`diffcar record` writes one")
    row, first = lines[0]
    separator = max(_SEPARATORS, key=first.count)
    cut: list[tuple[int, list[str]]] = []
    try:
        for row, line in lines:
            fields = next(csv.reader([line], delimiter=separator))
            cut.append((row, [field.strip() for field in fields]))
    except csv.Error as error:
        raise DemonstrationError(f"{str(file)!r} row {row}: {error}") from None
    (row, header), *rows = cut
    if all(parse_number(name) is not None for name in header):
        raise DemonstrationError(
            f"{str(file)!r} row {row} holds numbers where the names of the columns should be",
            hint="put a line with the names first, without a # before it",
        )
    if not rows:
        raise DemonstrationError(f"{str(file)!r} has a header but no rows")
    for row, fields in rows:
        # A separator after the last field is no field more.
        if any(fields[len(header) :]):
            raise DemonstrationError(
                f"{str(file)!r} row {row} has {len(fields)} fields, the header {len(header)}",
                hint="is there a decimal comma, or a separator in a text without quotes?",
            )
    return Sheet(file, header, rows, digest)


def read_lines(
    file: Path, what: str, *, error: type[DiffcarError], hint: str | None = None
) -> list[tuple[int, str]]:
    """Return the lines of a text file that are not blank, numbered as a text editor counts.

    Args:
        what: What the file is, in the complaint that it cannot be read.
        error: Raised if it cannot be, or is no text.
        hint: To a file that cannot be read.
    """
    try:
        if file.is_char_device():  # which may have no end
            raise OSError(errno.EINVAL, "it is a device")
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    except (OSError, ValueError) as problem:  # a NUL in a name is a ValueError
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{what} {str(file)!r} cannot be read: {reason}", hint) from None
    if "\0" in text:
        raise error(f"{str(file)!r} is not a text file", "export it as CSV in UTF-8")
    return [(row, line) for row, line in enumerate(text.split("\n"), 1) if line.strip()]


def parse_number(text: str) -> float | None:
    """Return the number that a text is, `nan` and `inf` included, or None."""
    try:
        return float(text)
    except ValueError:
        return None
