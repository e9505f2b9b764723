"""Points joined by straight lines: how far they lie apart, and where the lines cross."""

import numpy as np

from diffcar.path.builtin import Points

__all__ = ["arc_lengths", "cross", "first_crossing", "lengths"]

# Segments that are searched for crossings at once.
_BLOCK = 64


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cross products of planar vectors, shape (..., 2)."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def lengths(xy: np.ndarray) -> np.ndarray:
    """Return how far each point but the first is from the one before [m], shape (N - 1,)."""
    return np.linalg.norm(np.diff(xy, axis=0), axis=1)


def arc_lengths(xy: np.ndarray) -> np.ndarray:
    """Return how far it is to each point along the lines [m], shape (N,), from 0."""
    return np.append(0.0, np.cumsum(lengths(xy)))


def first_crossing(points: Points) -> tuple[float, float] | None:
    """Return the two arc lengths [m] at which the polygon first crosses itself.

    Segments are compared block by block, and only where the boxes around two blocks overlap.
    """
    loop = points.around(points.xy)
    starts, steps = loop[:-1], np.diff(loop, axis=0)
    arc_length = arc_lengths(loop)
    first = np.arange(0, len(steps), _BLOCK)
    margin = 1e-9 * float(np.abs(loop).max())
    ends = np.minimum(starts, loop[1:]), np.maximum(starts, loop[1:])
    low = np.minimum.reduceat(ends[0], first) - margin
    high = np.maximum.reduceat(ends[1], first) + margin
    for block, begin in enumerate(first):
        own = np.arange(len(steps))[begin : begin + _BLOCK, None]
        is_near = ((low[block:] <= high[block]) & (high[block:] >= low[block])).all(1)
        other = (first[block:][is_near][:, None] + np.arange(_BLOCK)).ravel()
        other = other[other < len(steps)]
        gap = starts[other] - starts[own]
        area = cross(steps[own], steps[other])
        with np.errstate(divide="ignore", invalid="ignore"):
            u, w = cross(gap, steps[other]) / area, cross(gap, steps[own]) / area
        # Later ones alone, and none that touches: of a loop the last one touches the first.
        is_apart = (other > own + 1) & (other - own < len(steps) - points.closed)
        hits = np.argwhere((u >= 0) & (u < 1) & (w >= 0) & (w < 1) & is_apart)
        if hits.size:
            row, column = hits[0]
            return float(arc_length[begin + row]), float(arc_length[other[column]])
    return None
