"""The figures of drives as tables."""

from dataclasses import replace
from typing import TYPE_CHECKING

from diffcar.base.table import Column, Shown, across, number

if TYPE_CHECKING:
    from diffcar.tasks.tracking.metrics import TrackingMetrics
    from diffcar.tasks.tracking.simulate import EngineFigures, SimulateResult

__all__ = ["METRICS", "simulation_report"]

METRICS: "list[Column[TrackingMetrics]]" = [
    Column("cross-track RMSE", lambda m: m.cross_track_rmse_m, "mm", 1e3, "cross_track_rmse_m"),
    Column("cross-track mean", lambda m: m.cross_track_mean_m, "mm", 1e3, "cross_track_mean_m"),
    Column("cross-track p95", lambda m: m.cross_track_p95_m, "mm", 1e3, "cross_track_p95_m"),
    Column("cross-track max", lambda m: m.cross_track_max_m, "mm", 1e3, "cross_track_max_m"),
    Column("heading RMSE", lambda m: m.heading_rmse_rad, "rad", 1.0, "heading_rmse_rad"),
    Column("speed RMSE", lambda m: m.speed_rmse_mps, "m/s", 1.0, "speed_rmse_mps"),
    Column(
        "steering rate RMS",
        lambda m: m.steering_rate_rms_radps,
        "rad/s",
        1.0,
        "steering_rate_rms_radps",
    ),
    Column("completion", lambda m: m.completion, "%", 100.0, "completion"),
]
"""How well a path was tracked."""


def simulation_report(result: "SimulateResult") -> list[Shown]:
    """Return the figures of a drive, beside those in Genesis where it was in another engine."""
    figures: list[Column[EngineFigures]] = [
        *(column.within(lambda drive: drive.metrics) for column in METRICS),
        Column("steps", lambda drive: drive.num_steps),
        Column("simulated time", lambda drive: drive.sim_seconds, "s"),
        Column("wall time of the drive", lambda drive: drive.wall_seconds, "s"),
    ]
    drives = {"value": result.figures}
    if result.genesis_figures is not None:
        drives = {"Genesis": result.genesis_figures, "MuJoCo": result.figures}
    table = across(
        f"{result.controller} on {result.path} ({result.path_length_m:.1f} m), "
        f"{result.start} start, errors after the first {result.skip_distance_m:g} m",
        "metric",
        figures,
        drives,
    )
    if differences := result.differences():
        *columns, unit = table.columns
        difference: Column[Column[EngineFigures]] = Column(
            "difference",
            lambda metric: differences.get(metric.key or ""),
            "%",
            words=lambda metric: number(differences[metric.key]) if metric.key else "",
        )
        table = replace(table, columns=[*columns, difference, unit])
    return [table]
