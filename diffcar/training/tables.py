"""What trainings came to, as tables, curves and sentences."""

from typing import TYPE_CHECKING

from diffcar.base.table import Column, Curve, Line, Shown, Table, across, number
from diffcar.gradients.hops import hops_table
from diffcar.tasks.pushing.tables import scores_table
from diffcar.tasks.tracking.tables import METRICS

if TYPE_CHECKING:
    from diffcar.training.run import PathScore, TrainingResult
    from diffcar.training.run_e2e import TrainE2EResult
    from diffcar.training.run_push import TrainPushResult

__all__ = ["pushing_report", "training_report"]


def training_report(result: "TrainingResult") -> list[Shown]:
    """Return where the gradient went, if it did, loss curve, metrics and where the run lies."""
    from diffcar.training.run_e2e import TrainE2EResult

    shown = _gradients(result) if isinstance(result, TrainE2EResult) else []
    shown.append(Curve("loss", result.losses))
    if result.before is not None and result.after is not None:
        # The cars drive for a fixed time, not to a goal: how far they came says nothing.
        metrics = [column for column in METRICS if column.key != "completion"]
        title = "training path in plain physics, half of the cars from rest"
        shown.append(
            across(title, "metric", metrics, {"before": result.before, "after": result.after})
        )
    if result.scores:
        title = "paths never trained on, plain physics, errors after the first 2 m"
        shown.append(Table(title, _SCORES, result.scores))
    return [
        *shown,
        f"{result.num_updates} updates, {result.num_skipped} skipped, "
        f"{result.num_env_steps} environment steps, {_duration(result)}",
        Line(f"run folder: {result.run_folder}"),
    ]


_SCORES: "list[Column[PathScore]]" = [
    Column("path", lambda score: score.path),
    Column("start", lambda score: score.start),
    Column("RMSE", lambda score: score.metrics.cross_track_rmse_m, "mm", 1e3),
    Column("p95", lambda score: score.metrics.cross_track_p95_m, "mm", 1e3),
    Column("max", lambda score: score.metrics.cross_track_max_m, "mm", 1e3),
    Column("speed RMSE", lambda score: score.metrics.speed_rmse_mps, "m/s"),
    Column("driven", lambda score: score.metrics.completion, "%", 100.0),
]


def _gradients(result: "TrainE2EResult") -> list[Shown]:
    """Return where the gradient went, and what the checks before and during training found."""
    told = []
    if (certificate := result.certificate) is not None:
        told.append(
            f"before training, {certificate.num_directions} directions over {certificate.horizon} "
            f"steps: {certificate.verdict}, median error "
            f"{number(certificate.median_relative_error)}, worst "
            f"{number(certificate.worst_relative_error)}"
        )
    if result.worst_gradient_error is not None:
        told.append(f"worst spot check during it: {number(result.worst_gradient_error)}")
    line = Line(f"gradient against finite differences: {'; '.join(told)}")
    return [hops_table(result.hops), *([line] if told else [])]


def pushing_report(result: "TrainPushResult") -> list[Shown]:
    """Return the loss curve, the figures before and after, and what the gradient checks found."""
    errors = {
        "before training": result.errors_before_training,
        "during it": result.errors_in_training,
    }
    told = [f"{when} {', '.join(map(number, own))}" for when, own in errors.items() if own]
    line = Line(
        "relative error of the gradient by the weights against finite differences, "
        f"a direction each: {'; '.join(told)}"
    )
    return [
        Curve("loss", result.losses),
        scores_table(result.scores, result.skip_distance_m),
        f"{result.num_updates} updates, {result.num_skipped} skipped, {_duration(result)}",
        *([line] if told else []),
        Line(f"run folder: {result.run_folder}"),
    ]


def _duration(result: "TrainingResult | TrainPushResult") -> str:
    """Say how long a session took."""
    return f"{result.train_seconds:.0f} s of training, {result.wall_seconds:.0f} s in all"
