"""How the paths were driven: each path, and the cross-track error along it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffcar.base.figure import FAINT, INK, calm, log_scale, new_figure, plain, save_png
from diffcar.compare.findings import ENGINE_NAMES
from diffcar.compare.results import Comparison, DrivenTrack
from diffcar.compare.style import styles_of
from diffcar.tasks.tracking.drive import LOST_CROSS_TRACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_track_errors", "ending", "focus_of", "plot_tracks"]

# Length over which the size of an error is averaged [m].
_WINDOW = 1.0
_ROW_HEIGHT = 2.1
_MAX_POINTS = 800


def plot_tracks(comparison: Comparison, file: Path) -> None:
    """Draw each path of the suite, and the cross-track errors along it.

    Args:
        comparison: With driven tracks.
        file: PNG file to write.

    Raises:
        OutputError: If the file system refuses.
    """
    paths = list(dict.fromkeys(track.path for track in comparison.tracks))
    figure = new_figure(13, 0.9 + _ROW_HEIGHT * max(1, len(paths)))
    if paths:
        grid = figure.subplots(len(paths), 3, squeeze=False, width_ratios=[1, 1.75, 1.75])
        for index, (row, path) in enumerate(zip(grid, paths, strict=True)):
            _draw_plan(row[0], comparison, path)
            _draw_errors(row[1], row[2], comparison, path)
            name = plain(f"{path}, {_length(comparison, path):.0f} m")
            row[0].set_title(name, fontsize=10.5, loc="left", color=INK, fontweight="bold")
            if index == 0:
                row[1].set_title(_size_title(comparison), fontsize=10, loc="left", color=INK)
                row[2].set_title(_signed_title(comparison), fontsize=10, loc="left", color=INK)
        for ax in grid[-1][1:]:
            ax.set_xlabel("distance along the path [m]")
        _add_key(figure, comparison)
    save_png(figure, file)


def draw_track_errors(comparison: Comparison, path: str) -> "Figure":
    """Return the errors along one path: their size for all methods, and those of e2e with sign.

    Args:
        comparison: With driven tracks.
        path: Name.
    """
    figure = new_figure(11, 2.9)
    size, signed = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    _draw_errors(size, signed, comparison, path)
    size.set_title(_size_title(comparison), fontsize=10, loc="left", color=INK)
    signed.set_title(_signed_title(comparison), fontsize=10, loc="left", color=INK)
    for ax in (size, signed):
        ax.set_xlabel("distance along the path [m]")
    return figure


def smoothed_size(distance: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return the root mean square of an error over the stretch around each point [m].

    Args:
        distance: Along the path, rising [m].
        error: With sign [m].
    """
    total = np.concatenate([[0.0], np.cumsum(error**2)])
    first = np.searchsorted(distance, distance - _WINDOW / 2, side="left")
    last = np.searchsorted(distance, distance + _WINDOW / 2, side="right")
    return np.sqrt(np.maximum(total[last] - total[first], 0.0) / np.maximum(last - first, 1))


def focus_of(comparison: Comparison) -> str | None:
    """Return the method whose error is drawn with its sign: e2e, or else the first."""
    driven = [track.method for track in comparison.tracks]
    return "e2e" if "e2e" in driven else next(iter(driven), None)


def _draw_plan(ax: "Axes", comparison: Comparison, path: str) -> None:
    """Draw the reference."""
    if path in comparison.references:
        x, y = comparison.references[path]
        ax.plot(x, y, color=FAINT, linewidth=1.6)
        ax.plot(x[0], y[0], "o", color=FAINT, markersize=5)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_facecolor("none")
    ax.axis("off")


