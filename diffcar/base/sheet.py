"""The columns of somebody's table, every complaint naming file, row and column."""

import difflib
import math
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffcar.base.errors import DiffcarError

__all__ = [
    "ANGLE",
    "DRIVEN_SPEED",
    "EASTWARD",
    "LENGTH",
    "NORTHWARD",
    "RATE",
    "SPEED",
    "TIME",
    "UNITS",
    "Quantity",
    "ScaledColumn",
    "Sheet",
    "parse_number",
    "split_factor",
]

_NUM_NAMES_SHOWN = 24

LENGTH = {"m": 1.0, "metres": 1.0, "meters": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "ft": 0.3048}
TIME = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DEGREE = math.pi / 180
ANGLE = {"rad": 1.0, "deg": _DEGREE, "degrees": _DEGREE, "°": _DEGREE}
RATE = {"rad/s": 1.0, "radps": 1.0, "deg/s": _DEGREE, "degps": _DEGREE, "°/s": _DEGREE}
SPEED = {
    **dict.fromkeys(("m/s", "mps", "ms"), 1.0),
    **dict.fromkeys(("km/h", "kmh", "kph", "kmph"), 1 / 3.6),
    **dict.fromkeys(("mph", "mi/h"), 0.44704),
    **dict.fromkeys(("kn", "kt", "knots"), 1852 / 3600),
}
"""Units that a heading may name, in lower case, and what they are in SI."""
UNITS = {*LENGTH, *TIME, *ANGLE, *RATE, *SPEED, "m/s^2", "m/s²", "1/m", "rad/m"}
# Where a recorder puts the path of a message before the name of what is in it.
_LEAD = re.compile(r".*_(?=(position_[xy]|twist_linear_x|latitude|longitude)$)")


_WITH_UNIT = re.compile(r"(.+?)[ _]*[\[({]\s*(?!\d+\s*[\])}])(.*?)\s*[\])}]")  # or it is an index


@dataclass(frozen=True)
class Quantity:
    """What may stand in a column: how it may be called, and in which units."""

    names: tuple[str, ...]
    """In lower case, without unit, words joined by underscores."""
    units: Mapping[str, float]
    needs_unit: bool = False
    """Whether a heading without a unit tells too little."""

    def split(self, heading: str) -> tuple[str, float | None]:
        """Return the name in a heading, and its unit in SI: None without, NaN of an unknown one."""
        if match := _WITH_UNIT.fullmatch(heading.strip().lower()):
            return _plain(match[1]), self.units.get(match[2].replace(" ", ""), math.nan)
        name = _plain(heading)
        for unit, factor in self.units.items():
            if name.endswith(ending := f"_{_plain(unit)}") and len(ending) > 1:
                return name.removesuffix(ending), factor
        return name, None

    def factor(self, heading: str) -> float | None:
        """Return what makes SI of a column with a heading; None if it is not certainly of this."""
        name, unit = self.split(heading)
        if name not in self.names or (unit is None and self.needs_unit):
            return None
        return 1.0 if unit is None else None if math.isnan(unit) else unit


