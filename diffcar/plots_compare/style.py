"""How figures of a comparison look: one colour and marker a method, as PNG or inline SVG."""

import html
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DARK_COLOURS",
    "FAINT",
    "GRID",
    "INK",
    "PAPER",
    "MethodStyle",
    "calm",
    "inline_svg",
    "log_scale",
    "new_figure",
    "plain",
    "save_png",
    "styles_of",
]

INK, FAINT, GRID, PAPER = "#1f2328", "#656d76", "#dfe3e8", "#fffffe"

# Okabe and Ito's colours, which the colour-blind tell apart; grey for the one without a hue.
_COLOURS = {
    "e2e": "#0072b2",
    "ppo": "#d55e00",
    "bc-pure-pursuit": "#cc79a7",
    "bc-e2e": "#56b4e9",
    "dagger-e2e": "#009e73",
    "stanley": "#e69f00",
    "pure-pursuit": "#7f7f7f",
}
_MARKERS = {
    "e2e": "o",
    "ppo": "s",
    "bc-pure-pursuit": "v",
    "bc-e2e": "^",
    "dagger-e2e": "D",
    "stanley": "P",
    "pure-pursuit": "X",
}
_MARKER_SIZES = {"D": 6.5, "v": 8.0, "^": 8.0, "P": 9.0, "X": 9.0}
_OTHER_COLOURS = ("#882255", "#6a3d9a", "#5c4033", "#117733")
DARK_COLOURS = {
    INK: "#e6edf3",
    FAINT: "#9198a1",
    GRID: "#30363d",
    PAPER: "#151b23",
    "#0072b2": "#4aa8ea",
    "#d55e00": "#ff8a4c",
    "#009e73": "#2fc49a",
    "#7f7f7f": "#a3a3a3",
    "#882255": "#d16ba5",
    "#6a3d9a": "#b48ce0",
    "#5c4033": "#b5917f",
    "#117733": "#4fb96f",
}
"""What takes the place of each colour on a dark page; the others are read on both."""


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn, everywhere."""

    colour: str
    """As `#rrggbb`."""
    marker: str
    """Of matplotlib."""
    size: float
    """Of the marker, so that all look equally large [pt]."""
    order: float
    """Drawn above those with a smaller one."""


def styles_of(methods: Sequence[str]) -> dict[str, MethodStyle]:
    """Return the style of each method; that of a known one never depends on the others.

    Args:
        methods: Names.
    """
    unknown = [name for name in methods if name not in _COLOURS]
    known = list(_COLOURS)
    return {
        name: MethodStyle(
            _COLOURS.get(name) or _OTHER_COLOURS[unknown.index(name) % len(_OTHER_COLOURS)],
            _MARKERS.get(name, "p"),
            _MARKER_SIZES.get(_MARKERS.get(name, "p"), 7.0),
            # The first, e2e, is what the comparison is about: nothing covers it.
            4 - 0.1 * (known.index(name) if name in known else len(known)),
        )
        for name in methods
    }


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


def inline_svg(figure: "Figure", name: str, description: str) -> str:
    """Return a figure as SVG inside HTML, whose colours a style sheet can replace.

    Args:
        figure: To be drawn.
        name: Prefix of its identifiers, which must differ between the figures of a page.
        description: Read out in its place; escaped here.

    Returns:
        An `svg` element. In it, a colour `#rrggbb` of `DARK_COLOURS` is `var(--c-rrggbb)`, and what
        has the group identifier `method-3` is of the class `m3`.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text: it can be searched, and takes the font of the page.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Its style sheet would hold for the whole page.
    text = re.sub(r"<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    # Names that a user chose are between tags, where nothing may be replaced.
    text = re.sub(r"<[^>]+>", lambda tag: _adapted(tag[0], name), text)
    label = html.escape(description, quote=True)
    opening = text[: text.index(">") + 1]
    size = re.search(r'viewBox="[^"]+"', opening)
    assert size, "matplotlib writes no viewBox any more"
    start = f'<svg class="plot" {size[0]} role="img" aria-label="{label}">'
    return start + text[len(opening) :]


def _adapted(tag: str, name: str) -> str:
    """Return a tag of an SVG as part of a page."""
    tag = re.sub(r'\bid="method-(\d+)"', r'class="m\1"', tag)
    tag = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', tag)
    tag = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag)
    # The page has its own typeface.
    tag = re.sub(r"font: (?:\w+ )*?([\d.]+px) '[^;\"]*", r"font-size: \1", tag)
    tag = re.sub(r"font-family: [^;\"]*;?", "", tag)
    tag = re.sub(r"(\.\d\d)\d+", r"\1", tag)
    for colour in DARK_COLOURS:
        tag = tag.replace(colour, f"var(--c-{colour[1:]})")
    return tag
