"""Reads somebody's table, however it was exported, where its meaning is certain."""

import codecs
import csv
import errno
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from diffcar.base.errors import DiffcarError
from diffcar.base.sheet import UNITS, Sheet, parse_number

__all__ = ["read_sheet", "read_text"]

# What may separate fields; None is white space. Where two do as well, the first.
_SEPARATORS = (";", "\t", ",", None)
_NUM_TRIED = 50


def read_sheet(
    file: Path,
    what: str,
    *,
    error: type[DiffcarError],
    is_known: Callable[[str], bool],
    remedy: str,
    hint: str | None = None,
) -> Sheet:
    """Read a table of whatever separators, as text of any common encoding.

    Separated by semicolons, tabs, commas or white space, whichever gives numbers; where it is not
    by commas, numbers may have decimal commas. Empty lines and those that begin with `#` or `%`
    are passed over, save that the last one before the numbers that names at least two known
    columns is the header; and so is what stands before the header. A line of units may follow it.

    Args:
        what: What the file is, in the complaint that it cannot be read.
        error: What is raised about it.
        is_known: Whether a name is that of something that is looked for.
        remedy: What mends a field that is no number.
        hint: To a file that cannot be read.

    Raises:
        DiffcarError: If it cannot be read, or is not a table with rows.
    """
    lines = list(enumerate(read_text(file, what, error=error, hint=hint).split("\n"), 1))
    lines = [(row, line) for row, line in lines if line.strip()]
    digest = hashlib.sha256("\n".join(line for _, line in lines).encode()).hexdigest()
    told = re.fullmatch(r"sep=(.)", lines[0][1].strip(), re.IGNORECASE) if lines else None
    del lines[: bool(told)]  # a line that spreadsheets write and heed
    body = [line for _, line in lines if not _is_comment(line)]
    if not body:
        raise error(f"{str(file)!r} is empty: it holds no numbers", hint)
    heads: list[tuple[int, str]] = []
    rows: list[tuple[int, list[str]]] = []
    row = lines[0][0]
    try:
        separator, has_commas = _punctuation(body[:_NUM_TRIED], told and told[1])
        for row, line in lines:
            if rows and _is_comment(line):
                continue
            fields = _cut(line, separator, has_commas)
            if rows or (_is_data(fields) and not _is_comment(line)):
                rows.append((row, fields))
            else:
                heads.append((row, line))
        header, units, more = _header(heads, separator, is_known)
        rows = [(row, _cut(line, separator, has_commas)) for row, line in more] + rows
    except csv.Error as problem:
        raise error(f"{str(file)!r} row {row}: {problem}") from None
    if not rows:
        what = "has a header but no rows" if any(map(is_known, header)) else "holds no numbers"
        raise error(f"{str(file)!r} {what}", "expected a line of names, then lines such as 1.0,2.0")
    header = _fitting(header, rows)
    width = len(header) or len(_trimmed(rows[0][1]))
    for row, fields in rows:
        if any(fields[width:]):  # a separator after the last field is no field more
            raise error(
                f"{str(file)!r} row {row} has {len(fields)} fields, "
                f"the {'header' if header else 'first row'} {width}",
                hint="is there a decimal comma, or a separator in a text without quotes?",
            )
    rows = [(row, fields[:width]) for row, fields in rows]
    return Sheet(file, header, _with_units(header, units), rows, digest, error, remedy)


def _is_comment(line: str) -> bool:
    """Tell whether a line is one that only a header can be found in."""
    return line.lstrip()[0] in "#%"


def _is_data(fields: Sequence[str]) -> bool:
    """Tell whether a row is one of numbers, texts among them."""
    filled = [field for field in fields if field]
    num_numbers = sum(parse_number(field) is not None for field in filled)
    return num_numbers >= max(2, len(filled) / 2)


def _trimmed(fields: list[str]) -> list[str]:
    """Return fields without the empty ones at the end."""
    return fields[: max((at for at, field in enumerate(fields, 1) if field), default=0)]


def _cut(line: str, separator: str | None, has_commas: bool) -> list[str]:
    """Return the fields of a line; white space separates them where nothing else does."""
    if has_commas:
        line = line.replace(",", ".")
    if separator is None:
        return line.split()
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [cell.strip() for cell in cells]


