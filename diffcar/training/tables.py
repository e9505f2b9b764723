"""What trainings came to, as tables, curves and sentences."""

from typing import TYPE_CHECKING

from diffcar.base.table import Curve, Line, Shown, number
from diffcar.gradients.hops import hops_table

if TYPE_CHECKING:
    from diffcar.training.run import TrainingResult

__all__ = ["training_report"]


def training_report(result: "TrainingResult") -> list[Shown]:
    """Return where the gradient went, if it did, loss curve, metrics and where the run lies."""
    return [
        *([hops_table(result.hops)] if result.hops else []),
        *_gradient_checks(result),
        Curve("loss", result.losses),
        *result.task.report(result.before, result.after, result.findings),
        f"{result.num_updates} updates, {result.num_skipped} skipped, "
        f"{result.num_env_steps} environment steps, {result.train_seconds:.0f} s of training, "
        f"{result.wall_seconds:.0f} s in all",
        Line(f"run folder: {result.run_folder}"),
    ]


def _gradient_checks(result: "TrainingResult") -> list[Shown]:
    """Return what the checks of the gradient before and during training found."""
    found = []
    if (certificate := result.certificate) is not None:
        done = certificate.num_updates
        when = f"before update {done + 1}" if done else "before training"
        verdict = certificate.verdict
        why = "" if verdict.is_good else f" ({verdict.explanation})"
        found.append(
            f"{when}, {certificate.num_directions} directions over {certificate.horizon} "
            f"steps: {verdict}{why}, median error "
            f"{number(certificate.median_relative_error)}, worst "
            f"{number(certificate.worst_relative_error)} (tolerance "
            f"{number(certificate.tolerance)})"
        )
    if (worst := result.findings.get("worst_gradient_error")) is not None:
        found.append(f"worst spot check during training: {number(worst)}")
    if mute := result.findings.get("num_checks_without_verdict"):
        found.append(f"{mute} spot check{'s' if mute > 1 else ''} came to no verdict")
    return [Line(f"gradient against finite differences: {'; '.join(found)}")] if found else []
