"""A recording of demonstrations as a table."""

from typing import TYPE_CHECKING, NamedTuple

from diffcar.base.table import Column, Shown, across
from diffcar.tasks.tracking.tables import METRICS

if TYPE_CHECKING:
    from diffcar.demonstrations.record import RecordResult
    from diffcar.tasks.tracking.metrics import TrackingMetrics

__all__ = ["recording_report"]

_KEYS = ("cross_track_rmse_m", "cross_track_p95_m", "cross_track_max_m", "speed_rmse_mps")


class _Half(NamedTuple):
    """The episodes that were disturbed, or those that were not."""

    num_episodes: int
    num_rows: int
    metrics: "TrackingMetrics"


def recording_report(result: "RecordResult") -> list[Shown]:
    """Return what was recorded, and how well the expert tracks the path."""
    num_noisy, num_noisy_rows = result.num_noisy_episodes, result.noisy_row_share * result.num_rows
    noisy = _Half(num_noisy, round(num_noisy_rows), result.noisy_metrics)
    clean = _Half(result.num_episodes - num_noisy, result.num_rows - noisy.num_rows, result.metrics)
    columns: list[Column[_Half]] = [
        Column("episodes", lambda half: half.num_episodes),
        Column("rows", lambda half: half.num_rows),
        *(column.within(lambda half: half.metrics) for column in METRICS if column.key in _KEYS),
    ]
    table = across(
        f"{result.expert} on {result.path} ({result.path_length_m:.1f} m), "
        f"errors after the first {result.skip_distance_m:g} m",
        "recorded",
        columns,
        {"undisturbed": clean, "disturbed": noisy},
    )
    lost = f", {result.num_lost_episodes} lost the path" if result.num_lost_episodes else ""
    return [
        table,
        f"{result.num_rows} rows, {result.noisy_row_share:.0%} of them disturbed, "
        f"{result.num_episodes} episodes of {result.episode_seconds:g} s{lost}, "
        f"driven in {result.wall_seconds:.1f} s",
    ]
