"""How the paths were driven: the lines from above, and the cross-track error along them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from diffcar.base.figure import FAINT, GRID, INK, add_key, calm, log_scale, new_figure, plain
from diffcar.base.table import number
from diffcar.comparison.results import Comparison
from diffcar.comparison.style import MethodStyle, engine_name, styles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_track", "draw_tracks", "driven_paths"]

# Length over which the size of an error is averaged [m].
_WINDOW = 1.0
_WIDTH, _ERROR_HEIGHT = 11.0, 2.8
_MAX_POINTS = 600
_RESOLUTION_MM = 0.01
_FACTORS = (1000, 500, 200, 100, 50, 20, 10, 5, 2)
# A deviation beyond this share of the path's extent would no longer look like the path.
_LARGEST_SHARE = 0.08


class _Drive(NamedTuple):
    """A drive as far as it counts."""

    style: MethodStyle
    gid: str
    """By which a page hides what belongs to its method."""
    is_focus: bool
    """Whether it is of the method that is drawn with the sign of its error: e2e, or the first."""
    engine: str
    is_first: bool
    """Whether in the engine whose drives are drawn with solid lines: Genesis, or the first."""
    columns: np.ndarray
    """Distance, x, y and cross-track error [m], shape (4, n)."""
    end: str
    """`lost` or `stopped` where it did not get to the end."""


def driven_paths(comparison: Comparison) -> list[str]:
    """Return the names of the paths that drives are known of."""
    return list(comparison.tracks.path.unique())


def draw_tracks(comparison: Comparison) -> "Figure":
    """Return the pictures of all paths, one below the other, with their names and a key."""
    paths = driven_paths(comparison)
    heights = [_ERROR_HEIGHT + 0.3 + _plan_height(comparison, path) for path in paths]
    figure = new_figure(_WIDTH, 0.4 + sum(heights))
    length = comparison.tracks.groupby("path").distance.max()
    num_parts = max(1, len(paths))
    parts = figure.subfigures(num_parts, 1, squeeze=False, height_ratios=heights or None).ravel()
    for part, path in zip(parts, paths, strict=False):
        name = plain(f"{path}, {length[path]:.0f} m")
        part.suptitle(name, x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold")
        _draw_path(part, comparison, path)
    driven = set(comparison.tracks.method)
    styles = styles_of([method for method in comparison.methods if method in driven])
    looks = {plain(m): {"color": style.colour, "linewidth": 2.2} for m, style in styles.items()}
    add_key(figure, looks, loc="outside lower center", ncols=min(7, max(1, len(looks))))
    return figure


def draw_track(comparison: Comparison, path: str) -> "Figure":
    """Return the picture of one path.

    Above it as it was driven, to scale and with the deviations scaled up; below the size of the
    errors of all methods, and those of one with their sign. What belongs to the third method has
    the group identifier `method-2`.
    """
    figure = new_figure(_WIDTH, _ERROR_HEIGHT + _plan_height(comparison, path))
    _draw_path(figure, comparison, path)
    return figure


def _draw_path(figure: "Figure | SubFigure", comparison: Comparison, path: str) -> None:
    """Draw one path."""
    drives = _drives(comparison, path)
    road = np.array(comparison.references.get(path, ((), ())), dtype=float)
    lines = [drive for drive in drives if drive.is_first]
    factor = _factor(road, lines) if road.size else 1
    # Where some are too far off for that, nothing is scaled up, and the plan has all the width.
    scaled = "scaled" if factor > 1 else "plan"
    heights = [_plan_height(comparison, path), _ERROR_HEIGHT]
    layout: list[Any] = [["plan", scaled], ["size", "signed"]]
    axes = figure.subplot_mosaic(layout, height_ratios=heights)
    for ax, each in {axes["plan"]: 1, axes[scaled]: factor}.items():
        ax.set_aspect("equal", adjustable="datalim")
        ax.axis("off")
        if road.size:
            _draw_plan(ax, road, lines, each)
    size, signed = axes["size"], axes["signed"]
    for drive in drives:
        _draw_errors(size, signed, drive)
    first = next((engine_name(drive.engine) for drive in drives if drive.is_first), "")
    engines = ", ".join(
        f"{engine_name(d.engine)} {'solid' if d.is_first else 'dashed'}"
        for d in drives
        if d.is_focus
    )
    focus = plain(_focus(comparison))
    for ax, title in (
        (size, f"cross-track error in {first}, RMS over {_WINDOW:g} m"),
        (signed, f"cross-track error of {focus}, + to the left: {engines}"),
    ):
        calm(ax)
        ax.set_title(title, fontsize=10, loc="left", color=INK)
        ax.set(xlabel="distance along the path [m]", ylabel="error [mm]")
        ax.margins(x=0.01)
    signed.axhline(0, color=FAINT, linewidth=0.8)
    if size.lines:
        log_scale(size, "y")
        low, high = size.get_ylim()
        # Points are known to a hundredth of a millimetre: what is smaller shows their rounding.
        size.set_ylim(max(low, min(_RESOLUTION_MM, high / 10)), high)


def _draw_plan(ax: "Axes", road: np.ndarray, drives: Sequence[_Drive], factor: int) -> None:
    """Draw a path from above, and the driven lines with their deviations scaled up."""
    extent = _extent(road)
    if factor == 1:
        band = _nice(0.04 * extent)
        left, right = (_beside(road, sign * band / 2) for sign in (1, -1))
        ax.fill(*np.hstack([left, np.fliplr(right)]), color=GRID, linewidth=0)
        title = f"to scale, on a band of {number(band)} m"
        crossed = "; a cross ends a drive that was lost"
    else:
        ax.plot(*road, color=GRID, linewidth=2.5)
        ax.plot(*road, color=FAINT, linewidth=0.8)
        title = f"deviations scaled up {factor} times, not the path"
        crossed = "; a cross: out of the drawing"
    has_cross = False
    ax.plot(*road[:, 0], "o", color=FAINT, markersize=5)
    for style, gid, *_, (_, x, y, error), end in drives:
        is_outside = ~(np.abs(factor * error) <= _LARGEST_SHARE * extent)
        num_points = max(int(np.argmax(is_outside)), 1) if is_outside.any() else len(error)
        line = _beside(np.stack([x, y]), (factor - 1) * error)[:, :num_points]
        ax.plot(*_seen(line), color=style.colour, linewidth=1.6, zorder=style.order, gid=gid)
        if end or is_outside.any():
            ax.plot(*line[:, -1], "x", color=style.colour, markersize=7, mew=2.2, gid=gid)
            has_cross = True
    ax.set_title(title + crossed * has_cross, fontsize=9.5, loc="left", color=INK)
    length, low = _nice(0.2 * extent), road[1].min() - 1.3 * _LARGEST_SHARE * extent
    bar = (road[0].min(), road[0].min() + length)
    ax.plot(bar, [low, low], "|-", color=FAINT, linewidth=1)
    ax.text(bar[1], low, f"   {number(length)} m", va="center", fontsize=9, color=FAINT)


def _draw_errors(size: "Axes", signed: "Axes", drive: _Drive) -> None:
    """Draw the size of an error and where the drive ended before its time, and its sign."""
    style, gid = drive.style, drive.gid
    distance, _, _, error = drive.columns
    if drive.is_first:
        rms = 1e3 * _smoothed_size(distance, error)
        (line,) = size.plot(*_seen(np.stack([distance, rms])), color=style.colour, gid=gid)
        line.set(linewidth=2.0 if drive.is_focus else 1.3, zorder=style.order)
        if drive.end:
            x, y = distance[-1], rms[-1]
            size.plot(x, y, "x", color=style.colour, markersize=8, mew=2.2, zorder=6, gid=gid)
            size.text(x, y, f"   {drive.end}", va="center", fontsize=9, color=INK, gid=gid)
    if drive.is_focus:
        (line,) = signed.plot(*_seen(np.stack([distance, 1e3 * error])), gid=gid, linewidth=1.8)
        line.set_color(style.colour)
        if not drive.is_first:
            line.set(color=INK, linewidth=1.1, linestyle=(0, (4, 2.5)))


def _smoothed_size(distance: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return the root mean square of an error over the stretch around each point [m].

    Args:
        distance: Along the path, rising [m].
        error: With sign [m].
    """
    total = np.concatenate([[0.0], np.cumsum(error**2)])
    first = np.searchsorted(distance, distance - _WINDOW / 2, side="left")
    last = np.searchsorted(distance, distance + _WINDOW / 2, side="right")
    return np.sqrt(np.maximum(total[last] - total[first], 0.0) / np.maximum(last - first, 1))


