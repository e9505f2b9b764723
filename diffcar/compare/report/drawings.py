"""The paths of a report as inline SVG, with the lines that were driven."""

import html
import math
from collections.abc import Callable, Sequence

import numpy as np

from diffcar.base.figure import FAINT, GRID
from diffcar.base.table import number
from diffcar.compare.pictures.tracks import ending
from diffcar.compare.report.style import colour
from diffcar.compare.results import Comparison, DrivenTrack
from diffcar.compare.style import styles_of

__all__ = ["draw_plans"]

_WIDTH = 520.0
_MAX_HEIGHT = 300.0
_MAX_POINTS = 400
_FACTORS = (1000, 500, 200, 100, 50, 20, 10, 5, 2)
# A scaled deviation beyond this share of the path's extent would no longer look like the path.
_LARGEST_SHARE = 0.08


def draw_plans(comparison: Comparison, path: str) -> str:
    """Return a path with the driven lines: to scale, and with their deviations scaled up.

    Args:
        comparison: With driven tracks and references.
        path: Name.

    Returns:
        HTML; the factor is said below the drawing. Empty if the reference is not known.
    """
    if path not in comparison.references or not comparison.references[path][0]:
        return ""
    tracks = [
        track
        for track in comparison.tracks
        if track.path == path and track.engine == comparison.tracks[0].engine and track.x
    ]
    x, y = (np.asarray(values) for values in comparison.references[path])
    extent = max(float(np.ptp(x)), float(np.ptp(y)), 1e-6)
    band = _nice(0.03 * extent)
    plain = _plan(comparison, path, tracks, 1.0, (x, y, extent, band))
    figures = [
        f"<figure>{plain}<figcaption>{html.escape(path)} to scale: driven lines on a band "
        f"{number(band)} m wide around the reference; a cross ends one that lost it."
        "</figcaption></figure>"
    ]
    factor = _factor(comparison, path, tracks, extent)
    if factor > 1:
        scaled = _plan(comparison, path, tracks, factor, (x, y, extent, 0.0))
        figures.append(
            f"<figure>{scaled}<figcaption><b>Deviations scaled up {factor:g} times</b>, the "
            "path itself not; a line ends in a cross where it would leave the drawing."
            "</figcaption></figure>"
        )
    return f'<div class="plans">{"".join(figures)}</div>'


def _factor(
    comparison: Comparison, path: str, tracks: Sequence[DrivenTrack], extent: float
) -> float:
    """Return how much deviations are scaled up, so that the larger ones can be seen."""
    typical = [
        float(np.percentile(np.abs(track.cross_track), 95))
        for track in tracks
        if not ending(track, comparison)[1] and np.isfinite(track.cross_track).all()
    ]
    largest = max(typical, default=math.nan)
    # Beyond a part of the path's own swings, the drawing would show another path.
    swing = min(float(np.ptp(values)) for values in comparison.references[path])
    limit = min(0.05 * extent, 0.3 * swing) if swing > 0.01 * extent else 0.05 * extent
    return next((f for f in _FACTORS if f * largest <= limit), 1)


def _plan(
    comparison: Comparison,
    path: str,
    tracks: Sequence[DrivenTrack],
    factor: float,
    reference: tuple[np.ndarray, np.ndarray, float, float],
) -> str:
    """Return one drawing."""
    x, y, extent, band = reference
    margin = _LARGEST_SHARE * extent
    left, top = float(x.min()) - margin, float(y.max()) + margin
    span_x, span_y = float(np.ptp(x)) + 2 * margin, float(np.ptp(y)) + 2 * margin
    scale = min(_WIDTH / span_x, _MAX_HEIGHT / span_y)
    width, height = _WIDTH, scale * span_y
    shift = (width - scale * span_x) / 2

    def points(px: np.ndarray, py: np.ndarray) -> np.ndarray:
        return np.stack([shift + scale * (px - left), scale * (top - py)], axis=1)

    line = _path(points(*_thinned(x, y)))
    drawn = [
        f'<path d="{line}" stroke="{colour(GRID)}" stroke-width="{max(scale * band, 2.5):.1f}"/>'
    ]
    if factor > 1:
        drawn.append(f'<path d="{line}" stroke="{colour(FAINT)}" stroke-width="0.8"/>')
    styles = styles_of(comparison.methods)
    for track in sorted(tracks, key=lambda t: styles[t.method].order if t.method in styles else 0):
        if track.method in styles:
            index = comparison.methods.index(track.method)
            content = _line(points, track, comparison, factor, margin)
            drawn.append(
                f'<g class="m{index}" stroke="{colour(styles[track.method].colour)}">{content}</g>'
            )
    start = points(x[:1], y[:1])[0]
    drawn.append(f'<circle cx="{start[0]:.1f}" cy="{start[1]:.1f}" r="4" fill="{colour(FAINT)}"/>')
    drawn.append(_ruler(scale, extent, height))
    how = "to scale" if factor == 1 else f"with deviations scaled up {factor:g} times"
    label = html.escape(f"{path} from above with the driven lines, {how}", quote=True)
    return (
        f'<svg class="plan" viewBox="0 0 {width:.0f} {height + 22:.0f}" role="img" '
        f'aria-label="{label}">{"".join(drawn)}</svg>'
    )


def _line(
    points: Callable[[np.ndarray, np.ndarray], np.ndarray],
    track: DrivenTrack,
    comparison: Comparison,
    factor: float,
    margin: float,
) -> str:
    """Return a driven line, cut where it was lost or would leave the drawing."""
    num_points, end = ending(track, comparison)
    x, y, error = (
        np.asarray(values[:num_points]) for values in (track.x, track.y, track.cross_track)
    )
    dx, dy = (np.gradient(values) if len(values) > 1 else np.zeros(1) for values in (x, y))
    length = np.maximum(np.hypot(dx, dy), 1e-12)
    x, y = x - (factor - 1) * error * dy / length, y + (factor - 1) * error * dx / length
    is_outside = ~(np.abs(factor * error) <= margin)
    if is_outside.any():
        stop = max(int(np.argmax(is_outside)), 1)
        x, y, end = x[:stop], y[:stop], "cut"
    drawn = points(*_thinned(x, y))
    content = f'<path d="{_path(drawn)}" stroke-width="1.6"/>'
    if end:
        cx, cy = drawn[-1]
        cross = f"M{cx - 5:.1f} {cy - 5:.1f}l10 10m0 -10l-10 10"
        content += f'<path d="{cross}" stroke-width="2.4"/>'
    return content


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out points that nobody can see."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MAX_POINTS)).round().astype(int))
    return x[chosen], y[chosen]


def _path(points: np.ndarray) -> str:
    """Return points as the `d` of an SVG path."""
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)


def _ruler(scale: float, extent: float, height: float) -> str:
    """Return a bar that tells the scale."""
    length = _nice(0.2 * extent)
    y = height + 12
    return (
        f'<path d="M2 {y - 4:.1f}v4h{scale * length:.1f}v-4" stroke="{colour(FAINT)}"/>'
        f'<text x="{scale * length + 9:.1f}" y="{y:.1f}" font-size="12" '
        f'fill="{colour(FAINT)}">{number(length)} m</text>'
    )


def _nice(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at most as large."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9))
