"""From a name or a file to a checked `ReferencePath` with a speed profile."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from diffcar.base.config import load_config
from diffcar.base.errors import PathError
from diffcar.base.geometry import ROAD_REACH
from diffcar.path.builtin import Points
from diffcar.path.config import PATHS, Columns, PathConfig, check_path_source, refuse_idle_columns
from diffcar.path.corners import rounded, turns, with_sides
from diffcar.path.formats import read_points
from diffcar.path.grip import FrictionEllipse, GripDiagram, Limits
from diffcar.path.laps import joined, recorded_lap
from diffcar.path.polygon import arc_lengths, cross, first_crossing, lengths
from diffcar.path.reference import ReferencePath
from diffcar.path.speed import speed_profile

__all__ = ["load_path"]

_GRID_STEP = 0.02
_FINE_SAMPLES_PER_POINT = 16
# Further from the origin numbers of 32 bits lie more than 0.06 mm apart [m].
_FAR = 1000.0
# Where they lie half a millimetre apart [m].
_TOO_FAR = 4096.0
# The Earth is smaller [m].
_NOWHERE = 1e8
# Where no car is known: how far smoothing may move a path [m].
_TOLERANCE = 0.5
# Rounded a little more than the car needs.
_SAFE = 0.95
# A right angle that is rounded to a radius is moved by that share of it.
_MOVED_PER_RADIUS = 0.64


def load_path(
    source: PathConfig | str = "random",
    *,
    seed: int = 0,
    max_curvature: float | None = None,
    grip: GripDiagram | None = None,
    car_size: float = 1.0,
    nameless: Columns | None = None,
    **settings: Any,  # noqa: ANN401
) -> ReferencePath:
    """Build a reference path with its speed profile, in float64 on the CPU.

    One that lies far from the origin, as in UTM coordinates, is shifted to it (see
    `ReferencePath.origin`).

    Args:
        source: A built-in name, a file, `package.module:function`, or all settings at once.
        seed: Of what is drawn, `random`, `stage` or a function of one's own, unless the settings
            have one.
        max_curvature: Sharpest turn the car can drive [1/m]; sharper ones are warned about, or
            rounded if that is asked for.
        grip: Of the car, of which the settings want a share.
        car_size: `Vehicle.size`: built-in paths are so many times larger, and the grid coarser.
        nameless: What the columns of a file are that has as many, no header, and no settings that
            tell them; or what they are called. None finds out; where it is given, empty as it may
            be, the settings are those of another path, whose `latlon` is for degrees alone.
        settings: Those of `PathConfig`, such as `scale` or `top_speed`.

    Raises:
        ConfigError: If there is no such setting.
        PathError: If the source is unknown, unreadable or not a drivable sequence of points.
    """
    base = source.model_dump() if isinstance(source, PathConfig) else {"source": source}
    config = load_config(PathConfig, base=base, flags=settings)
    if nameless is None:  # or they may be those of another path
        refuse_idle_columns(config)
    tolerance = config.tolerance or (1 / max_curvature if max_curvature else _TOLERANCE)
    seed, step = seed if config.seed is None else config.seed, _GRID_STEP * car_size
    name = config.source
    points = _read_source(config, seed, nameless, car_size)
    if config.lap:
        points = recorded_lap(points, tolerance)
    elif config.file is not None:
        points = joined(points, config.closed)
    points, warnings = _check_points(points, config)
    points = points if name in PATHS else with_sides(points)
    points, origin = _shifted(points, warnings, car_size)
    if config.smooth:
        sharpest = _SAFE * (max_curvature or _MOVED_PER_RADIUS / tolerance)
        points = _smoothed(points, step, sharpest, tolerance)
    arc_length, pose, file_speed = _resample(points, step)
    limit = np.full_like(arc_length, config.top_speed)
    if file_speed is not None:
        limit = np.minimum(limit, np.maximum(file_speed, 0.05))
    limits = _limits(config, grip)
    speed = speed_profile(arc_length, pose[:, 3], limit, limits, closed=points.closed)
    warnings += _told_of_bends(config, arc_length, np.abs(pose[:, 3]), max_curvature)
    warnings += (*points.notes, *_told_of_columns(config, points))
    return ReferencePath(
        arc_length,
        np.column_stack([pose, speed]),
        closed=points.closed,
        name=name if name in PATHS else Path(name.partition(":")[2] or name).stem,
        warnings=tuple(warnings),
        origin=origin,
        columns=points.columns,
        geographic_origin=points.geographic_origin,
    )


def _smoothed(points: Points, step: float, sharpest: float, tolerance: float) -> Points:
    """Return points at even distances, rounded where the path bends too sharply."""
    arc_length, pose, speed = _resample(points, step)
    end = len(arc_length) - points.closed
    even = replace(points, xy=pose[:end, :2], speed=None if speed is None else speed[:end])
    return rounded(even, arc_length[1], sharpest=sharpest, tolerance=tolerance)


def _told_of_bends(
    config: PathConfig, arc_length: np.ndarray, bend: np.ndarray, max_curvature: float | None
) -> list[str]:
    """Say where a path bends most, if it is more sharply than the car can."""
    worst = int(np.argmax(bend))
    if max_curvature is None or not bend[worst] > max_curvature:
        return []
    remedy = "--set path.tolerance=METRES lets it be" if config.smooth else "with --smooth it is"
    return [
        f"the radius at {arc_length[worst]:.2f} m is {1 / bend[worst]:.3f} m; "
        f"the car's smallest is {1 / max_curvature:.3f} m; {remedy} rounded"
    ]


def _told_of_columns(config: PathConfig, points: Points) -> list[str]:
    """Say what was read of a file, and what it was taken for."""
    if not points.columns:
        return []
    kind = "a loop" if points.closed else "open"
    is_asked = config.closed is not None or config.lap
    guessed = "as asked" if is_asked else "by the gap between its ends"
    return [f"columns read: {', '.join(points.columns)}; taken for {kind} {guessed}"]


def _limits(config: PathConfig, grip: GripDiagram | None) -> Limits:
    """Return what bounds the accelerations."""
    if config.grip is None:
        return FrictionEllipse(config.lateral_acceleration, config.longitudinal_acceleration)
    if grip is None:
        raise PathError(
            f"path.grip {config.grip:g} is a share of a car's grip, and there is no car here",
            hint="leave it out, or give `grip`, as diffcar.tasks.tracking.grip reads it",
        )
    return replace(grip, share=config.grip)


def _read_source(
    config: PathConfig, seed: int, nameless: Columns | None, car_size: float
) -> Points:
    """Return the points of a built-in path, as large as the car asks for, or of a file."""
    check_path_source(config.source)
    if (file := config.file) is not None:
        points = read_points(file, config, nameless)
    else:
        points = PATHS[config.source](seed)
        if not isinstance(points, Points):
            raise PATHS.refusal(config.source, points, "returns")
        _require_usable(points, config.source)
        size = car_size if config.source in PATHS else 1.0
        points = replace(points, xy=points.xy * (config.scale * size))
    if not np.abs(points.xy).max() < _NOWHERE:
        raise PathError(
            f"{config.source!r} has a coordinate of {np.abs(points.xy).max():.3g} m, which is "
            "nowhere",
            hint="its coordinates must be in metres; --path-scale converts them",
        )
    return points


def _require_usable(points: Points, source: str) -> None:
    """Refuse points that are no positions in a plane, too few of them, or speeds of others."""
    shape: tuple[int, ...] = getattr(points.xy, "shape", ())
    hint = "return diffcar.path.builtin.Points of x and y [m], and of as many speeds or none"
    if len(shape) != 2 or shape[0] < 4 or shape[1] != 2 or not np.isfinite(points.xy).all():
        told = (
            f"{source!r} has xy of shape {shape}; a path needs finite ones of shape (N, 2), N > 3"
        )
        raise PathError(told, hint)
    speed = points.speed
    if speed is not None and not (np.shape(speed) == shape[:1] and np.isfinite(speed).all()):
        told = f"{source!r} has speeds of shape {np.shape(speed)}; it needs {shape[0]} finite ones"
        raise PathError(told, hint)


def _check_points(points: Points, config: PathConfig) -> tuple[Points, list[str]]:
    """Drop repeated points, refuse reversals, and note self-crossings."""
    source, warnings = config.source, []
    if points.speed is not None and not (points.speed > 0).all():
        raise PathError(
            f"{source!r} has the speed {points.speed.min():.3g} m/s; speeds must be positive",
            hint="return none, and path.top_speed and the accelerations decide",
        )
    steps = lengths(points.around(points.xy))
    total = float(steps.sum())
    if not 0.5 <= total < 1e5:
        raise PathError(
            f"{source!r} is {total:.3g} m long; paths from 0.5 m to 100 km can be driven",
            hint="scale it with --path-scale"
            + ("" if config.latlon else "; --latlon projects latitude and longitude"),
        )
    keep = np.append(True, steps[: len(points.xy) - 1] > 1e-6 * total)
    if points.closed:  # nor may the start be repeated at the end, however often
        away = np.linalg.norm(points.xy - points.xy[0], axis=1) > 1e-6 * total
        keep[np.flatnonzero(away)[-1] + 1 :] = False
    if not keep.all():
        at = np.cumsum(steps)[np.flatnonzero(~keep) - 1]
        warnings.append(f"{(~keep).sum()} repeated points dropped, the first at {at[0]:.2f} m")
        points = points.select(keep)
    if len(points.xy) < 4:
        raise PathError(
            f"{source!r} has {len(points.xy)} distinct points; a path needs 4", hint="give it more"
        )
    _refuse_reversals(points, source)
    if source not in PATHS and (crossing := first_crossing(points)):
        warnings.append(
            f"the path crosses itself at {crossing[0]:.2f} m and {crossing[1]:.2f} m; "
            "if it should not, its points are out of order"
        )
    return points, warnings


def _refuse_reversals(points: Points, source: str) -> None:
    """Raise where the path turns back on itself between neighbouring points."""
    turned = np.abs(turns(points))
    worst = int(np.argmax(turned))
    if turned[worst] > np.deg2rad(120):
        at = lengths(points.around(points.xy, 2))[: worst + 1].sum()
        raise PathError(
            f"{source!r} turns back by {np.rad2deg(turned[worst]):.0f} degrees at {at:.2f} m",
            hint="its points are out of order, or it is open and was taken for a loop (--open), or "
            "the log of a drive (--lap cuts a lap out of it)",
        )


def _shifted(
    points: Points, warnings: list[str], car_size: float
) -> tuple[Points, tuple[float, float]]:
    """Return points near the origin, and where that was; note what the user should know.

    What is fine enough for a car is by its size.
    """
    corners = points.xy.min(0), points.xy.max(0)
    middle = np.round((corners[0] + corners[1]) / 2)
    if np.hypot(*middle) > _FAR * car_size:
        points = replace(points, xy=points.xy - middle)
        warnings.append(
            f"driven with ({middle[0]:.0f}, {middle[1]:.0f}) m as the origin, where numbers are "
            "finer; results are in the path's coordinates"
        )
    else:
        middle = np.zeros(2)
    if (reach := np.abs(points.xy).max()) > ROAD_REACH:
        raise PathError(
            f"the path reaches {reach / 1000:.1f} km from its middle; there is road for "
            f"{ROAD_REACH / 1000:g} km",
            hint="drive a part of it, or scale it with --path-scale",
        )
    if reach > _TOO_FAR * car_size:
        warnings.append(
            f"numbers of 32 bits are {1e3 * np.spacing(np.float32(reach)):.2g} mm apart "
            f"{reach:.0f} m from the path's middle; --precision 64 is finer"
        )
    return points, (float(middle[0]), float(middle[1]))


def _resample(points: Points, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Spline the points; return a grid's arc length, x y heading curvature, and speed if given."""
    xy = points.around(points.xy)
    chord = arc_lengths(xy)
    curve = CubicSpline(chord, xy, bc_type="periodic" if points.closed else "not-a-knot")
    # Arc length of the spline itself, by Simpson's rule between closely spaced parameters.
    count = np.arange((len(chord) - 1) * _FINE_SAMPLES_PER_POINT + 1) / _FINE_SAMPLES_PER_POINT
    fine = np.interp(count, np.arange(len(chord)), chord)
    rate = np.linalg.norm(curve(fine, 1), axis=1)
    middle = np.linalg.norm(curve((fine[1:] + fine[:-1]) / 2, 1), axis=1)
    pieces = np.diff(fine) * (rate[:-1] + 4 * middle + rate[1:]) / 6
    fine_arc = np.append(0.0, np.cumsum(pieces))
    num_samples = max(int(np.ceil(fine_arc[-1] / step)), 50) + 1
    arc_length = np.linspace(0.0, fine_arc[-1], num_samples)
    parameter = CubicSpline(fine_arc, fine)(arc_length)
    parameter[[0, -1]] = fine[[0, -1]]
    first, second = curve(parameter, 1), curve(parameter, 2)
    heading = np.unwrap(np.arctan2(first[:, 1], first[:, 0]))
    curvature = cross(first, second) / np.linalg.norm(first, axis=1) ** 3
    pose = np.column_stack([curve(parameter), heading, curvature])
    given = None if points.speed is None else points.around(points.speed)
    return arc_length, pose, None if given is None else np.interp(parameter, chord, given)
