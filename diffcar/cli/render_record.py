"""A recording of demonstrations as a table."""

from typing import TYPE_CHECKING

from rich.console import Console

from diffcar.base.table import number
from diffcar.cli.render import titled

if TYPE_CHECKING:
    from diffcar.demonstrations.record import RecordResult

__all__ = ["show_recording"]


def show_recording(result: "RecordResult", console: Console) -> None:
    """Print what was recorded, and how well the expert tracks the path."""
    table = titled(
        f"{result.expert} on {result.path} ({result.path_length_m:.1f} m), "
        f"errors after the first {result.skip_distance_m:g} m",
        console,
    )
    num_clean = result.num_episodes - result.num_noisy_episodes
    table.add_column("recorded")
    for heading in ("undisturbed", "disturbed"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    num_noisy_rows = round(result.noisy_row_share * result.num_rows)
    table.add_row("episodes", str(num_clean), str(result.num_noisy_episodes), "")
    table.add_row("rows", str(result.num_rows - num_noisy_rows), str(num_noisy_rows), "")
    for label, name, factor, unit in (
        ("cross-track RMSE", "cross_track_rmse_m", 1e3, "mm"),
        ("cross-track p95", "cross_track_p95_m", 1e3, "mm"),
        ("cross-track max", "cross_track_max_m", 1e3, "mm"),
        ("speed RMSE", "speed_rmse_mps", 1.0, "m/s"),
    ):
        values = (getattr(result.metrics, name), getattr(result.noisy_metrics, name))
        table.add_row(label, *(number(factor * value) for value in values), unit)
    console.print(table)
    lost = f", {result.num_lost_episodes} lost the path" if result.num_lost_episodes else ""
    console.print(
        f"{result.num_rows} rows, {result.noisy_row_share:.0%} of them disturbed, "
        f"{result.num_episodes} episodes of {result.episode_seconds:g} s{lost}, "
        f"driven in {result.wall_seconds:.1f} s",
        highlight=False,
    )
