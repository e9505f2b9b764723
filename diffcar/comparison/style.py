"""How methods and engines are called and drawn, in every table and picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diffcar.base.figure import FAINT, GRID, INK, PAPER
from diffcar.controllers.classical import CLASSICAL, Classical
from diffcar.sim.config import ENGINES
from diffcar.training.methods import METHODS, Method

__all__ = ["DARK_COLOURS", "MethodStyle", "engine_name", "styles_of"]

_MARKER_SIZES = {"D": 6.5, "v": 8.0, "^": 8.0, "P": 9.0, "*": 11.0, "X": 9.0}
_OTHER_COLOURS = ("#882255", "#6a3d9a", "#5c4033", "#117733")
DARK_COLOURS = {
    **{INK: "#e6edf3", FAINT: "#9198a1", GRID: "#30363d", PAPER: "#151b23"},
    **{"#0072b2": "#4aa8ea", "#d55e00": "#ff8a4c", "#009e73": "#2fc49a", "#7f7f7f": "#a3a3a3"},
    **{"#882255": "#d16ba5", "#6a3d9a": "#b48ce0", "#5c4033": "#b5917f", "#117733": "#4fb96f"},
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
    order: float
    """Drawn above those with a smaller one."""

    def mark(self, *, face: str | None = None) -> dict[str, Any]:
        """Return how matplotlib draws its marker: full, or with a face of another colour."""
        return {
            "color": self.colour,
            "marker": self.marker,
            # All look equally large.
            "markersize": _MARKER_SIZES.get(self.marker, 7.0),
            "markerfacecolor": face or self.colour,
            "markeredgecolor": self.colour if face else PAPER,
            "markeredgewidth": 1.5 if face else 0.8,
        }


def styles_of(methods: Sequence[str]) -> dict[str, MethodStyle]:
    """Return the style of each method; that of a shipped one never depends on the others."""
    # The first, e2e, is what the comparison is about: nothing covers it.
    known: list[Method | Classical] = [m for m in METHODS.values() if m.is_compared]
    known += CLASSICAL.values()
    shipped = {
        method.name: MethodStyle(method.label, method.colour, method.marker, 4 - 0.1 * index)
        for index, method in enumerate(known)
    }
    own = [name for name in methods if name not in shipped]
    colours = {name: _OTHER_COLOURS[i % len(_OTHER_COLOURS)] for i, name in enumerate(own)}
    return {name: shipped.get(name) or MethodStyle("", colours[name], "p", 3) for name in methods}


def engine_name(engine: str) -> str:
    """Return how an engine writes itself."""
    return ENGINES[engine].label