def _drives(comparison: Comparison, path: str) -> list[_Drive]:
    """Return the drives of one path that there is something to draw of."""
    tracks = comparison.tracks
    first = "genesis" if "genesis" in set(tracks.engine) else next(iter(tracks.engine), "")
    styles, focus, drives = styles_of(comparison.methods), _focus(comparison), []
    of_path = tracks[tracks.path == path]
    for (method, engine), track in of_path.groupby(["method", "engine"], sort=False):
        columns = track[["distance", "x", "y", "cross_track"]].to_numpy(float).T
        is_lost = np.abs(columns[3]) > comparison.lost_m
        end = "stopped" if columns[0, -1] < 0.95 * of_path.distance.max() else ""
        if is_lost.any():
            columns, end = columns[:, : np.argmax(is_lost) + 1], "lost"
        gid = f"method-{comparison.methods.index(method)}"
        look = (styles[method], gid, method == focus)
        drives.append(_Drive(*look, engine, engine == first, columns, end))
    return drives


def _focus(comparison: Comparison) -> str:
    """Return the method whose error is drawn with its sign."""
    driven = comparison.tracks.method.unique()
    return "e2e" if "e2e" in driven else next(iter(driven), "")


def _factor(road: np.ndarray, drives: Sequence[_Drive]) -> int:
    """Return how much deviations are scaled up, so that the larger ones can be seen."""
    errors = [np.abs(drive.columns[3]) for drive in drives if not drive.end]
    typical = [np.percentile(error, 95) for error in errors if np.isfinite(error).all()]
    extent, swing = _extent(road), np.ptp(road, axis=1).min()
    # Beyond a part of the path's own swings, the drawing would show another path.
    limit = min(0.05 * extent, 0.3 * swing) if swing > 0.01 * extent else 0.05 * extent
    largest = max(typical, default=math.nan)
    return next((factor for factor in _FACTORS if factor * largest <= limit), 1)


