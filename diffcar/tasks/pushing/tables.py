"""The figures of pushes as tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from diffcar.base.table import Column, Table

if TYPE_CHECKING:
    from diffcar.tasks.pushing.task import PushMetrics, PushScore

__all__ = ["scores_table"]


class _Row(NamedTuple):
    """A path, with the weights of before or after."""

    path: str
    weights: str
    metrics: "PushMetrics"
    loss: float


def scores_table(scores: "Sequence[PushScore]", skip_distance_m: float) -> Table[_Row]:
    """Return how well each path is followed, before and after.

    Args:
        scores: One a path.
        skip_distance_m: Errors count from where the running target has come this far [m].
    """
    rows = []
    for score in scores:
        name = f"{score.path}, {'unseen' if score.is_unseen else 'training'}"
        rows.append(_Row(name, "before", score.before, score.loss_before))
        rows.append(_Row(name, "after", score.after, score.loss_after))
    columns: list[Column[_Row]] = [
        Column("path", lambda row: row.path if row.weights == "before" else ""),
        Column("weights", lambda row: row.weights),
        Column("RMSE\n", lambda row: row.metrics.cross_track_rmse_m, "mm", 1e3),
        Column("p95\n", lambda row: row.metrics.cross_track_p95_m, "mm", 1e3),
        Column("max\n", lambda row: row.metrics.cross_track_max_m, "mm", 1e3),
        Column("RMSE along\n", lambda row: row.metrics.progress_rmse_m, "mm", 1e3),
        Column("came\n", lambda row: row.metrics.distance_m, "mm", 1e3),
        Column("target\n", lambda row: row.metrics.target_distance_m, "mm", 1e3),
        Column("loss", lambda row: row.loss),
    ]
    return Table(
        "tracking of the body's centroid in plain physics: across the path, along it against the "
        f"running\ntarget, from where the target has come {skip_distance_m:g} m; loss over "
        "the whole push",
        columns,
        rows,
        section=lambda row: row.path,
    )
