"""Whether the columns of a log are what their names say: units, signs, frames, sentinels.

Path, times and positions tell. A log is refused where it is wrong beyond doubt: noise, slip, gaps
and a bad driver pass.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from diffcar.base.errors import DemonstrationError
from diffcar.base.geometry import wrap_angle
from diffcar.base.sheet import ANGLE, SPEED
from diffcar.demonstrations.log import LONGEST_GAP, LOST_HEADING, Log

__all__ = ["check_plausible"]

_DEGREE, _KMH, _MPH = ANGLE["deg"], SPEED["km/h"], SPEED["mph"]
# Factors that make a column what its name says, and what it is without.
_SPEEDS = {_KMH: "in km/h", _MPH: "in mph", -1.0: "positive backwards"}
_ANGLES = {_DEGREE: "in degrees", -1.0: "positive to the right"}


class _Limit(NamedTuple):
    """What no number of a column exceeds."""

    largest: float
    why: str
    units: Mapping[float, str]


_SPEED_LIMIT = _Limit(150.0, "more than a car drives", {_KMH: "in km/h"})
_STEERING_LIMIT = _Limit(1.6, "more than a right angle", {_DEGREE: "in degrees"})
_LENGTH_LIMIT = _Limit(1e8, "more than a path is long", {1e-3: "in mm"})
_OBSERVATION_LIMIT = _Limit(1e3, "where observations are of order one", {})
_LIMITS = {
    "speed_mps": _SPEED_LIMIT,
    "lateral_velocity_mps": _SPEED_LIMIT,
    "speed_command_mps": _SPEED_LIMIT,
    "yaw_rate_radps": _Limit(50.0, "more than a car turns", {_DEGREE: "in degrees"}),
    "steering_angle_rad": _STEERING_LIMIT,
    "steering_command_rad": _STEERING_LIMIT,
    "x_m": _LENGTH_LIMIT,
    "y_m": _LENGTH_LIMIT,
    "arc_length_m": _LENGTH_LIMIT,
}
# A heading so many spreads from the middle stands for none.
_STRAY_SPREADS = 50.0
_MISSING = "a number that stands for a missing one is left empty, and --skip-incomplete given"
# How well a log that fits badly must fit in another frame, and how much better.
_GOOD, _BETTER = 0.7, 3.0
_NUM_FITTED_ROWS = 2000
# So many times as far off as a car that has lost the path, nobody drives along it.
_FAR = 5
# Fewer rows tell nothing of their columns.
_FEWEST = 20
# Less way [m] than that in a moment tells no turn.
_STILL = 0.1
# When a column is a multiple of another one, how nearly, and when it is the opposite.
_ALIKE, _SAME, _OPPOSITE = 0.9, 0.15, 0.7


_Problem = tuple[str, str]
"""What is wrong, and what mends it."""
_Rule = Callable[[Log], _Problem | None]
"""Finds one kind of damage."""


def check_plausible(log: Log) -> list[str]:
    """Refuse a log whose columns cannot be what their names say; return what to know of it.

    Raises:
        DemonstrationError: With a row that shows it, and the option that mends it.
    """
    for rule in _RULES if log.path is not None else _RULES_WITHOUT_PATH:
        if problem := rule(log):
            raise DemonstrationError(*problem)
    if log.path is None:
        return []
    notes = []
    is_lost = log.located[1] > log.lost
    if is_lost.any():
        notes.append(f"{_rows(log, is_lost)} more than {log.lost:.3g} m off the path")
    # No refusal with `dt` in place of the times: that is the interval of the training to come. Of
    # rows 20 ms apart, metres per second logged at 180 Hz look like kilometres per hour at 50 Hz.
    if len(log.pairs.gap) < _FEWEST:
        notes.append(
            "speeds were not compared with positions: no column 't_s' whose rows are less than "
            f"{LONGEST_GAP:g} s apart"
        )
    return notes


def _is_in_range(log: Log) -> _Problem | None:
    """Find numbers that no car has."""
    for name, column in log.table.items():
        limit = _OBSERVATION_LIMIT if name.startswith("obs_") else _LIMITS.get(name)
        if limit and len(bad := (column.abs() > limit.largest).nonzero()):
            row = int(bad[0])
            return (
                f"row {log.rows[row]}: {name} is {float(column[row]):.6g}, {limit.why}",
                "; ".join(filter(None, (log.remedies(name, limit.units), _MISSING))),
            )
    return None


def _has_no_stray_heading(log: Log) -> _Problem | None:
    """Find headings that not even laps without end come to."""
    yaw = log.table["yaw_rad"]
    low, middle, high = torch.quantile(yaw[:: 1 + len(yaw) // 100_000], _QUARTERS)
    stray = (yaw - middle).abs() > _STRAY_SPREADS * (high - low + 2 * math.pi)
    if not stray.any():
        return None
    row = int(stray.nonzero()[0])
    return f"row {log.rows[row]}: yaw_rad is {float(yaw[row]):.6g}, far from all others", _MISSING


_QUARTERS = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)


class _Frame(NamedTuple):
    """What a log may be in that does not fit the path."""

    told: str
    factors: Mapping[str, float]
    """That make it fit."""
    is_backwards: bool = False


_FRAMES = (
    _Frame("the cars drive against the path", {}, is_backwards=True),
    _Frame("yaw_rad is in degrees", {"yaw_rad": _DEGREE}),
    _Frame("yaw_rad turns clockwise", {"yaw_rad": -1.0}),
    _Frame("y_m is mirrored", {"y_m": -1.0}),
    _Frame("y_m and yaw_rad are mirrored", {"y_m": -1.0, "yaw_rad": -1.0}),
)


def _fits_the_path(log: Log) -> _Problem | None:
    """Find out why half of the cars are not where the path is, or do not point where it does."""
    assert log.path is not None
    present = _typical_misfit(log)
    if float(present.max()) <= 1:
        return None
    row = int((log.misfit > 1).any(-1).nonzero()[0])
    shown = f"row {log.rows[row]} is {_misfit_in_words(log.misfit[row], log)} {log.path.name!r}"
    seen = [(frame, _seen_in(frame, log)) for frame in _FRAMES]
    bound = min(_GOOD, float(present.sum()) / _BETTER)
    fitting = [each for each in seen if float(_typical_misfit(each[1]).sum()) < bound]
    if fitting:
        # A symmetric path looks the same mirrored and backwards: how the cars steer tells which.
        frame, _ = max(fitting, key=lambda each: round(_likeness(*_steering_command(each[1])), 1))
        turned = "turn the order of the path's points round, or half a turn is missing in yaw_rad"
        return f"{frame.told}: {shown}", log.option(frame.factors) or turned
    return (
        f"half of the cars are more than {_misfit_in_words(present, log)} {log.path.name!r}; "
        f"{shown}",
        "name the path that was driven with --path; compare its --path-scale and units",
    )


def _misfit_in_words(misfit: Tensor, log: Log) -> str:
    """Return how far off a car is."""
    off, turn = misfit.tolist()
    points = f"points {turn * LOST_HEADING:.2g} rad away from"
    return f"{off * log.lost:.3g} m off and {points} the path"


def _typical_misfit(log: Log) -> Tensor:
    """Return the median misfits of position and heading."""
    return log.misfit.nan_to_num(math.inf).median(dim=0).values


def _seen_in(frame: _Frame, log: Log) -> Log:
    """Return some of the rows of a log as they are if it is in a frame."""
    some = slice(None, None, 1 + len(log.rows) // _NUM_FITTED_ROWS)
    table = {name: own[some].clone() for name, own in log.table.items() if name != "arc_length_m"}
    for name, factor in frame.factors.items():
        table[name] *= factor
    if frame.is_backwards:
        table["yaw_rad"] += math.pi
        table["steering_command_rad"] *= -1
    return replace(log, table=table, rows=log.rows[some])


def _stays_near_the_path(log: Log) -> _Problem | None:
    """Find rows that are nowhere near the path."""
    assert log.path is not None
    offset = log.located[1]
    is_far = ~(offset <= _FAR * log.lost)  # true of what is no number
    if not is_far.any():
        return None
    return (
        f"{_rows(log, is_far)} more than {_FAR * log.lost:.3g} m off the path {log.path.name!r}: "
        f"{float(offset[is_far][0]):.4g} m",
        f"delete such rows; {_MISSING}",
    )


def _rows(log: Log, chosen: Tensor) -> str:
    """Return how many rows were chosen, and the first."""
    count, row = int(chosen.sum()), log.rows[int(chosen.nonzero()[0])]
    return f"row {row} is" if count == 1 else f"{count} rows, the first of them row {row}, are"


_Compared = tuple[Tensor, Tensor, Tensor]
"""A column, what it should be, and the rows, shape (P,) each."""


def _steering_command(log: Log) -> _Compared:
    """Compare commands with the steering angles of cars that drive along the path."""
    curvature = log.located[0].curvature.cpu().double()
    should = torch.atan(log.vehicle.wheelbase * curvature)
    return log.table["steering_command_rad"], should, torch.arange(len(should))


def _steering(log: Log) -> _Compared:
    """Compare steering angles with how sharply cars turn."""
    turn, way = wrap_angle(log.pairs.change(log.table["yaw_rad"])), _way(log)
    should = torch.atan(log.vehicle.wheelbase * turn / way.where(way.abs() > _STILL, torch.inf))
    return log.pairs.mean(log.table["steering_angle_rad"]), should, log.pairs.first


def _way(log: Log) -> Tensor:
    """Return how far cars come forward within each of the pairs [m]."""
    table, pairs = log.table, log.pairs
    heading = table["yaw_rad"][pairs.first] + wrap_angle(pairs.change(table["yaw_rad"])) / 2
    forward = pairs.change(table["x_m"]) * torch.cos(heading)
    return forward + pairs.change(table["y_m"]) * torch.sin(heading)


def _speed(log: Log) -> _Compared:
    """Compare speeds with how fast positions change."""
    return log.pairs.mean(log.table["speed_mps"]), _way(log) / log.pairs.gap, log.pairs.first


def _yaw_rate(log: Log) -> _Compared:
    """Compare rates of turn with how fast headings change."""
    turn = wrap_angle(log.pairs.change(log.table["yaw_rad"]))
    return log.pairs.mean(log.table["yaw_rate_radps"]), turn / log.pairs.gap, log.pairs.first


def _course(log: Log) -> _Compared:
    """Compare how cars come away from the path with how they point away from it."""
    errors, pairs = log.located[0], log.pairs
    away = pairs.change(errors.cross_track_error.cpu().double()) / pairs.gap
    pointing = log.table["speed_mps"] * torch.sin(errors.heading_error.cpu().double())
    return away, pairs.mean(pointing), pairs.first


class _Comparison(NamedTuple):
    """A column that something else in the log tells, too."""

    name: str
    told_by: str
    """Another column, or what `compare` computes it from."""
    least: float
    """Root mean square of what it should be, below which it tells nothing."""
    units: Mapping[float, str]
    compare: Callable[[Log], _Compared] | None = None
    is_close: bool = False
    """Whether any other factor of two is wrong as well."""
    alike: float = _ALIKE
    """How alike the two must be for a factor to be told."""


_COMPARISONS = (
    _Comparison("speed_mps", "positions and times", 0.2, _SPEEDS, _speed, is_close=True),
    _Comparison("y_m", "headings and speeds", 0.03, {-1.0: "mirrored"}, _course),
    _Comparison("steering_angle_rad", "headings and positions", 0.02, _ANGLES, _steering),
    _Comparison("yaw_rate_radps", "headings and times", 0.1, _ANGLES, _yaw_rate),
    _Comparison("steering_command_rad", "steering_angle_rad", 0.02, _ANGLES),
    _Comparison("steering_command_rad", "the path's curvature", 0.02, _ANGLES, _steering_command),
)
# A car that speeds up towards a fixed command is off by a factor, too.
_COMMANDED_SPEED = _Comparison(
    "speed_command_mps", "speed_mps", 0.2, {_KMH: "in km/h", _MPH: "in mph"}, alike=0.98
)


def _agree(comparison: _Comparison, log: Log) -> _Problem | None:
    """Find a column that is a multiple of what something else tells."""
    if comparison.name not in log.called:  # or derived from the others
        return None
    if comparison.compare is not None:
        found, should, rows = comparison.compare(log)
    else:
        found, should = log.table[comparison.name], log.table[comparison.told_by]
        rows = torch.arange(len(should))
    if len(should) < _FEWEST or float(should.square().mean()) < comparison.least**2:
        return None
    likeness = _likeness(found, should, rows)
    multiple = float((found * should).sum() / should.square().sum())

    def is_mended(factor: float) -> bool:
        if factor < 0:
            return likeness < -_OPPOSITE
        return likeness > comparison.alike and abs(math.log(max(multiple * factor, 1e-9))) < _SAME

    units = {factor: unit for factor, unit in comparison.units.items() if is_mended(factor)}
    is_none = multiple < 0.1  # such as nothing but zeros, which is like nothing
    is_off = comparison.is_close and (likeness > _GOOD or is_none) and not 0.5 < multiple < 2
    if not units and not is_off:
        return None
    row, name = int(should.abs().argmax()), comparison.name
    remedy = log.remedies(name, units)
    if not remedy and multiple:
        remedy = f"if it has another unit: {log.option({name: 1 / multiple})}"
    return (
        f"{name} is {multiple:.3g} times what it is by {comparison.told_by}, as in row "
        f"{log.rows[int(rows[row])]}: {float(found[row]):.3g}, not {float(should[row]):.3g}",
        remedy or "leave out the rows that lack it, or name another column",
    )


def _likeness(found: Tensor, should: Tensor, _: Tensor) -> float:
    """Return the cosine of the angle between two columns; zero where one is nothing but zeros."""
    product = (found * should).sum()
    return float(product / (found.norm() * should.norm()).clamp_min(1e-12))


_RULES_WITHOUT_PATH: tuple[_Rule, ...] = (_is_in_range, partial(_agree, _COMMANDED_SPEED))
_RULES: tuple[_Rule, ...] = (
    _is_in_range,
    _has_no_stray_heading,
    _fits_the_path,
    _stays_near_the_path,
    *(partial(_agree, comparison) for comparison in (*_COMPARISONS, _COMMANDED_SPEED)),
)
