"""What was measured of a car by driving it: tables that are kept in files beside its model."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffcar.base.errors import ModelError
from diffcar.base.files import check_outputs, is_there, write_atomically
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["Measured", "Measurement", "fastest_measured"]

_KIND = ("engine", "drive", "torque_split")
_MEASURE = "measure it with `diffcar measure-grip`, --car and drive as here"


@dataclass(frozen=True)
class Measured:
    """A table from each engine, over one grid."""

    speeds: np.ndarray
    """[m/s], increasing, shape (S,)."""
    others: np.ndarray
    """What else was varied, increasing, 0 among it, shape (A,)."""
    values: np.ndarray
    """What was measured, by engine, shape (E, S, A)."""


@dataclass(frozen=True)
class Measurement:
    """Something that cars are driven for at several speeds, in each engine."""

    name: str
    """What is measured, in a word, which is part of the file's name, too."""
    columns: tuple[str, str, str]
    """Of the file: speed, what else is varied, and what is measured."""
    least: float
    """What is measured lies above this."""

    def file(self, vehicle: Vehicle) -> Path:
        """Return where that of a car is kept: beside its model, as the user has it."""
        return (vehicle.origin or vehicle.file).with_suffix(f".{self.name}.csv")

    def write(self, vehicle: Vehicle, engine: str, rows: Iterable[tuple[float, ...]]) -> Path:
        """Keep rows of three numbers, in place of earlier ones of their engine and drive.

        Returns:
            The file.
        """
        file, kind = self.file(vehicle), (engine, *_drive_of(vehicle))
        others = [row for row in self._kept(vehicle) if tuple(row[:3]) != kind]
        own = [[*kind, *(f"{value:.4g}" for value in row)] for row in rows]

        def write(target: Path) -> None:
            with target.open("w", newline="") as stream:
                table = [[*_KIND, *self.columns], *others, *own]
                csv.writer(stream, lineterminator="\n").writerows(table)

        write_atomically(file, write)
        return file

    def require_room(self, vehicle: Vehicle) -> None:
        """Refuse a place to which `write` could not write.

        Raises:
            OutputError: If there is no room beside the model.
            ModelError: If there is something else by that name.
        """
        check_outputs([self.file(vehicle)])
        self._kept(vehicle)

    def is_known(self, vehicle: Vehicle) -> bool:
        """Tell whether that of a car, as it is driven, is kept.

        Raises:
            ModelError: If the file is damaged.
        """
        return any(tuple(row[1:3]) == _drive_of(vehicle) for row in self._kept(vehicle))

    def read(self, vehicle: Vehicle) -> Measured:
        """Return what was measured of a car as it is driven.

        Raises:
            ModelError: If it was not measured, or the file is damaged.
        """
        kind = _drive_of(vehicle)
        told = f"the {self.name} of the car {str(vehicle.origin or vehicle.file)!r} is not known"
        rows = [row for row in self._kept(vehicle) if tuple(row[1:3]) == kind]
        if not rows:
            raise ModelError(f"{told}, {vehicle.drive} driven", _MEASURE)
        try:
            numbers = np.array([[float(value) for value in row[3:]] for row in rows])
            engines = np.array([row[0] for row in rows])
            tables = [self._table(numbers[engines == engine]) for engine in dict.fromkeys(engines)]
            if any(not np.array_equal(tables[0][1], places) for _, places in tables):
                raise ValueError(f"its engines differ in {' or '.join(self.columns[:2])}")
        except (ValueError, IndexError) as error:
            raise self._damaged(vehicle, error) from None
        speeds, others = map(np.unique, tables[0][1].T)
        return Measured(speeds, others, np.stack([values for values, _ in tables]))

    def _kept(self, vehicle: Vehicle) -> list[list[str]]:
        """Return the rows that are kept of a car, however it is driven; none where nothing is."""
        file, columns = self.file(vehicle), [*_KIND, *self.columns]
        if not is_there(str(file), Path.is_file):
            return []
        try:
            with file.open(newline="", encoding="utf-8") as stream:
                header, *rows = csv.reader(stream)
            if header != columns or any(len(row) != len(columns) for row in rows):
                raise ValueError(f"its columns are not {', '.join(columns)}")
        except (OSError, ValueError, csv.Error) as error:
            raise self._damaged(vehicle, error) from None
        return rows

    def _damaged(self, vehicle: Vehicle, error: Exception) -> ModelError:
        """Return what to say of a file that cannot be used."""
        told = f"{str(self.file(vehicle))!r} is damaged: {error}"
        return ModelError(told, f"remove it and {_MEASURE}")

    def _table(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values (S, A) of rows (S · A, 3) and where they are, or raise a ValueError."""
        places = rows[:, :2]
        num_speeds = len(np.unique(places[:, 0]))
        order = np.lexsort((places[:, 1], places[:, 0]))
        is_grid = len(np.unique(places, axis=0)) == len(rows) and len(rows) % num_speeds == 0
        others = places[order, 1].reshape(num_speeds, -1) if is_grid else np.empty((0, 0))
        if not is_grid or not (others == others[0]).all() or 0.0 not in others[0]:
            raise ValueError(f"its rows are no grid of {' and '.join(self.columns[:2])}, with 0")
        if not (np.isfinite(rows).all() and (rows[:, 0] > 0).all()):
            raise ValueError("its numbers are not finite, or its speeds not positive")
        if not (rows[:, 2] > self.least).all():
            raise ValueError(f"its {self.columns[2]} is not above {self.least:g} everywhere")
        return rows[order, 2].reshape(num_speeds, -1), places[order]


def _drive_of(vehicle: Vehicle) -> tuple[str, str]:
    """Return how a car is driven, as files have it."""
    return vehicle.drive, f"{vehicle.torque_split:.3g}"


def fastest_measured(vehicle: Vehicle) -> float:
    """Return the highest speed to measure at: 10 m/s, or what motors reach with some to spare.

    Of cars of another size than the shipped ones, by its root as much more.
    """
    return min(10.0 * vehicle.root_size, 0.85 * vehicle.top_speed)
