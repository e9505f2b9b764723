"""Reads paths from CSV files of the kinds that racing projects exchange.

Known columns: TUM tracks (`x_m,y_m,w_tr_right_m,w_tr_left_m`) and racelines (`x_m,y_m`), F1TENTH
racelines (`s_m;x_m;y_m;psi_rad;kappa_radpm;vx_mps;ax_mps2`), and plain x, y[, speed[, heading]].
Headings and curvatures in files are ignored: the families measure them from different axes.
"""

import re
from pathlib import Path

import numpy as np

from diffcar.base.errors import PathError
from diffcar.path.builtin import Points

__all__ = ["read_points"]

_MEANINGS = {
    "x": ("x", "x_m"),
    "y": ("y", "y_m"),
    "speed": ("v", "v_mps", "vx", "vx_mps", "speed", "speed_mps", "velocity"),
}
_KNOWN = {alias: meaning for meaning, aliases in _MEANINGS.items() for alias in aliases}
_IGNORED = {
    "s",
    "s_m",
    "psi",
    "psi_rad",
    "heading",
    "heading_rad",
    "yaw",
    "yaw_rad",
    "kappa",
    "kappa_radpm",
    "ax",
    "ax_mps2",
    "w_tr_right_m",
    "w_tr_left_m",
}
_WITHOUT_HEADER = {
    2: ("x", "y"),
    3: ("x", "y", "v"),
    4: ("x", "y", "v", "heading"),
    7: ("s_m", "x_m", "y_m", "psi_rad", "kappa_radpm", "vx_mps", "ax_mps2"),
}


def read_points(file: Path, *, scale: float, closed: bool | None) -> Points:
    """Read a path from a text file, its kind sniffed from the header.

    Args:
        file: CSV file; comma, semicolon, tab or space separated, `#` starts a comment.
        scale: Factor on the coordinates.
        closed: Whether the path is a loop; None decides by the gap between its ends.

    Returns:
        The points, without a repeated last one.

    Raises:
        PathError: If the file cannot be read or its content is not a path.
    """
    header, rows = _read_rows(file)
    names = _column_names(file, header, rows)
    table = _numeric_table(file, rows, names)
    xy = table[:, [names.index("x"), names.index("y")]]
    speed = table[:, names.index("speed")] if "speed" in names else None
    if len(xy) < 4:
        raise PathError(f"{str(file)!r} has {len(xy)} points; a path needs at least 4")
    if closed is None:
        closed = _looks_closed(xy)
    if closed and len(xy) > 4 and _repeats_its_start(xy):
        xy, speed = xy[:-1], None if speed is None else speed[:-1]
    return Points(xy * scale, closed=closed, speed=speed)


def _read_rows(file: Path) -> tuple[list[str] | None, list[tuple[int, list[str]]]]:
    """Return the header's names, if there is one, and the data fields with their line numbers."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise PathError(f"the path file {str(file)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PathError(
            f"{str(file)!r} is not a text file", hint="export the path as CSV"
        ) from None
    header: list[str] | None = None
    rows: list[tuple[int, list[str]]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        fields = _split(text.lstrip("# "))
        if text.startswith("#"):
            # Any comment may precede the data; only one made of known names is a header.
            is_header = len(fields) > 1 and all(_is_known(field) for field in fields)
            header = fields if is_header and not rows else header
        elif text and not rows and not _is_number(fields[0]):
            header = fields
        elif text:
            rows.append((number, fields))
    if not rows:
        raise PathError(f"{str(file)!r} holds no numbers", hint="expected lines such as 1.0,2.0")
    return header, rows


def _split(text: str) -> list[str]:
    """Split a line at its most specific separator."""
    for separator in (";", ",", "\t"):
        if separator in text:
            return [field.strip() for field in text.split(separator)]
    return re.split(r"\s+", text)


def _is_number(text: str) -> bool:
    """Tell whether a field reads as a number (`nan` included)."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column_names(
    file: Path, header: list[str] | None, rows: list[tuple[int, list[str]]]
) -> list[str]:
    """Return x, y, speed or "" for each column."""
    num_columns = len(rows[0][1])
    if header is not None and len(header) != num_columns:
        raise PathError(
            f"{str(file)!r} names {len(header)} columns ({', '.join(header)}) but its first row "
            f"has {num_columns}"
        )
    if header is None:
        if num_columns not in _WITHOUT_HEADER:
            raise PathError(
                f"{str(file)!r} has {num_columns} columns and no header that names them",
                hint="put a line such as `x_m,y_m,vx_mps` first",
            )
        header = list(_WITHOUT_HEADER[num_columns])
    unknown = [name for name in header if not _is_known(name)]
    if unknown:
        raise PathError(
            f"{str(file)!r} has unknown columns: {', '.join(map(repr, unknown))}",
            hint=f"known are {', '.join(sorted({*_KNOWN, *_IGNORED}))}; rename or delete them",
        )
    names = [_KNOWN.get(name.lower(), "") for name in header]
    for needed in ("x", "y"):
        if names.count(needed) != 1:
            raise PathError(
                f"{str(file)!r} needs exactly one column for {needed}, it has "
                f"{names.count(needed)} (columns: {', '.join(header)})"
            )
    return names


def _is_known(name: str) -> bool:
    """Tell whether a column of this name has a meaning or is known to be ignored."""
    return name.lower() in _KNOWN or name.lower() in _IGNORED


def _numeric_table(file: Path, rows: list[tuple[int, list[str]]], names: list[str]) -> np.ndarray:
    """Convert the fields, naming the line of the first that is no finite number."""
    table = np.empty((len(rows), len(names)))
    for index, (number, fields) in enumerate(rows):
        if len(fields) != len(names):
            raise PathError(
                f"{str(file)!r} line {number} has {len(fields)} fields, expected {len(names)}"
            )
        for column, (field, name) in enumerate(zip(fields, names, strict=True)):
            value = float(field) if _is_number(field) else float("nan")
            if name and not np.isfinite(value):
                raise PathError(
                    f"{str(file)!r} line {number}, column {name}: {field!r} is not a finite number"
                )
            table[index, column] = value
    return table


def _repeats_its_start(xy: np.ndarray) -> bool:
    """Tell whether the last point is the first again, but for rounding."""
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    return float(np.linalg.norm(xy[0] - xy[-1])) < 0.02 * float(np.median(steps))


def _looks_closed(xy: np.ndarray) -> bool:
    """Tell whether the ends lie as close together as neighbouring points do."""
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    gap = float(np.linalg.norm(xy[0] - xy[-1]))
    return gap < 3.0 * float(np.median(steps)) and gap < 0.2 * float(steps.sum())
