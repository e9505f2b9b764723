"""Reads paths from CSV files of the kinds that racing projects exchange.

Headings and curvatures in files are ignored: the families measure them from different axes.
"""

import re
from collections.abc import Mapping, Sequence
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
    """What a column is, by its name in lower case: `x`, `y`, `speed` or `ignore`.
    A file with a header may have them in any order, beside those of other formats."""
    separators: str = ";,\t "
    """The most specific first; a space stands for white space of any length."""


_WAYPOINT = {"x_m": "x", "y_m": "y"}
FORMATS = (
    Format("TUM track", {**_WAYPOINT, "w_tr_right_m": "ignore", "w_tr_left_m": "ignore"}),
    Format(
        "F1TENTH raceline",
        {
            "s_m": "ignore",
            **_WAYPOINT,
            "psi_rad": "ignore",
            "kappa_radpm": "ignore",
            "vx_mps": "speed",
            "ax_mps2": "ignore",
        },
    ),
    Format(
        "plain",
        {"x": "x", "y": "y", "v": "speed", "heading": "ignore"}
        | dict.fromkeys(("v_mps", "vx", "speed", "speed_mps", "velocity"), "speed")
        | dict.fromkeys(("s", "psi", "heading_rad", "yaw", "yaw_rad", "kappa", "ax"), "ignore"),
    ),
)
"""The kinds of files that can be read."""

_KNOWN = {name: meaning for kind in FORMATS for name, meaning in kind.columns.items()}
_RACELINE = next(kind for kind in FORMATS if kind.name == "F1TENTH raceline")
_SEPARATORS = dict.fromkeys(separator for kind in FORMATS for separator in kind.separators)
_EXISTING = "; ".join(f"{kind.name} ({', '.join(kind.columns)})" for kind in FORMATS)
_SETTING = (
    "--set 'path.columns=[x,y,speed]', with `ignore` for what is none of them "
    "(in a suite `columns` beside the path's `source`)"
)
# No car is faster [m/s].
_MAX_SPEED = 100.0


@np.errstate(over="ignore", invalid="ignore")  # where numbers are so large the path is refused
def read_points(
    file: Path,
    *,
    scale: float,
    closed: bool | None,
    columns: Sequence[str] | None = None,
    nameless: Sequence[str] | None = None,
) -> Points:
    """Read a path, without a repeated last point, from a file whose kind is sniffed.

    Args:
        file: One of `FORMATS`; `#` starts a comment.
        scale: Factor on the coordinates.
        closed: Whether the path is a loop; None decides by the gap between its ends.
        columns: What the columns are, one by one: x, y, speed or ignore; None finds out.
        nameless: What they are where neither `columns` nor a header says it, and there are as many.

    Raises:
        PathError: If the file cannot be read or its content is not a path.
    """
    header, rows = _read_rows(file)
    if header is None and nameless is not None and len(nameless) == len(rows[0][1]):
        columns = columns or nameless
    if columns is not None:
        names = _checked(file, list(columns), columns, len(rows[0][1]))
    elif header is not None:
        names = _by_header(file, header, len(rows[0][1]))
    else:
        names = _by_numbers(file, rows)
    table = _numbers(file, rows, names)
    xy = table[:, [names.index("x"), names.index("y")]]
    speed = table[:, names.index("speed")] if "speed" in names else None
    if speed is not None and not (speed > 0).all():
        number, fields = rows[int(np.argmin(speed > 0))]
        found = fields[names.index("speed")]
        raise PathError(
            f"{str(file)!r} line {number}: the speed {found} is not positive",
            hint=f"mend it, or say what the columns are: {_SETTING}",
        )
    if len(xy) < 4:
        raise PathError(
            f"{str(file)!r} has {len(xy)} points; a path needs at least 4", hint="give it more"
        )
    # The ends of a loop lie as close together as neighbours, or are one point but for rounding.
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    gap, spacing = float(np.linalg.norm(xy[0] - xy[-1])), float(np.median(steps))
    if closed is None:
        closed = gap < 3.0 * spacing and gap < 0.2 * float(steps.sum())
    while closed and len(xy) > 4 and np.linalg.norm(xy[0] - xy[-1]) < 0.02 * spacing:
        xy, speed = xy[:-1], None if speed is None else speed[:-1]
    return Points(xy * scale, closed=closed, speed=speed, columns=tuple(names))


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


def _by_header(file: Path, header: list[str], num_columns: int) -> list[str]:
    """Return x, y, speed or ignore for each column, by its name."""
    if unknown := [name for name in header if name.lower() not in _KNOWN]:
        raise PathError(
            f"{str(file)!r} has unknown columns: {', '.join(map(repr, unknown))}",
            hint=f"rename or delete them, or say {_SETTING}; formats are {_EXISTING}",
        )
    return _checked(file, [_KNOWN[name.lower()] for name in header], header, num_columns)


