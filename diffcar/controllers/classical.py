"""The classical controllers that are tuned and compared, named without loading them."""

from dataclasses import dataclass

__all__ = ["CLASSICAL", "Classical"]


@dataclass(frozen=True)
class Classical:
    """A controller of a few parameters, which are searched instead of trained."""

    name: str
    """What users call it."""
    label: str
    """What it is, in a few words."""
    colour: str
    """In every picture, as `#rrggbb`."""
    marker: str
    """In every picture, of matplotlib."""
    by_default: bool = True
    """Whether it is compared unless somebody says what is."""


CLASSICAL = {
    classical.name: classical
    for classical in (
        Classical("stanley", "steering law, tuned", "#e69f00", "P"),
        # Grey for the one without a hue.
        Classical("pure-pursuit", "steering law, tuned", "#7f7f7f", "X"),
        # Needs measurements of the car, which one of somebody's own may lack.
        Classical("acceleration-pursuit", "racing law, tuned", "#a09000", "*", by_default=False),
    )
}
"""By name, in the order in which they are listed."""
