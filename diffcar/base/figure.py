"""A figure without a display, its style, and its way into a PNG file or a page."""

import html
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcar.base.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FAINT",
    "GRID",
    "INK",
    "PAPER",
    "add_key",
    "calm",
    "css_colour",
    "inline_svg",
    "log_scale",
    "new_figure",
    "plain",
    "save_png",
]

# No pure white or black: a page can replace these without touching anything else that is drawn.
INK, FAINT, GRID, PAPER = "#1f2328", "#656d76", "#dfe3e8", "#fffffe"


def new_figure(
    width: float, height: float, margins: tuple[float, float, float, float] | None = None
) -> "Figure":
    """Return a figure of a size in inches that needs no display and no global state.

    Args:
        margins: Left, bottom, right and top of the axes [in]. They save half of the time that a
            picture takes: without them, all that is written about the axes is measured first.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout = "constrained" if margins is None else None
    figure = Figure(figsize=(width, height), layout=layout, facecolor=PAPER)  # type: ignore[arg-type]
    if margins is not None:
        left, bottom, right, top = margins
        figure.subplots_adjust(
            left / width, bottom / height, 1 - right / width, 1 - top / height, hspace=0.3
        )
    FigureCanvasAgg(figure)
    return figure


def plain(text: str) -> str:
    """Return a name so that matplotlib takes no `$` in it for a formula."""
    return text.replace("$", r"\$")


def calm(axes: "Axes", *, grid: str = "both") -> None:
    """Take from the axes what does not show data; a grid on the axes `x`, `y` or `both` stays."""
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(which="both", colors=FAINT, labelcolor=INK, labelsize=9)
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    axes.title.set_color(INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, fontsize=10)


def log_scale(axes: "Axes", which: str) -> None:
    """Make axes named as `xy` logarithmic once their data are drawn, with plain numbers."""
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


def add_key(figure: "Figure", looks: Mapping[str, Mapping[str, Any]], **how: Any) -> None:  # noqa: ANN401 - matplotlib's own
    """Explain beside the axes what lines and markers mean; `how` is what `Figure.legend` takes."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=label, **look) for label, look in looks.items()]
    how = {"frameon": False, "labelcolor": INK, "ncols": len(handles), **how}
    if handles:
        figure.legend(handles=handles, **how).get_title().set_color(FAINT)


def _tick(value: float) -> str:
    """Return a number at a tick."""
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):g}{unit}"
    return f"{value:g}"


def save_png(figure: "Figure", file: Path) -> None:
    """Write a figure as PNG.

    Raises:
        OutputError: If the file system refuses.
    """
    how: dict[str, Any] = {"dpi": 130, "format": "png", "pil_kwargs": {"compress_level": 1}}
    write_atomically(file, lambda target: figure.savefig(target, **how))


def inline_svg(figure: "Figure", name: str, description: str) -> str:
    """Return a figure as an `svg` element inside HTML.

    Its colours are as `css_colour` writes them, and what has the group identifier `method-3` is of
    the class `m3`.

    Args:
        name: Prefix of its identifiers, which must differ between the figures of a page.
        description: Read out in its place; escaped here.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text: it can be searched, and takes the font of the page.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Its style sheet would hold for the whole page.
    text = re.sub(r"<(metadata|style).*?</\1>|<!--.*?-->", "", text, flags=re.DOTALL)
    # Names that a user chose are between tags, where nothing may be replaced.
    text = re.sub(r"<[^>]+>", lambda tag: _adapted(tag[0], name), text)
    opening, _, content = text.partition(">")
    size = re.search(r'viewBox="[^"]+"', opening)
    assert size, "matplotlib writes no viewBox any more"
    label = html.escape(description, quote=True)
    return f'<svg class="plot" {size[0]} role="img" aria-label="{label}">{content}'


def css_colour(colour: str) -> str:
    """Return a colour `#rrggbb` as CSS that a style sheet can replace, by setting `--c-rrggbb`."""
    return f"var(--c-{colour[1:]}, {colour})"


def _adapted(tag: str, name: str) -> str:
    """Return a tag of an SVG as part of a page."""
    tag = re.sub(r'\bid="method-(\d+)"', r'class="m\1"', tag)
    tag = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', tag)
    tag = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag)
    # The page has its own typeface.
    tag = re.sub(r"font: (?:\w+ )*?([\d.]+px) '[^;\"]*", r"font-size: \1", tag)
    tag = re.sub(r"font-family: [^;\"]*;?", "", tag)
    tag = re.sub(r"(\.\d\d)\d+", r"\1", tag)
    return re.sub(r"(?<=: )#[0-9a-f]{6}\b", lambda colour: css_colour(colour[0]), tag)
