"""Whether a path is a loop, and the loop in the log of a drive."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline, splev, splprep
from scipy.linalg import solveh_banded
from scipy.ndimage import median_filter
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from diffcar.base.errors import PathError
from diffcar.path.builtin import Points
from diffcar.path.polygon import arc_lengths, cross, lengths

__all__ = ["joined", "recorded_lap"]

# A loop's ends join without a turn that is sharper than that [rad].
_SHARPEST_JOIN = np.deg2rad(100)
# A polygon of so few corners may end a side away from its start.
_FEW = 16
# Of its usual rate of progress, what is slower stands.
_STANDING = 0.05
# Of the extent of a drive, how near it must come to where it has been.
_NEAR = 0.03
_NUM_STATIONS = 1500
_FEWEST = 20
# Of the points of the lap that is made: how far apart [m], and how many at the least and most.
_SPACING, _NUM_POINTS = 0.05, (200, 5000)
# Of the smoothed lap: twice the number of its bends, at the least and most.
_LEAST_FREEDOM, _MOST_FREEDOM = 5, 600
# How far from those around it a stray point lies, in standard deviations of the noise.
_STRAY = 8.0


def joined(points: Points, closed: bool | None) -> Points:
    """Return points as a loop or an open path, without what a loop repeats at its end.

    Args:
        points: In driving order.
        closed: Whether they are a loop; None guesses: if the ends lie about as near to each other
            as neighbours do and join without a sharp turn, or the end goes over the start again.
    """
    if closed is False or not lengths(points.xy).any():
        return replace(points, closed=bool(closed))
    num_points = len(points.xy)
    while num_repeated := _num_repeated(points.xy):
        points = points.select(slice(-num_repeated))
    if repeated := num_points - len(points.xy):
        note = f"its end goes over its start again: {repeated} points dropped"
        return replace(points, closed=True, notes=(*points.notes, note))
    xy, steps, sides = points.xy, np.diff(points.xy, axis=0), lengths(points.xy)
    steps, sides = steps[sides > 0], sides[sides > 0]
    spacing, gap = float(np.median(sides)), xy[0] - xy[-1]
    distance = float(np.linalg.norm(gap))
    if closed is None:
        is_polygon = len(xy) <= _FEW
        reach = max(2 * max(spacing, sides[0], sides[-1]), is_polygon and sides.max())
        is_near = distance <= reach or distance < min(3 * spacing, 0.2 * sides.sum())
        joins = np.array([_angle(steps[-1], gap), _angle(gap, steps[0])])
        is_bent = joins.max() > _SHARPEST_JOIN if is_polygon else joins.sum() > _SHARPEST_JOIN
        closed = bool(is_near and (distance <= 1.5 * spacing or not is_bent))
    if not closed:
        return points
    # The ends may be one point but for rounding, however often.
    away = np.linalg.norm(xy - xy[0], axis=1) >= 0.02 * spacing
    end = max(int(np.flatnonzero(away)[-1]) + 1, 4)
    return replace(points.select(slice(end)), closed=True)


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle between two planar vectors [rad]."""
    return abs(float(np.arctan2(cross(first, second), first @ second)))


def _num_repeated(xy: np.ndarray) -> int:
    """Return how many of the last points lie beside the first stretch, in its direction."""
    sides = lengths(xy)
    if not sides.any():
        return 0
    spacing = float(np.median(sides[sides > 0]))
    arc = arc_lengths(xy)
    early = np.flatnonzero((sides > 0) & (arc[:-1] < arc[-1] / 2))
    steps, starts = np.diff(xy, axis=0)[early], xy[early]
    share = np.clip(((xy[-1] - starts) * steps).sum(1) / sides[early] ** 2, 0, 1)
    offset = np.linalg.norm(starts + share[:, None] * steps - xy[-1], axis=1)
    at = int(np.argmin(offset))
    last = int(np.flatnonzero(sides)[-1])
    reach = max(spacing, sides[early[at]], sides[last])
    beyond = float(arc[early[at]] + share[at] * sides[early[at]])
    late = arc > arc[-1] - beyond - 2 * reach
    passes = np.linalg.norm(xy[late] - xy[0], axis=1).min() < reach
    turn = _angle(steps[at], xy[last + 1] - xy[last])
    if beyond == 0 or offset[at] > reach / 2 or turn > np.pi / 4 or not passes:
        return 0
    return int((arc > arc[-1] - beyond - 0.3 * spacing).sum())