def _draw_errors(size: "Axes", signed: "Axes", comparison: Comparison, path: str) -> None:
    """Draw the size of all errors, and the error of one method with its sign."""
    styles = styles_of(comparison.methods)
    focus = focus_of(comparison)
    engine = _first_engine(comparison)
    for track in comparison.tracks:
        if track.path != path or track.method not in styles:
            continue
        style, is_first = styles[track.method], track.engine == engine
        # A page with these figures hides a method by its name in the drawing.
        name = f"method-{comparison.methods.index(track.method)}"
        num_points, end = ending(track, comparison)
        if not num_points:
            continue
        distance, error = (
            np.asarray(column)[:num_points] for column in (track.distance, track.cross_track)
        )
        seen = np.unique(np.linspace(0, num_points - 1, _MAX_POINTS).round().astype(int))
        if is_first:
            rms = 1e3 * smoothed_size(distance, error)[seen]
            (line,) = size.plot(distance[seen], rms, color=style.colour, gid=name)
            line.set(linewidth=2.0 if track.method == focus else 1.3, zorder=style.order)
            if end:
                _mark_end(size, distance[-1], rms[-1], style.colour, end, name)
        if track.method == focus:
            signed.plot(
                distance[seen],
                1e3 * error[seen],
                color=style.colour if is_first else INK,
                linewidth=1.8 if is_first else 1.1,
                linestyle="-" if is_first else (0, (4, 2.5)),
                gid=name,
            )
    signed.axhline(0, color=FAINT, linewidth=0.8)
    for ax in (size, signed):
        calm(ax)
        ax.set_ylabel("error [mm]")
        ax.margins(x=0.01)
    if size.lines:
        log_scale(size, "y")


def _mark_end(ax: "Axes", x: float, y: float, colour: str, text: str, name: str) -> None:
    """Mark where a drive ended before its time."""
    ax.plot(x, y, "x", color=colour, markersize=8, markeredgewidth=2.2, zorder=6, gid=name)
    ax.annotate(
        text,
        (x, y),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=INK,
        gid=name,
    )


def ending(track: DrivenTrack, comparison: Comparison) -> tuple[int, str]:
    """Return how many points count, and `lost` or `stopped` for a drive that did not get there.

    Args:
        track: A drive.
        comparison: With the others' drives of the same path.
    """
    error = np.abs(np.asarray(track.cross_track))
    is_lost = error > LOST_CROSS_TRACK
    if is_lost.any():
        return int(np.argmax(is_lost)) + 1, "lost"
    length = _length(comparison, track.path)
    is_short = bool(track.distance) and track.distance[-1] < 0.95 * length
    return len(error), "stopped" if is_short else ""


def _length(comparison: Comparison, path: str) -> float:
    """Return how far the furthest drive of a path came [m]."""
    return max(
        (t.distance[-1] for t in comparison.tracks if t.path == path and t.distance), default=0.0
    )


def _first_engine(comparison: Comparison) -> str:
    """Return the engine whose drives are drawn with solid lines."""
    engines = [track.engine for track in comparison.tracks]
    return "genesis" if "genesis" in engines else next(iter(engines), "")


def _size_title(comparison: Comparison) -> str:
    """Say what is drawn for all methods."""
    engine = _first_engine(comparison)
    return f"cross-track error in {ENGINE_NAMES.get(engine, engine)}, RMS over {_WINDOW:g} m"


def _signed_title(comparison: Comparison) -> str:
    """Say what is drawn for one method."""
    focus, first = focus_of(comparison), _first_engine(comparison)
    engines = list(dict.fromkeys(t.engine for t in comparison.tracks if t.method == focus))
    looks = [
        f"{ENGINE_NAMES.get(engine, engine)} {'solid' if engine == first else 'dashed'}"
        for engine in engines
    ]
    return f"{plain(focus or '')}, + left of the path: {', '.join(looks)}"


def _add_key(figure: "Figure", comparison: Comparison) -> None:
    """Name the methods below the panels."""
    from matplotlib.lines import Line2D

    driven = {track.method for track in comparison.tracks}
    handles = [
        Line2D([], [], color=style.colour, linewidth=2.2, label=plain(method))
        for method, style in styles_of(comparison.methods).items()
        if method in driven
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(7, len(handles)),
            frameon=False,
            fontsize=10,
            labelcolor=INK,
        )
