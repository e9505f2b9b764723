"""Figures as text, for tables, plots and sentences."""

import math

__all__ = ["count", "millimetres", "number", "times"]


def number(value: float | None) -> str:
    """Return three significant digits, `-` for what is missing or not finite."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 999.5:
        return f"{value:.3g}"
    if abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 1 else f"{value:.2e}"
    return f"{value:.2e}"


def millimetres(metres: float) -> str:
    """Return a length in millimetres, without the unit.

    Args:
        metres: The length [m].
    """
    return number(1e3 * metres)


def count(value: float) -> str:
    """Return a count that a sentence can hold, such as `38,100` or `1.23 million`."""
    if not math.isfinite(value):
        return "-"
    if abs(value) < 1e4:
        return f"{value:,.0f}"
    if abs(value) < 999_500:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value / 1e6:.3g} million"


def times(ratio: float) -> str:
    """Return a factor, such as `3.2x`; `-` for what is not finite."""
    text = number(ratio)
    return text if text == "-" else f"{text}x"
