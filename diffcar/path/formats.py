"""Reads paths from CSV files of the kinds that racing projects exchange.

Headings and curvatures in files are ignored: the families measure them from different axes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffcar.base.csv_reader import parse_number, read_lines
from diffcar.base.errors import PathError
from diffcar.path.builtin import Points

__all__ = ["FORMATS", "Format", "read_points"]

_Rows = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class Format:
    """A kind of file: what its columns are called, and what lies between them."""

    name: str
    columns: Mapping[str, str]
    """What a column is, by its name in lower case: `x`, `y`, `speed`, or empty for what is ignored.
    A file with a header may have them in any order, beside those of other formats."""
    separators: str = ";,\t "
    """The most specific first; a space stands for white space of any length."""
    nameless: tuple[int, ...] = ()
    """Numbers of columns of files without a header that are taken for this kind, which then has
    its first ones in their order."""


_WAYPOINT = {"x_m": "x", "y_m": "y"}
FORMATS = (
    Format("TUM track", {**_WAYPOINT, "w_tr_right_m": "", "w_tr_left_m": ""}),
    Format(
        "F1TENTH raceline",
        {
            "s_m": "",
            **_WAYPOINT,
            "psi_rad": "",
            "kappa_radpm": "",
            "vx_mps": "speed",
            "ax_mps2": "",
        },
        nameless=(7,),
    ),
    Format(
        "plain",
        {"x": "x", "y": "y", "v": "speed", "heading": ""}
        | dict.fromkeys(("v_mps", "vx", "speed", "speed_mps", "velocity"), "speed")
        | dict.fromkeys(("s", "psi", "heading_rad", "yaw", "yaw_rad", "kappa", "ax"), ""),
        nameless=(2, 3, 4),
    ),
)
"""The kinds of files that can be read."""

_KNOWN = {name: meaning for kind in FORMATS for name, meaning in kind.columns.items()}
_SEPARATORS = dict.fromkeys(separator for kind in FORMATS for separator in kind.separators)
_EXISTING = "; ".join(f"{kind.name} ({', '.join(kind.columns)})" for kind in FORMATS)


def read_points(file: Path, *, scale: float, closed: bool | None) -> Points:
    """Read a path, without a repeated last point, from a file whose kind is sniffed.

    Args:
        file: One of `FORMATS`; `#` starts a comment.
        scale: Factor on the coordinates.
        closed: Whether the path is a loop; None decides by the gap between its ends.

    Raises:
        PathError: If the file cannot be read or its content is not a path.
    """
    header, rows = _read_rows(file)
    names = _column_names(file, header, len(rows[0][1]))
    table = _numbers(file, rows, names)
    xy = table[:, [names.index("x"), names.index("y")]]
    speed = table[:, names.index("speed")] if "speed" in names else None
    if len(xy) < 4:
        raise PathError(f"{str(file)!r} has {len(xy)} points; a path needs at least 4")
    # The ends of a loop lie as close together as neighbours, or are one point but for rounding.
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    gap, spacing = float(np.linalg.norm(xy[0] - xy[-1])), float(np.median(steps))
    if closed is None:
        closed = gap < 3.0 * spacing and gap < 0.2 * float(steps.sum())
    if closed and len(xy) > 4 and gap < 0.02 * spacing:
        xy, speed = xy[:-1], None if speed is None else speed[:-1]
    return Points(xy * scale, closed=closed, speed=speed)


def _read_rows(file: Path) -> tuple[list[str] | None, _Rows]:
    """Return the header's names, if there is one, and the data fields with their line numbers."""
    header: list[str] | None = None
    rows: _Rows = []
    for number, line in read_lines(file, "the path file", error=PathError):
        text = line.strip()
        fields = _split(text.lstrip("# "))
        if text.startswith("#"):
            # Any comment may precede the data; only one made of known names is a header.
            is_header = len(fields) > 1 and all(field.lower() in _KNOWN for field in fields)
            header = fields if is_header and not rows else header
        elif not rows and parse_number(fields[0]) is None:
            header = fields
        else:
            rows.append((number, fields))
    if not rows:
        raise PathError(f"{str(file)!r} holds no numbers", hint="expected lines such as 1.0,2.0")
    return header, rows


def _split(text: str) -> list[str]:
    """Split a line at its most specific separator."""
    separator = next((own for own in _SEPARATORS if own != " " and own in text), None)
    return (
        re.split(r"\s+", text) if separator is None else [f.strip() for f in text.split(separator)]
    )


def _column_names(file: Path, header: list[str] | None, num_columns: int) -> list[str]:
    """Return x, y, speed or "" for each column."""
    if header is None:
        kind = next((kind for kind in FORMATS if num_columns in kind.nameless), None)
        if kind is None:
            raise PathError(
                f"{str(file)!r} has {num_columns} columns and no header that names them",
                hint=f"put a line such as `x_m,y_m,vx_mps` first; formats are {_EXISTING}",
            )
        header = list(kind.columns)[:num_columns]
    if len(header) != num_columns:
        raise PathError(
            f"{str(file)!r} names {len(header)} columns ({', '.join(header)}) but its first row "
            f"has {num_columns}"
        )
    if unknown := [name for name in header if name.lower() not in _KNOWN]:
        raise PathError(
            f"{str(file)!r} has unknown columns: {', '.join(map(repr, unknown))}",
            hint=f"rename or delete them; formats are {_EXISTING}",
        )
    names = [_KNOWN[name.lower()] for name in header]
    for needed in ("x", "y"):
        if names.count(needed) != 1:
            raise PathError(
                f"{str(file)!r} needs exactly one column for {needed}, it has "
                f"{names.count(needed)} (columns: {', '.join(header)})"
            )
    return names


def _numbers(file: Path, rows: _Rows, names: list[str]) -> np.ndarray:
    """Convert the fields, naming the line of the first that is no finite number."""
    for number, fields in rows:
        if len(fields) != len(names):
            raise PathError(
                f"{str(file)!r} line {number} has {len(fields)} fields, expected {len(names)}"
            )
    values = [[parse_number(field) for field in fields] for _, fields in rows]
    table = np.array(values, dtype=float)  # where None becomes NaN
    for row, column in np.argwhere(~np.isfinite(table)):
        if names[column]:
            number, fields = rows[row]
            raise PathError(
                f"{str(file)!r} line {number}, column {names[column]}: {fields[column]!r} is not "
                "a finite number"
            )
    return table