def recorded_lap(points: Points, tolerance: float) -> Points:
    """Cut a lap out of the log of a drive, and smooth it.

    Rows that stand or stray are dropped. Of all places where the drive comes back to where it was,
    in the direction that it had, the one is taken where position, heading and speed differ least.
    What they differ in position is spread over the lap.

    Args:
        points: Of the drive, sampled evenly in time or distance, with noise.
        tolerance: How far points may be moved [m].

    Raises:
        PathError: If the drive does not close on itself, or is noisier than the tolerance.

    Source:
        P. Craven and G. Wahba, "Smoothing noisy data with spline functions", 1979, for how smooth.
    """
    kept = np.append(True, lengths(points.xy) > 0)  # a slow sensor repeats itself
    if kept.sum() < _FEWEST:
        raise PathError(f"a log of {kept.sum()} places is no lap", f"{_FEWEST} are the least")
    noise = _noise(points.xy[kept])
    kept[kept] = ~_is_stray(points.xy[kept], noise)
    centre = points.xy.mean(0)
    places = np.arange(kept.sum())
    curve = _course(places, points.xy[kept] - centre, noise)
    rate = np.linalg.norm(curve(places, 1), axis=1)
    is_moving = rate > _STANDING * np.quantile(rate, 0.9)
    kept[kept] = is_moving
    rough, rate = curve(places[is_moving], 0), rate[is_moving]
    arc = np.append(0.0, np.cumsum((rate[1:] + rate[:-1]) / 2))
    first, last = _closure(arc, rough, np.log(rate))
    if last - first < _FEWEST:
        raise PathError(f"a lap of {last - first} points is too coarse", f"{_FEWEST} are the least")
    ahead = curve(places[is_moving][last], 1) / rate[last]
    gap = rough[first] - rough[last]
    length = arc[last] - arc[first] + float(gap @ ahead)
    along = arc[first : last + 1] - arc[first]
    along = along[along < length - 0.3 * rate[last]]  # or the last point is the first
    rows = np.flatnonzero(kept)[first : last + 1]
    used = rows[: len(along)]
    own = points.xy[used] - centre
    aside = gap - (gap @ ahead) * ahead
    drift = aside if np.linalg.norm(aside) > 4 * noise else np.zeros(2)  # or it is noise, too
    lap = _smoothed(along, own + (along / length)[:, None] * drift, length)
    smoothing = _told_of_smoothing(np.linalg.norm(lap(along) - own, axis=1), tolerance)
    note = (
        f"a lap of {length:.2f} m, points {rows[0] + 1} to {rows[-1] + 1} of {len(kept)}, "
        f"which lie {np.linalg.norm(aside):.3f} m beside each other; "
        f"{(~kept).sum()} points that stand or stray dropped; {smoothing}"
    )
    grid = np.linspace(0.0, length, int(np.clip(length / _SPACING, *_NUM_POINTS)), endpoint=False)
    points = replace(points, xy=lap(grid) + centre, closed=True, notes=(*points.notes, note))
    if points.speed is None:
        return points
    return _with_speeds(points, grid, along, points.speed[used], length)


def _told_of_smoothing(moved: np.ndarray, tolerance: float) -> str:
    """Say how far smoothing moves points [m], or refuse it."""
    most, mean = moved.max(), np.sqrt((moved**2).mean())
    if most > tolerance:
        raise PathError(
            f"smoothing would move points of the lap by {most:.3g} m, more than {tolerance:.3g} m",
            hint=f"if it is noise: --set path.tolerance={1.1 * most:.2g}",
        )
    return f"smoothing moves points by {most:.3f} m at the most ({mean:.3f} m RMS)"


def _with_speeds(
    points: Points, grid: np.ndarray, along: np.ndarray, driven: np.ndarray, length: float
) -> Points:
    """Return a lap with the speeds of its log, or without, where it cannot be driven at them."""
    if np.median(driven) > 0:
        speed = np.interp(grid, along, np.maximum(driven, 0.05), period=length)
        return replace(points, speed=speed)
    columns = tuple("ignore" if name == "speed" else name for name in points.columns)
    note = "the speed is not positive while the position moves, and is no limit"
    return replace(points, speed=None, columns=columns, notes=(*points.notes, note))


def _noise(xy: np.ndarray) -> float:
    """Return the standard deviation of white noise on a smooth course [m]."""
    # Of third differences the course has next to nothing, and noise twenty times its variance.
    return float(np.median(np.abs(np.diff(xy, n=3, axis=0))) / 0.6745 / np.sqrt(20))


def _is_stray(xy: np.ndarray, noise: float) -> np.ndarray:
    """Tell which points lie far from those around them."""
    off = np.linalg.norm(xy - median_filter(xy, (5, 1), mode="nearest"), axis=1)
    step = float(np.median(lengths(xy)))
    return off > max(_STRAY * noise, 3 * step)


