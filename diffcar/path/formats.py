"""Reads paths from files of the kinds that racing projects exchange.

Headings and curvatures in files are ignored: the families measure them from different axes.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffcar.base.csv_reader import read_sheet
from diffcar.base.errors import PathError
from diffcar.base.sheet import (
    DRIVEN_SPEED,
    EASTWARD,
    NORTHWARD,
    Quantity,
    ScaledColumn,
    Sheet,
    parse_number,
    split_factor,
)
from diffcar.path.builtin import Points
from diffcar.path.config import COLUMNS, Columns, PathConfig
from diffcar.path.geographic import read_gpx, to_metres
from diffcar.path.polygon import lengths

__all__ = ["DIALECTS", "Dialect", "read_points"]


@dataclass(frozen=True)
class Dialect:
    """A kind of table, by the names of its columns."""

    name: str
    """What people call it."""
    columns: tuple[str, ...]
    """What its columns are called."""
    speed: float = 1.0
    """What its speeds are in m/s."""


DIALECTS = (
    Dialect("TUM track", ("x_m", "y_m", "w_tr_right_m", "w_tr_left_m")),
    Dialect(
        "F1TENTH raceline", ("s_m", "x_m", "y_m", "psi_rad", "kappa_radpm", "vx_mps", "ax_mps2")
    ),
    Dialect("Autoware waypoints", ("x", "y", "z", "yaw", "velocity", "change_flag"), 1 / 3.6),
    Dialect("plain", ("x", "y", "speed", "heading")),
)
"""The kinds of files that can be read; with a header in any order, and beside other columns."""

_DEGREES = {"deg": 1.0, "degrees": 1.0, "°": 1.0}
# A plan has speeds that a log has not.
_PLANNED = ("target_speed", "target_velocity", "ref_speed", "speed_ref", "v_ref", "vx_ref")
_QUANTITIES = {
    "x": EASTWARD,
    "y": NORTHWARD,
    "speed": Quantity((*DRIVEN_SPEED.names, *_PLANNED), DRIVEN_SPEED.units),
    "lat": Quantity(("lat", "latitude", "gps_lat", "gps_latitude"), _DEGREES),
    "lon": Quantity(("lon", "lng", "long", "longitude", "gps_lon", "gps_longitude"), _DEGREES),
}
_RACELINE = ["ignore", "x", "y", "ignore", "ignore", "speed", "ignore"]
_EXISTING = "; ".join(f"{kind.name} ({', '.join(kind.columns)})" for kind in DIALECTS)
_SETTING = (
    "--set 'path.columns=[x,y,speed]', with `ignore` for what is none of them "
    "(in a suite `columns` beside the path's `source`)"
)
_MAX_SPEED = 100.0  # no car is faster [m/s]
_NUM_SHOWN, _NUM_SEARCHED = 8, 200
_TAG = re.compile(r"((big|small|large)[ _]?)?(blue|yellow|orange)|.*cone|left$|right$")
_SIDES = "left|right|inner|outer"
_SIDE = re.compile(
    rf"(.*_)?(colou?r|cones?|blue|yellow)(_.*)?|(.*_)?({_SIDES})_[xy](_.*)?|[xy]_({_SIDES})(_.*)?"
)


@np.errstate(over="ignore", invalid="ignore")  # where numbers are so large the path is refused
def read_points(file: Path, config: PathConfig, nameless: Columns | None) -> Points:
    """Read the points of a path as they stand in a file whose kind is sniffed, as an open one.

    Args:
        file: One of `DIALECTS`, or GPX; `#` starts a comment.
        config: What is known of it.
        nameless: What its columns are where `config` and its header do not say it, and there are
            as many; or what they are called if it has such names. Where it is given, empty as it
            may be, `config` is that of another path, and asks for degrees only if there are any.

    Raises:
        PathError: If the file cannot be read or its content is not a path.
    """
    if file.suffix.lower() == ".gpx":
        xy, first = to_metres(read_gpx(file), file)
        return Points(xy * config.scale, False, columns=("lat", "lon"), geographic_origin=first)
    told = config.columns if isinstance(config.columns, dict) else {}
    theirs = {split_factor(own, PathError)[0] for own in told.values()}

    def is_known(name: str) -> bool:
        return name in theirs or any(own.factor(name) is not None for own in _QUANTITIES.values())

    remedy = f"mend it, or say what the columns are: {_SETTING}"
    sheet = read_sheet(file, "the path file", error=PathError, is_known=is_known, remedy=remedy)
    places = _places(sheet, config, nameless)
    numbers, rows = sheet.numbers(places, skip_incomplete=config.lap)
    table = {name: np.array(own) for name, own in numbers.items()}
    axes = ("lat", "lon") if "lat" in table else ("x", "y")
    xy, origin = np.column_stack([table[axis] for axis in axes]), None
    if "lat" in table:
        xy, origin = to_metres(xy, file)
    if len(xy) < 4:
        raise PathError(
            f"{str(file)!r} has {len(xy)} points; a path needs at least 4", hint="give it more"
        )
    speed, notes = table.get("speed"), _notes(sheet, places)
    if num_skipped := len(sheet.rows) - len(rows):
        notes.append(f"{num_skipped} incomplete rows left out")
    if speed is not None and not config.lap:
        notes += _fill_ends(sheet, speed, rows)
    names = {at: name for name, (at, _) in places.items()}
    return Points(
        xy * config.scale,
        closed=False,
        speed=speed,
        columns=tuple(names.get(at, "ignore") for at in range(sheet.num_columns)),
        notes=tuple(notes),
        geographic_origin=origin,
    )


def _notes(sheet: Sheet, places: Mapping[str, ScaledColumn]) -> list[str]:
    """Return what to know of how the columns of a file with a header were read."""
    used = {at for at, _ in places.values()}
    known = {name for kind in DIALECTS for name in kind.columns}
    others = [own for at, own in enumerate(sheet.header) if at not in used and own not in known]
    notes = [
        f"{name} is column {sheet.header[at]!r} times {factor:.5g}"
        for name, (at, factor) in places.items()
        if factor != 1 and sheet.header
    ]
    if others := [own for own in others if own]:
        more = ", ..." if len(others) > _NUM_SHOWN else ""
        notes.append(f"columns ignored: {', '.join(others[:_NUM_SHOWN])}{more}")
    return notes


def _fill_ends(sheet: Sheet, speed: np.ndarray, rows: Sequence[int]) -> list[str]:
    """Replace speeds of zero at the ends, where a plan stands, by those beside them."""
    moving = np.flatnonzero(speed != 0)
    first, last = (moving[0], moving[-1]) if len(moving) else (0, len(speed) - 1)
    if not (speed[first : last + 1] > 0).all():
        row = int(np.argmin(speed[first : last + 1] > 0)) + first
        raise PathError(
            f"{str(sheet.file)!r} row {rows[row]}: the speed {speed[row]:.6g} is not positive",
            hint=f"mend it, or say what the columns are: {_SETTING}; of a recorded lap: --lap",
        )
    speed[:first], speed[last + 1 :] = speed[first], speed[last]
    num_ends = len(speed) - (last + 1 - first)
    return [f"{num_ends} speeds of zero at the ends are no limit"] if num_ends else []


def _places(sheet: Sheet, config: PathConfig, nameless: Columns | None) -> dict[str, ScaledColumn]:
    """Return where x and y, or latitude and longitude, and perhaps the speed stand."""
    told, axes = config.columns, {"x": "lon", "y": "lat"} if config.latlon else {}
    if told is None and isinstance(nameless, dict) == bool(sheet.header):
        is_apt = nameless and (sheet.header or len(nameless) == sheet.num_columns)
        told = nameless if is_apt else None
    if isinstance(told, dict) or (told is None and sheet.header):
        named = {axes.get(name, name): theirs for name, theirs in (told or {}).items()}
        places = _by_header(sheet, named, config)
        if axes and "lat" not in places and (nameless is None or config.columns is not None):
            raise PathError(
                f"{str(sheet.file)!r} has no latitude and longitude that could be projected",
                hint="leave out --latlon, or say which columns they are: --column x=LONGITUDE "
                "--column y=LATITUDE",
            )
        return places
    if told is None:
        _refuse_cones(sheet)
    names = _by_numbers(sheet) if told is None else _checked(sheet, list(told))
    return {axes.get(own, own): (at, 1.0) for at, own in enumerate(names) if own != "ignore"}


def _by_header(
    sheet: Sheet, told: Mapping[str, str], config: PathConfig
) -> dict[str, ScaledColumn]:
    """Return where the quantities stand by the names of columns, those that were told first."""
    for name, theirs in told.items() if config.columns is not None else ():
        wanted = split_factor(theirs, PathError)[0]
        if wanted not in sheet.header:
            near = difflib.get_close_matches(wanted, sheet.header, n=1)
            raise PathError(
                f"{str(sheet.file)!r} has no column {wanted!r} for {name}",
                hint=f"did you mean {near[0]!r}?"
                if near
                else f"it has {', '.join(sheet.header) or 'no header'}",
            )
    found = {name: sheet.find(name, told, own) for name, own in _QUANTITIES.items()}
    places = {name: place for name, place in found.items() if place is not None}
    axes = ("lat", "lon") if config.latlon and {"lat", "lon"} <= {*places} else ("x", "y")
    if not {*axes} <= {*told}:
        _refuse_cones(sheet, is_path={*axes} <= {*places})
    if axes == ("x", "y") and not {"x", "y"} <= {*places}:
        if {"lat", "lon"} <= {*places}:
            raise PathError(
                f"{str(sheet.file)!r} has latitude and longitude, not metres",
                hint="--latlon projects them to metres around its first point",
            )
        lacking = [axis for axis in axes if axis not in places]
        error = sheet.missing(lacking, used=places)
        raise PathError(error.message, f"{error.hint}; formats are {_EXISTING}")
    if "speed" in places and "speed" not in told:
        places["speed"] = _certain_speed(sheet, places["speed"])
    return {name: place for name, place in places.items() if name in (*axes, "speed")}


def _certain_speed(sheet: Sheet, place: ScaledColumn) -> ScaledColumn:
    """Return where the speed stands, in its unit; refuse one that may be something else."""
    at, factor = place
    names = [_QUANTITIES["speed"].split(own)[0] for own in sheet.headings]
    kind = next((kind for kind in DIALECTS if {*kind.columns} == {*names}), None)
    doubt = ""
    if names[at] in ("vx", "v_x", "vel_x") and {"vy", "v_y", "vel_y"} & {*names}:
        doubt = "the speed along the world's x"
    if kind is not None and kind.speed != 1:
        factor = kind.speed
    elif names[at] == "velocity" and "change_flag" in names:
        doubt = "in km/h"
    if doubt:
        raise PathError(
            f"{str(sheet.file)!r}: its column {sheet.header[at]!r} may be {doubt}",
            hint=f"say what it is: --column speed={sheet.header[at]} or, if in km/h, "
            f"--column 'speed={sheet.header[at]}*0.27778'; for none {_SETTING}",
        )
    return at, factor


def _refuse_cones(sheet: Sheet, *, is_path: bool = True) -> None:
    """Refuse a file of what stands beside a road."""
    fields = {field.lower() for _, row in sheet.rows[:_NUM_SEARCHED] for field in row}
    seen = sorted(own for own in fields if _TAG.match(own))
    names = [own for own in sheet.header if _SIDE.fullmatch(re.sub(r"[^a-z]+", "_", own.lower()))]
    seen += [own for own in names if not is_path or re.search("colou?r|cone", own.lower())]
    if seen:
        raise PathError(
            f"{str(sheet.file)!r} tells of cones or edges of a road, not of a path: "
            f"{', '.join(map(repr, seen[:_NUM_SHOWN]))}",
            hint="give the centre line: the middles between each cone on the left (blue) and the "
            "nearest on the right (yellow), in driving order, as x,y; if it is one: "
            "--column x=NAME --column y=NAME",
        )


def _checked(sheet: Sheet, names: Sequence[str]) -> Sequence[str]:
    """Return what columns are if they fit the file and make a path."""
    counts = [names.count(name) for name in COLUMNS]
    if len(names) != sheet.num_columns or counts[:2] != [1, 1] or counts[2] > 1:
        raise PathError(
            f"path.columns names {len(names)} columns ({', '.join(names)}), {str(sheet.file)!r} "
            f"has {sheet.num_columns}: one must be x, one y, and one may be speed",
            hint=f"say {_SETTING}",
        )
    return names


def _by_numbers(sheet: Sheet) -> list[str]:
    """Return what the columns of a file without a header are, where its numbers leave no doubt.

    What is neither a heading nor impossible as a speed may be a speed, a width or a height.
    """
    width = range(sheet.num_columns)
    rows = [
        [parse_number("".join(fields[at : at + 1])) for at in width] for _, fields in sheet.rows
    ]
    table = np.array(rows, dtype=float)  # where None becomes NaN
    file, num_columns = sheet.file, sheet.num_columns
    names = ["x", "y", *["ignore"] * (num_columns - 2)]
    if num_columns == len(_RACELINE) and _is_along(table[:, 1:3], table[:, 0]):
        return _RACELINE
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
    steps = lengths(xy)
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
