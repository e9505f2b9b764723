"""How methods and engines are called and drawn, in every table and picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from diffcar.base.figure import FAINT, GRID, INK, PAPER
from diffcar.controllers.classical import CLASSICAL
from diffcar.training.methods import METHODS

__all__ = ["DARK_COLOURS", "MethodStyle", "engine_name", "styles_of"]

_ENGINE_NAMES = {"genesis": "Genesis", "mujoco": "MuJoCo"}
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
    """How a method is described and drawn, everywhere."""

    label: str
    """What it is, in a few words; empty for one that is not shipped."""
    colour: str
    """As `#rrggbb`."""
    marker: str
    """Of matplotlib."""
    size: float
    """Of the marker, so that all look equally large [pt]."""
    order: float
    """Drawn above those with a smaller one."""


def styles_of(methods: Sequence[str]) -> dict[str, MethodStyle]:
    """Return the style of each method; that of a shipped one never depends on the others."""
    shipped = {**METHODS, **CLASSICAL}
    own = [name for name in methods if name not in shipped]
    # The first, e2e, is what the comparison is about: nothing covers it.
    order = {name: 4 - 0.1 * index for index, name in enumerate(shipped)}
    styles = {}
    for name in methods:
        if name in shipped:
            look = shipped[name]
            label, colour, marker = look.label, look.colour, look.marker
        else:
            label, colour, marker = "", _OTHER_COLOURS[own.index(name) % len(_OTHER_COLOURS)], "p"
        size = _MARKER_SIZES.get(marker, 7.0)
        styles[name] = MethodStyle(label, colour, marker, size, order.get(name, 3.0))
    return styles


def engine_name(engine: str) -> str:
    """Return how an engine writes itself."""
    return _ENGINE_NAMES.get(engine, engine)
