"""The result of `diffcar train-e2e --entity mpm` as tables and curves."""

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from diffcar.base.table import number
from diffcar.cli.render import loss_curve, titled

if TYPE_CHECKING:
    from diffcar.training.run import TrainingResult

__all__ = ["show_push_training"]


def show_push_training(result: "TrainingResult", console: Console) -> None:
    """Print the loss curve, the figures before and after, and what the gradient checks found."""
    if sum(math.isfinite(loss) and loss > 0 for loss in result.losses) > 1:
        console.print(Text.from_ansi(loss_curve(result.losses, min(console.width, 100))))
    _show_scores(result, console)
    console.print(
        f"{result.num_updates} updates, {result.num_skipped} skipped, "
        f"{result.train_seconds:.0f} s of training, {result.wall_seconds:.0f} s in all",
        highlight=False,
    )
    _show_gradient_checks(result, console)
    console.print(f"run folder: {result.run_folder}", highlight=False, soft_wrap=True)


def _show_scores(result: "TrainingResult", console: Console) -> None:
    """Print how well each path is followed, before and after."""
    table = titled(
        "tracking of the body's centroid in plain physics: across the path, along it against the "
        f"running\ntarget, from where the target has come {result.findings['skip_distance_m']:g} m; loss over "
        "the whole push",
        console,
    )
    table.add_column("path")
    table.add_column("weights")
    for heading in ("RMSE", "p95", "max", "RMSE along", "came", "target"):
        table.add_column(Text(f"{heading}\n[mm]"), justify="right")
    table.add_column("loss", justify="right")
    for score in result.findings["scores"]:
        name = f"{score.path}, {'unseen' if score.is_unseen else 'training'}"
        for weights, metrics, loss in (
            ("before", score.before, score.loss_before),
            ("after", score.after, score.loss_after),
        ):
            figures = (
                metrics.cross_track_rmse_m,
                metrics.cross_track_p95_m,
                metrics.cross_track_max_m,
                metrics.progress_rmse_m,
                metrics.distance_m,
                metrics.target_distance_m,
            )
            table.add_row(
                name if weights == "before" else "",
                weights,
                *(number(1e3 * figure) for figure in figures),
                number(loss),
                end_section=weights == "after",
            )
    console.print(table)


def _show_gradient_checks(result: "TrainingResult", console: Console) -> None:
    """Print how far the gradient by the weights was from finite differences."""
    told = [
        f"{name} {', '.join(map(number, errors))}"
        for name, errors in (
            ("before training", []),
            ("during it", result.findings["errors_in_training"]),
        )
        if errors
    ]
    if told:
        console.print(
            "relative error of the gradient by the weights against finite differences, "
            f"a direction each: {'; '.join(told)}",
            highlight=False,
            soft_wrap=True,
        )