def _plain(name: str) -> str:
    """Return a name in lower case, its words joined by underscores."""
    return _LEAD.sub("", re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"))


_PARTS = ("pos", "position", "pose", "coordinate", "center", "centre", "ref", "map", "odom", "utm")


def _axis(axis: str, compass: str) -> Quantity:
    """Return what a coordinate may be called."""
    names = [name for part in _PARTS for name in (f"{part}_{axis}", f"{axis}_{part}")]
    return Quantity((axis, *names, compass, f"{compass}ing"), LENGTH)


EASTWARD, NORTHWARD = _axis("x", "east"), _axis("y", "north")
"""Coordinates, whose axes need not be those of the compass."""
_SPEEDS = """speed v vx v_x velocity vel vel_x longitudinal_velocity ground_speed gps_speed
    vehicle_speed twist_linear_x"""
DRIVEN_SPEED = Quantity(tuple(_SPEEDS.split()), SPEED)
"""How fast a car went."""

ScaledColumn = tuple[int, float]
"""Which field of a row a quantity is, from 0, and what its numbers are multiplied by."""


@dataclass(frozen=True)
class Sheet:
    """The text of a table, cut into fields."""

    file: Path
    header: list[str]
    """Names of the columns; none where the file has none."""
    headings: list[str]
    """The same with the units that a line below them tells."""
    rows: list[tuple[int, list[str]]]
    """Each row's number, as a text editor counts lines, and its fields."""
    digest: str
    """SHA-256 of its lines that are not blank."""
    error: type[DiffcarError]
    """What is raised about the file."""
    remedy: str
    """What mends a field that is no number."""

    @property
    def num_columns(self) -> int:
        """How many columns there are."""
        return max(len(self.header), *(len(fields) for _, fields in self.rows))

    def find(
        self, name: str, columns: Mapping[str, str], quantity: Quantity | None = None
    ) -> ScaledColumn | None:
        """Return where a quantity stands, or None if it does not.

        Args:
            name: What diffcar calls it.
            columns: What the files call it, as `NAME` or `NAME*FACTOR`, by diffcar's names. A file
                without a column of that name may have one of diffcar's.
            quantity: What else it may be called; a unit in the heading is heeded where no factor
                is given.

        Raises:
            DiffcarError: If two columns have the name, or may be what is sought, or the unit of
                the one that was told is unknown.
        """
        told = columns.get(name, name)
        given, factor = split_factor(told, self.error)
        for heading in dict.fromkeys((given, name)):
            if self.header.count(heading) > 1:
                raise self.error(
                    f"{str(self.file)!r} has {self.header.count(heading)} columns called "
                    f"{heading!r}",
                    hint="rename or delete all but one",
                )
            if heading in self.header:
                at = self.header.index(heading)
                if heading != given or "*" not in told:
                    factor = (quantity.split(self.headings[at])[1] or 1.0) if quantity else 1.0
                if not math.isnan(factor):
                    return at, factor
                if quantity and name in columns and heading == given:
                    raise self.error(
                        f"{str(self.file)!r}: the unit of its column {self.headings[at]!r} is "
                        f"unknown for {name}",
                        hint=f"write {f'{heading}*FACTOR'!r} to convert it, or, without a factor, "
                        f"name one of these units: {', '.join(quantity.units)}",
                    )
        if quantity is None:
            return None
        found = {at: quantity.factor(heading) for at, heading in enumerate(self.headings)}
        places = [(at, factor) for at, factor in found.items() if factor is not None]
        if len(places) > 1:
            names = ", ".join(repr(self.header[at]) for at, _ in places)
            raise self.error(
                f"{str(self.file)!r} has {len(places)} columns that may be {name}: {names}",
                hint=f"say which: --column {shlex.quote(f'{name}={self.header[places[0][0]]}')}",
            )
        return places[0] if places else None

    def numbers(
        self,
        columns: Mapping[str, ScaledColumn],
        *,
        skip_incomplete: bool,
        gaps: Collection[str] = (),
    ) -> tuple[dict[str, list[float]], list[int]]:
        """Return the numbers of some columns, and of which rows they are.

        Args:
            columns: Where each is found.
            skip_incomplete: Whether to leave out rows that lack a number.
            gaps: Columns whose missing numbers are NaN and leave a row complete.

        Raises:
            DiffcarError: At the first row that lacks a number; where such are left out, if
                no row remains.
        """
        complete: list[list[float]] = []
        rows: list[int] = []
        problems: list[DiffcarError] = []
        for row, fields in self.rows:
            try:
                own = _all_numbers(fields, columns.values()) or [
                    self._number(row, fields, to, name in gaps) for name, to in columns.items()
                ]
            except self.error as problem:
                if not skip_incomplete:
                    raise
                problems.append(problem)
            else:
                complete.append(own)
                rows.append(row)
        if not complete:
            raise self.error(f"no row is complete; the first is not: {problems[0]}")
        return {name: [row[at] for row in complete] for at, name in enumerate(columns)}, rows

    def _number(
        self, row: int, fields: Sequence[str], place: ScaledColumn, may_lack: bool
    ) -> float:
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
        remedy = f"numbers need a decimal point; {self.remedy}" if "," in text else self.remedy
        column = repr(self.header[index]) if self.header else index + 1
        raise self.error(f"{str(self.file)!r} row {row}, column {column}: {found}", hint=remedy)

    def missing(self, names: Sequence[str], *, used: Mapping[str, ScaledColumn]) -> DiffcarError:
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
        return self.error(
            f"{str(self.file)!r} has no column {', '.join(map(repr, names))}",
            hint=f"say what it is called there, such as {flags}; unused are: {shown or 'none'}",
        )


def split_factor(text: str, error: type[DiffcarError]) -> tuple[str, float]:
    """Split what a user wrote, `NAME` or `NAME*FACTOR`, into the name and the factor.

    Raises:
        DiffcarError: Of the given kind, if the factor is not a number other than zero.
    """
    name, star, factor = text.rpartition("*")
    if not star:
        return text.strip(), 1.0
    value = parse_number(factor)
    if not value or not math.isfinite(value):
        raise error(
            f"the column {text!r} is multiplied by {factor!r}, which is not a usable number",
            hint="write NAME or NAME*FACTOR, such as yaw_rad=yaw_deg*0.0174533",
        )
    return name.strip(), value


def _all_numbers(fields: Sequence[str], places: Iterable[ScaledColumn]) -> list[float]:
    """Return the numbers in some fields, or none where one is missing: most rows have them all."""
    try:
        own = [float(fields[index]) * factor for index, factor in places]
    except (IndexError, ValueError):
        return []
    return own if math.isfinite(sum(own)) else []


def parse_number(text: str) -> float | None:
    """Return the number that a text is, `nan` and `inf` included, or None."""
    try:
        return float(text)
    except ValueError:
        return None