def _plan_height(comparison: Comparison, path: str) -> float:
    """Return the height of a path's drawing from above [in]; next to none if it is not known."""
    road = np.array(comparison.references.get(path, ((), ())), dtype=float)
    if not road.size:
        return 0.1
    span_x, span_y = np.ptp(road, axis=1) + np.array([0.05, 0.2]) * _extent(road)
    return 0.3 + float(np.clip(_WIDTH / 2 * span_y / span_x, 0.8, 2.6))


def _extent(road: np.ndarray) -> float:
    """Return the larger side of a path from above [m]."""
    return max(float(np.ptp(road, axis=1).max()), 1e-6)


def _beside(line: np.ndarray, offset: float | np.ndarray) -> np.ndarray:
    """Return the points so far to the left of a line, shape (2, n)."""
    dx, dy = np.gradient(line, axis=1) if line.shape[1] > 1 else np.zeros_like(line)
    return line + offset * np.stack([-dy, dx]) / np.maximum(np.hypot(dx, dy), 1e-12)


def _seen(line: np.ndarray) -> np.ndarray:
    """Leave out points that nobody can see."""
    num_points = line.shape[1]
    chosen = np.linspace(0, num_points - 1, min(num_points, _MAX_POINTS)).round().astype(int)
    return line[:, np.unique(chosen)]


def _nice(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at most as large."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9))