def _checked(file: Path, names: list[str], header: Sequence[str], num_columns: int) -> list[str]:
    """Return what columns are if they fit the file and make a path."""
    if len(names) != num_columns:
        raise PathError(
            f"{str(file)!r} names {len(names)} columns ({', '.join(header)}) but its first row "
            f"has {num_columns}",
            hint=f"name every column; formats are {_EXISTING}",
        )
    for name, fewest in (("x", 1), ("y", 1), ("speed", 0)):
        if not fewest <= names.count(name) <= 1:
            raise PathError(
                f"{str(file)!r} needs exactly one column for {name}, it has {names.count(name)} "
                f"(columns: {', '.join(header)})",
                hint=f"rename or delete the others, or say {_SETTING}",
            )
    return names


def _by_numbers(file: Path, rows: _Rows) -> list[str]:
    """Return what the columns of a file without a header are, where its numbers leave no doubt.

    What is neither a heading nor impossible as a speed may be a speed, a width or a height.
    """
    num_columns = len(rows[0][1])
    names = ["x", "y", *["ignore"] * (num_columns - 2)]
    table = _numbers(file, rows, names)
    raceline = list(_RACELINE.columns.values())
    if num_columns == len(raceline) and _is_along(table[:, 1:3], table[:, 0]):
        return raceline
    if num_columns not in (2, 3, 4):
        raise PathError(
            f"{str(file)!r} has {num_columns} columns and no header that names them",
            hint=f"put a line such as `x_m,y_m,vx_mps` first, or say {_SETTING}; "
            f"formats are {_EXISTING}",
        )
    others = range(2, num_columns)
    headings = [column for column in others if _is_heading(table[:, :2], table[:, column])]
    doubtful = [c for c in others if c not in headings and _may_be_speed(table[:, c])]
    if (headings, doubtful) == ([2], [3]):  # a pose with its speed, as waypoint loggers write
        return [*names[:3], "speed"]
    if doubtful:
        raise PathError(
            f"{str(file)!r} has no header, and its column {doubtful[0] + 1} may be a speed as well "
            "as a width or a height",
            hint=f"put a line such as `x_m,y_m,vx_mps` first, or say {_SETTING}",
        )
    return names


def _is_along(xy: np.ndarray, values: np.ndarray) -> bool:
    """Tell whether numbers can be nothing but the distances along a path."""
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    off = np.abs(np.diff(values) - steps)
    return len(xy) > 1 and bool(np.median(off) <= 0.1 * np.median(steps))


def _is_heading(xy: np.ndarray, values: np.ndarray) -> bool:
    """Tell whether numbers can be nothing but the directions of a path that turns.

    Counted from one of the axes, or clockwise from north, in radians or degrees.
    """
    if len(xy) < 4 or not np.isfinite(values).all():
        return False
    steps = np.gradient(xy, axis=0)
    heading = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    turn = np.ptp(heading)
    for angle in (values, -values, np.deg2rad(values), -np.deg2rad(values)):
        for quarter in range(4):
            off = np.angle(np.exp(1j * (angle - heading + quarter * np.pi / 2)))
            median, most = np.quantile(np.abs(off), [0.5, 0.98])
            # A constant is no heading, however straight most of the path may be.
            if median < 0.1 and most < 0.3 and np.ptp(np.unwrap(angle)) > 0.5 * turn > 0.25:
                return True
    return False


def _may_be_speed(values: np.ndarray) -> bool:
    """Tell whether numbers are such as speeds can be [m/s]."""
    known = values[np.isfinite(values)]
    return known.size > 0 and bool(known.max() > 0 and known.min() <= _MAX_SPEED)


def _numbers(file: Path, rows: _Rows, names: list[str]) -> np.ndarray:
    """Convert the fields, naming the line of the first that is no finite number."""
    for number, fields in rows:
        if len(fields) != len(names):
            raise PathError(
                f"{str(file)!r} line {number} has {len(fields)} fields, expected {len(names)}",
                hint="mend it; every line needs as many as the first",
            )
    values = [[parse_number(field) for field in fields] for _, fields in rows]
    table = np.array(values, dtype=float)  # where None becomes NaN
    for row, column in np.argwhere(~np.isfinite(table)):
        if names[column] != "ignore":
            number, fields = rows[row]
            raise PathError(
                f"{str(file)!r} line {number}, column {names[column]}: {fields[column]!r} is not "
                "a finite number",
                hint=f"mend it, or say what the columns are: {_SETTING}",
            )
    return table
