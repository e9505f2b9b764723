"""What trainings came to, as tables, curves and sentences."""

from typing import TYPE_CHECKING, Any

from diffcar.base.table import Column, Curve, Line, Shown, Table, across, number
from diffcar.gradients.hops import hops_table
from diffcar.tasks.pushing.task import scores_table
from diffcar.tasks.tracking.metrics import GOT_GOING, METRICS, SKIP_DISTANCE

if TYPE_CHECKING:
    from diffcar.tasks.tracking.task import PathScore
    from diffcar.training.run import TrainingResult

__all__ = ["training_report"]


def training_report(result: "TrainingResult") -> list[Shown]:
    """Return where the gradient went, if it did, loss curve, metrics and where the run lies."""
    findings, scores = result.findings, result.findings.get("scores", [])
    shown: list[Shown] = [hops_table(result.hops)] if result.hops else []
    shown += [*_gradient_checks(result), Curve("loss", result.losses)]
    if "skip_distance_m" in findings:
        shown.append(scores_table(scores, findings["skip_distance_m"]))
    else:
        if result.before is not None and result.after is not None:
            shown.append(_before_and_after(result))
        if scores:
            title = (
                f"paths never trained on, plain physics, errors after {SKIP_DISTANCE:g} m or a "
                "quarter of a short path"
            )
            shown.append(Table(title, _SCORES, scores))
    return [
        *shown,
        f"{result.num_updates} updates, {result.num_skipped} skipped, "
        f"{result.num_env_steps} environment steps, {result.train_seconds:.0f} s of training, "
        f"{result.wall_seconds:.0f} s in all",
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
    GOT_GOING.within(lambda score: score.metrics),
]


def _before_and_after(result: "TrainingResult") -> Table[Any]:
    """Return the metrics of cars on the training path before and after training."""
    # The cars drive for a fixed time, not to a goal: how far they came says nothing.
    metrics = [*(column for column in METRICS if column.key != "completion"), GOT_GOING]
    title = "training path in plain physics, half of the cars from rest"
    return across(title, "metric", metrics, {"before": result.before, "after": result.after})


def _gradient_checks(result: "TrainingResult") -> list[Shown]:
    """Return what the checks of the gradient before and during training found."""
    told = []
    if (certificate := result.certificate) is not None:
        told.append(
            f"before training, {certificate.num_directions} directions over {certificate.horizon} "
            f"steps: {certificate.verdict}, median error "
            f"{number(certificate.median_relative_error)}, worst "
            f"{number(certificate.worst_relative_error)}"
        )
    if (worst := result.findings.get("worst_gradient_error")) is not None:
        told.append(f"worst spot check during training: {number(worst)}")
    return [Line(f"gradient against finite differences: {'; '.join(told)}")] if told else []
