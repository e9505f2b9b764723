"""Corners: of polygons, and those that a car cannot drive until they are rounded."""

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from diffcar.path.builtin import Points
from diffcar.path.polygon import arc_lengths, cross

__all__ = ["rounded", "turns", "with_sides"]

# A polygon turns more sharply than curves are sampled [rad], at one in so many of its points.
_SHARP, _POINTS_PER_CORNER = np.deg2rad(50), 8
# How far apart points of its sides are [m], and how many there are at the most.
_SPACING, _MOST_POINTS = 0.05, 20_000
_WIDER = 1.1


def turns(points: Points) -> np.ndarray:
    """Return by how much a path turns at its points [rad]; of an open one, not at its ends."""
    steps = np.diff(points.around(points.xy, 2), axis=0)
    return np.arctan2(cross(steps[:-1], steps[1:]), (steps[:-1] * steps[1:]).sum(1))


def with_sides(points: Points) -> Points:
    """Return the corners of a polygon with the points between them; anything else as it is."""
    num_sharp = int((np.abs(turns(points)) > _SHARP).sum())
    if len(points.xy) > _POINTS_PER_CORNER * num_sharp:
        return points
    corners = points.around(points.xy)
    arc = arc_lengths(corners)
    spacing = max(_SPACING, arc[-1] / _MOST_POINTS)
    # Even along each side, so that every corner is one of the points.
    counts = np.ceil(np.diff(arc) / spacing).astype(int)
    along = np.concatenate([np.arange(count) / count for count in counts])
    grid = np.repeat(arc[:-1], counts) + along * np.repeat(np.diff(arc), counts)
    grid = grid if points.closed else np.append(grid, arc[-1])
    xy = np.column_stack([np.interp(grid, arc, own) for own in corners.T])
    speed = points.speed
    if speed is not None:
        speed = np.interp(grid, arc, points.around(speed))
    note = f"its {len(points.xy)} points are taken for corners with straight lines between them"
    return replace(points, xy=xy, speed=speed, notes=(*points.notes, note))


def rounded(points: Points, step: float, *, sharpest: float, tolerance: float) -> Points:
    """Round a path where it bends too sharply, as little as is enough or as far as is allowed.

    Args:
        points: At even distances.
        step: Between them [m].
        sharpest: Curvature that the path may have [1/m].
        tolerance: How far points may be moved [m].
    """
    xy, closed = points.xy, points.closed
    width, found, moved = step, xy, 0.0
    while np.abs(_curvature(found, closed)).max() > sharpest:
        width *= _WIDER
        reach = min(int(4 * width / step) + 1, len(xy) - 1)
        ends = (reach, reach), (0, 0)
        padded = (
            np.pad(xy, ends, "wrap")
            if closed
            else np.pad(xy, ends, reflect_type="odd", mode="reflect")
        )
        smooth = gaussian_filter1d(padded, width / step, axis=0)[reach:-reach]
        # The rest of the path stays where it is; of the corner nothing is left.
        is_sharp = (np.abs(_curvature(xy, closed)) > sharpest).astype(float)
        border = "wrap" if closed else "nearest"
        share = maximum_filter1d(is_sharp, 2 * int(5 * width / step) + 1, mode=border)
        share = gaussian_filter1d(share, width / step, mode=border)[:, None]
        candidate = xy + share * (smooth - xy)
        farthest = float(np.linalg.norm(candidate - xy, axis=1).max())
        if farthest > tolerance or 12 * width > len(xy) * step:
            break
        found, moved = candidate, farthest
    note = f"smoothing moves the path by {moved:.3f} m at the most"
    return replace(points, xy=found, notes=(*points.notes, note))


def _curvature(xy: np.ndarray, closed: bool) -> np.ndarray:
    """Return the curvature at points [1/m]."""
    around = np.pad(xy, ((2, 2), (0, 0)), mode="wrap") if closed else xy
    first = np.gradient(around, axis=0)
    second = np.gradient(first, axis=0)
    curvature = cross(first, second) / np.linalg.norm(first, axis=1) ** 3
    return curvature[2:-2] if closed else curvature
