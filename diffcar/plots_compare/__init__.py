"""Plots of a comparison of controllers, as PNG files and as figures for other formats."""

from diffcar.plots_compare.conditions import draw_conditions, plot_conditions
from diffcar.plots_compare.learning_curves import draw_learning_curves, plot_learning_curves
from diffcar.plots_compare.tracks import draw_track_errors, plot_tracks

__all__ = [
    "draw_conditions",
    "draw_learning_curves",
    "draw_track_errors",
    "plot_conditions",
    "plot_learning_curves",
    "plot_tracks",
]
