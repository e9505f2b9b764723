"""A figure without a display, and its style."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FAINT",
    "GRID",
    "INK",
    "PAPER",
    "blank_figure",
    "calm",
    "log_scale",
    "new_figure",
    "plain",
    "save_figure",
    "save_png",
]


def blank_figure(width: float, height: float) -> "Figure":
    """Return a figure that needs no display and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: "Figure", file: Path) -> None:
    """Write the figure as PNG."""
    write_atomically(file, lambda target: figure.savefig(target, dpi=110, format="png"))


INK, FAINT, GRID, PAPER = "#1f2328", "#656d76", "#dfe3e8", "#fffffe"


def new_figure(width: float, height: float) -> "Figure":
    """Return a figure that needs no display and no global state.

    Args:
        width: In inches.
        height: In inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def plain(text: str) -> str:
    """Return a name so that matplotlib takes no `$` in it for a formula."""
    return text.replace("$", r"\$")


def calm(axes: "Axes", *, grid: str = "both") -> None:
    """Take from the axes what does not show data.

    Args:
        axes: To be styled.
        grid: Axis whose grid is drawn: `x`, `y` or `both`.
    """
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(which="both", colors=FAINT, labelcolor=INK, labelsize=9)
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)
    axes.xaxis.label.set_fontsize(10)
    axes.yaxis.label.set_fontsize(10)


def log_scale(axes: "Axes", which: str) -> None:
    """Make axes logarithmic, with plain numbers at their ticks.

    Args:
        axes: To be changed, with their data.
        which: Names of the axes, such as `xy`.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name in which:
        axes.set(**{f"{name}scale": "log"})
        axis = axes.xaxis if name == "x" else axes.yaxis
        low, high = getattr(axes, f"get_{name}lim")()
        # Within one decade, powers of ten alone would leave the reader with a single number.
        decades = math.log10(high / low) if 0 < low < high else 1.0
        subs = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1.5 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    """Return a number at a tick."""
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):g}{unit}"
    return f"{value:g}"


def save_png(figure: "Figure", file: Path) -> None:
    """Write a figure as PNG.

    Args:
        figure: To be written.
        file: PNG file.

    Raises:
        OutputError: If the file system refuses.
    """
    write_atomically(file, lambda target: figure.savefig(target, dpi=130, format="png"))
