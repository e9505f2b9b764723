"""How figures of a comparison look: one colour and marker a method, as PNG or inline SVG."""

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffcar.base.figure import FAINT, GRID, INK, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DARK_COLOURS", "MethodStyle", "inline_svg", "styles_of"]

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