def _punctuation(lines: Sequence[str], told: str | None) -> tuple[str | None, bool]:
    """Return what separates the fields of lines, and whether their numbers have decimal commas."""

    def num_numbers(separator: str | None) -> tuple[int, int]:
        cut = [_cut(line, separator, separator != ",") for line in lines]
        counts = [[parse_number(field) is not None for field in _trimmed(row)] for row in cut]
        return sum(all(own) and len(own) > 1 for own in counts), sum(map(sum, counts))

    separator = told or max(_SEPARATORS, key=num_numbers)
    cells = [cell for line in lines for cell in _cut(line, separator, False)]
    has_points, has_commas = (
        any(re.fullmatch(rf"[+-]?\d*{mark}\d+(e[+-]?\d+)?", cell, re.IGNORECASE) for cell in cells)
        for mark in (r"\.", ",")
    )
    return separator, separator != "," and has_commas and not has_points


def _header(
    heads: Sequence[tuple[int, str]], separator: str | None, is_known: Callable[[str], bool]
) -> tuple[list[str], list[str], list[tuple[int, str]]]:
    """Return names and units of the lines before the numbers, and lines that belong to those."""

    def num_known(names: Sequence[str]) -> int:
        return sum(map(is_known, names))

    cut = []
    for _, line in heads:
        text = line.lstrip().lstrip("#% ") if _is_comment(line) else line
        # Their separators may be others than those of the numbers.
        ways = [_cut(text, own, False) for own in (separator, *_SEPARATORS)]
        best = max(ways, key=num_known)
        cut.append(_trimmed(best if num_known(best) > 1 else ways[0]))
    plain = [at for at, (_, line) in enumerate(heads) if not _is_comment(line)]
    named = [at for at, names in enumerate(cut) if num_known(names) > 1]
    at = (named or plain or [-1])[-1]
    if at < 0:
        return [], [], []
    after = [own for own in plain if own > at]
    units = [unit.strip("[]() ").lower() for unit in cut[after[0]]] if after else []
    if {*units} <= {"", "-", *UNITS} and {*units} & UNITS:
        del after[0]
    else:
        units = []
    return cut[at], units, [heads[own] for own in after]


def _fitting(header: list[str], rows: Sequence[tuple[int, list[str]]]) -> list[str]:
    """Return the header with a name for the numbers of the rows, if it lacks that alone."""
    widths = {len(_trimmed(fields)) for _, fields in rows}
    if header and not header[0] and widths == {len(header) - 1}:
        return header[1:]  # a comment's sign stood in a field of its own
    first = [parse_number(fields[0]) for _, fields in rows]
    is_counted = (
        first == [first[0] + at for at in range(len(first))] if first[0] in (0, 1) else False
    )
    return ["", *header] if header and is_counted and widths == {len(header) + 1} else header


def _with_units(header: Sequence[str], units: Sequence[str]) -> list[str]:
    """Return names with the units of a line of their own, where they have none by themselves."""
    units = [*units, *[""] * (len(header) - len(units))]
    return [
        f"{name} [{unit}]" if unit and name.lower().rpartition("_")[2] not in UNITS else name
        for name, unit in zip(header, units[: len(header)], strict=True)
    ]


def read_text(file: Path, what: str, *, error: type[DiffcarError], hint: str | None = None) -> str:
    """Return a text file in UTF-8, UTF-16 or CP1252, with line feeds alone between lines.

    Args:
        what: What the file is, in the complaint that it cannot be read.
        error: Raised if it cannot be, or is no text.
        hint: To a file that cannot be read.
    """
    try:
        if file.is_char_device():  # which may have no end
            raise OSError(errno.EINVAL, "it is a device")
        data = file.read_bytes()
    except (OSError, ValueError) as problem:  # a NUL in a name is a ValueError
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{what} {str(file)!r} cannot be read: {reason}", hint) from None
    is_wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = "\0"
    for encoding in ("utf-16",) if is_wide else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if "\0" in text:
        raise error(f"{str(file)!r} is not a text file", "export it as CSV in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
