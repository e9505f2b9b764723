"""Demonstrations as CSV files, those of `diffcar record` and those of other tools."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from diffcar.base.csv_reader import read_sheet
from diffcar.base.errors import DemonstrationError
from diffcar.base.files import write_atomically
from diffcar.base.sheet import (
    ANGLE,
    DRIVEN_SPEED,
    EASTWARD,
    LENGTH,
    NORTHWARD,
    RATE,
    SPEED,
    TIME,
    Quantity,
    ScaledColumn,
    Sheet,
    split_factor,
)
from diffcar.controllers.config import ControllerConfig
from diffcar.demonstrations.log import Log
from diffcar.demonstrations.plausibility import check_plausible
from diffcar.demonstrations.table import (
    ACTION_COLUMNS,
    STATE,
    Demonstrations,
    DemonstrationTable,
    nearest_branch,
    observation_columns,
    to_demonstrations,
)
from diffcar.path.reference import ReferencePath
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["read_demonstrations", "write_demonstrations"]

_DERIVABLE = ("lateral_velocity_mps", "yaw_rate_radps")
# As text a row takes ten times the memory that it does as numbers.
_ROWS_AT_ONCE = 65_536
_OPTIONAL = ("episode", "arc_length_m", "t_s", *_DERIVABLE)
_POSITION = ("x_m", "y_m")
# What else columns are called. Without a unit only that is certain which the path tells, too.
_QUANTITIES = {
    "x_m": EASTWARD,
    "y_m": NORTHWARD,
    "yaw_rad": Quantity(("yaw", "theta", "psi", "heading"), ANGLE),
    "speed_mps": DRIVEN_SPEED,
    "lateral_velocity_mps": Quantity(("lateral_velocity",), SPEED, needs_unit=True),
    "yaw_rate_radps": Quantity(("yaw_rate",), RATE, needs_unit=True),
    "steering_angle_rad": Quantity(("steering_angle",), ANGLE, needs_unit=True),
    "steering_command_rad": Quantity(("steering_command",), ANGLE, needs_unit=True),
    "speed_command_mps": Quantity(("speed_command",), SPEED, needs_unit=True),
    "arc_length_m": Quantity(("arc_length",), LENGTH, needs_unit=True),
    "t_s": Quantity(("t", "time"), TIME, needs_unit=True),
}
# What lies beyond was computed near another origin [m].
_FAR = 1000.0


def write_demonstrations(table: DemonstrationTable, file: Path) -> None:
    """Write a table as CSV; nine digits, which keep a number of 32 bits exactly, more far away.

    Raises:
        OutputError: If it cannot be written.
    """
    is_far = any(bool((table[name].abs() > _FAR).any()) for name in _POSITION if name in table)
    formats = {"episode": "%d", **dict.fromkeys(_POSITION, "%.15g" if is_far else "%.9g")}
    row_format = ",".join(formats.get(name, "%.9g") for name in table)
    columns = [column.split(_ROWS_AT_ONCE) for column in table.values()]

    def write(target: Path) -> None:
        with target.open("w", encoding="utf-8") as stream:
            stream.write(",".join(table) + "\n")
            for some in zip(*columns, strict=True):
                rows = torch.stack(some, dim=-1).tolist()
                stream.writelines(row_format % tuple(row) + "\n" for row in rows)

    write_atomically(file, write)


def read_demonstrations(
    files: Sequence[Path],
    *,
    controller_config: ControllerConfig,
    vehicle: Vehicle,
    path: ReferencePath | None = None,
    columns: Mapping[str, str] | None = None,
    skip_incomplete: bool = False,
) -> Demonstrations:
    """Read what a network is to learn from CSV files, each with a header of its own.

    A file needs `speed_mps`, `steering_command_rad` and `speed_command_mps`. If it holds all that
    the network observes, that is taken; otherwise it is derived from the path and `x_m`, `y_m`,
    `yaw_rad`, `steering_angle_rad`, `yaw_rate_radps` and `lateral_velocity_mps`, of which the last
    two, if missing, are those of a car whose wheels do not slip; `arc_length_m` tells branches of
    the path apart, without it the heading does. Without a column `episode` a file is one episode;
    all other columns are ignored. The order of the rows does not matter; different files are
    different episodes.

    Args:
        files: At least one, as `diffcar.base.csv_reader.read_sheet` reads them.
        path: What was driven, for files that lack the observations.
        columns: What the files call a column, as `NAME` or `NAME*FACTOR`, by the names above.
        skip_incomplete: Whether rows that lack a number are left out, and counted.

    Raises:
        DemonstrationError: With file, row and column of what is missing or wrong.
    """
    columns = columns or {}
    theirs = {split_factor(own, DemonstrationError)[0] for own in columns.values()}
    sheets = [_read_sheet(file, theirs) for file in files]
    _check_names(columns, sheets, controller_config)
    parts = []
    for sheet in sheets:
        table, sources, rows = _read_table(sheet, controller_config, columns, skip_incomplete)
        notes = [
            f"column {sheet.header[at]!r} read as {name}, times {factor:.5g}"
            for name, (at, factor) in sources.items()
            if name not in columns and sheet.header[at] != name
        ]
        if is_derived := "x_m" in table:
            notes += _fill_in(table, vehicle)
        if is_derived and path is not None:
            table.setdefault("arc_length_m", nearest_branch(table, path))
        called = {name: (sheet.header[at], factor) for name, (at, factor) in sources.items()}
        log = Log(table, rows, called, vehicle, path if is_derived else None)
        try:
            notes += check_plausible(log)
            part = to_demonstrations(
                table, controller_config=controller_config, vehicle=vehicle, path=path
            )
        except DemonstrationError as error:
            raise DemonstrationError(f"{str(sheet.file)!r}: {error.message}", error.hint) from None
        notes = [f"{str(sheet.file)!r}: {note}" for note in notes]
        part = replace(part, num_skipped=len(sheet.rows) - len(rows), notes=tuple(notes))
        parts.append(replace(part, files=((str(sheet.file), sheet.digest),)))
    return Demonstrations.concatenate(parts)


def _read_sheet(file: Path, theirs: Collection[str]) -> Sheet:
    """Read a log, which needs names for its columns, by `theirs` if not by known ones."""

    def is_known(name: str) -> bool:
        is_own = name in theirs or name.startswith("obs_") or name == "episode"
        return is_own or any(own.factor(name) is not None for own in _QUANTITIES.values())

    sheet = read_sheet(
        file,
        "the demonstrations",
        error=DemonstrationError,
        is_known=is_known,
        remedy="mend it or drop such rows with --skip-incomplete",
        hint="`diffcar record` writes a file of demonstrations",
    )
    if not sheet.header:
        raise DemonstrationError(
            f"{str(file)!r} row {sheet.rows[0][0]} holds numbers where the names of the columns "
            "should be",
            hint="put a line with the names first",
        )
    return sheet


def _check_names(
    columns: Mapping[str, str], sheets: Sequence[Sheet], config: ControllerConfig
) -> None:
    """Refuse a map of columns from names that nobody needs or to names that no file has."""
    observed = observation_columns(config)
    known = ["episode", "arc_length_m", "t_s", *STATE, *ACTION_COLUMNS, *observed]
    present = sorted({name for sheet in sheets for name in sheet.header})
    for name, given in columns.items():
        for wanted, names, where in (
            (name, known, "is needed"),
            (split_factor(given, DemonstrationError)[0], present, "is in any of the files"),
        ):
            if wanted not in names:
                near = difflib.get_close_matches(wanted, names, n=1)
                raise DemonstrationError(
                    f"--column {name}={given}: no column {wanted!r} {where}",
                    hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}",
                )


def _read_table(
    sheet: Sheet, config: ControllerConfig, columns: Mapping[str, str], skip_incomplete: bool
) -> tuple[DemonstrationTable, dict[str, ScaledColumn], list[int]]:
    """Return the columns that are needed of a file, where they stand, and the rows' numbers."""
    observed = observation_columns(config)
    is_observed = all(sheet.find(name, columns) for name in observed)
    needed = (*(("speed_mps", *observed) if is_observed else STATE), *ACTION_COLUMNS)
    places = {
        name: sheet.find(name, columns, _QUANTITIES.get(name)) for name in (*needed, *_OPTIONAL)
    }
    found = {name: place for name, place in places.items() if place is not None}
    if missing := [name for name in needed if name not in (*found, *_OPTIONAL)]:
        raise sheet.missing(missing, used=found)
    numbers, rows = sheet.numbers(found, skip_incomplete=skip_incomplete, gaps=("t_s",))
    table = {name: torch.tensor(column, dtype=torch.float64) for name, column in numbers.items()}
    return table, found, rows


def _fill_in(table: DemonstrationTable, vehicle: Vehicle) -> list[str]:
    """Add the motion that a table lacks, as if no wheel slipped, and say so."""
    lacking = [name for name in _DERIVABLE if name not in table]
    if "yaw_rate_radps" in lacking:
        curvature = torch.tan(table["steering_angle_rad"]) / vehicle.wheelbase
        table["yaw_rate_radps"] = table["speed_mps"] * curvature
    if "lateral_velocity_mps" in lacking:
        table["lateral_velocity_mps"] = -vehicle.rear_axle_x * table["yaw_rate_radps"]
    return [f"no column {name!r}, taken as if no wheel slipped" for name in lacking]