def _course(
    places: np.ndarray, xy: np.ndarray, noise: float
) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return a curve with few bends through noisy points: of places and order, its derivatives."""
    spread = 2 * len(xy) * noise**2
    (spline, _), *_ = splprep(xy.T, u=places, s=spread, full_output=1)  # or it warns if not exact
    return lambda at, order: np.stack(splev(at, spline, order), axis=-1)


def _smoothed(
    along: np.ndarray, xy: np.ndarray, length: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the loop through noisy points that predicts each best from the others."""
    num_points, wrap = len(xy), len(xy) // 8
    inner = slice(wrap, wrap + num_points)
    around = np.concatenate([along[-wrap:] - length, along, along[:wrap] + length])
    values = np.concatenate([xy[-wrap:], xy, xy[:wrap]])
    smooth = _smoother(around, values)

    def fitted(log_freedom: float) -> np.ndarray:
        # A spline between even points with that penalty has so many degrees of freedom.
        return smooth((length / (np.sqrt(8) * np.exp(log_freedom))) ** 4 * num_points / length)

    def misfit(log_freedom: float) -> float:
        left = (values - fitted(log_freedom))[inner]
        return float((left**2).sum() / (num_points - np.exp(log_freedom)) ** 2)

    bounds = np.log([_LEAST_FREEDOM, min(0.8 * num_points, _MOST_FREEDOM)])
    how = {"bounds": bounds, "method": "bounded", "options": {"xatol": 0.1}}
    return CubicSpline(around, fitted(minimize_scalar(misfit, **how).x), bc_type="natural")


def _smoother(at: np.ndarray, values: np.ndarray) -> Callable[[float], np.ndarray]:
    """Return what a natural cubic spline with a penalty on its bending makes of values, (N, 2).

    Source:
        C. Reinsch, "Smoothing by spline functions", 1967, whose matrices are built once here.
    """
    gaps = np.diff(at)[:, None]
    before, after = 1 / gaps[:-1, 0], 1 / gaps[1:, 0]
    middle = -before - after
    stiffness, bending = np.zeros((2, 3, len(middle)))
    stiffness[1, 1:], stiffness[2] = gaps[1:-1, 0] / 6, (gaps[:-1, 0] + gaps[1:, 0]) / 3
    bending[0, 2:] = after[:-2] * before[2:]
    bending[1, 1:] = middle[:-1] * before[1:] + after[:-1] * middle[1:]
    bending[2] = before**2 + middle**2 + after**2
    bend = np.diff(np.diff(values, axis=0) / gaps, axis=0)

    def smooth(penalty: float) -> np.ndarray:
        second = solveh_banded(stiffness + penalty * bending, bend)
        turned = np.diff(second, axis=0, prepend=0, append=0) / gaps
        return values - penalty * np.diff(turned, axis=0, prepend=0, append=0)

    return smooth


def _closure(arc: np.ndarray, xy: np.ndarray, log_rate: np.ndarray) -> tuple[int, int]:
    """Return between which points a drive is one lap."""
    near = _NEAR * float(np.linalg.norm(np.ptp(xy, axis=0)))
    some = np.unique(np.searchsorted(arc, np.linspace(0, arc[-1], _NUM_STATIONS)))
    direction = np.gradient(xy, axis=0)[some] @ np.array([1, 1j])
    distance, way = cdist(xy[some], xy[some]), arc[some] - arc[some, None]
    turn = np.abs(np.angle(direction / direction[:, None]))
    is_back = (distance < near) & (turn < np.pi / 4) & (way > 4 * near)
    if not is_back.any():
        raise PathError(
            f"the log of {arc[-1]:.4g} m does not close on itself: nowhere does it come within "
            f"{near:.2g} m of where it was, in the same direction",
            hint="leave out --lap, or log a little more than a lap",
        )
    misfit = distance / near + turn / 0.2 + np.abs(log_rate[some] - log_rate[some, None])
    # Of several laps one: what begins at a point ends where that is passed first.
    is_first = way < way[np.arange(len(some)), is_back.argmax(1)][:, None] + 4 * near
    misfit[~(is_back & is_first)] = np.inf
    begin, end = divmod(int(np.argmin(misfit)), len(some))
    first, window = int(some[begin]), slice(some[end - 1], some[min(end + 1, len(some) - 1)] + 1)
    return first, int(window.start + np.linalg.norm(xy[window] - xy[first], axis=1).argmin())
