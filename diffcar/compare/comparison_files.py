"""A comparison as CSV files and as plain values."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from diffcar.base.files import write_atomically
from diffcar.compare.results import Comparison, MethodSummary
from diffcar.compare.verdicts import judge, thresholds_of

__all__ = ["comparison_as_json", "write_csv", "write_curves_csv"]

_SCORE_COLUMNS = (
    "method",
    "seed",
    "engine",
    "condition",
    "path",
    "cross_track_rmse_m",
    "cross_track_max_m",
    "speed_rmse_mps",
    "lost_share",
)
_CURVE_COLUMNS = (
    "method",
    "seed",
    "iteration",
    "train_seconds",
    "num_env_steps",
    "cross_track_rmse_m",
    "lost_share",
)


def write_csv(comparison: Comparison, file: Path) -> None:
    """Write the scores, a row for each controller, engine, condition and path.

    Args:
        comparison: Whose scores.
        file: CSV file to write; columns have their unit in the name, shares are from 0 to 1.

    Raises:
        OutputError: If the file system refuses.
    """
    rows = (
        (
            score.method,
            score.seed,
            score.engine,
            score.condition,
            score.path,
            score.figures.cross_track_rmse_m,
            score.figures.cross_track_max_m,
            score.figures.speed_rmse_mps,
            score.figures.lost,
        )
        for score in comparison.scores
    )
    _write(file, _SCORE_COLUMNS, rows)


def write_curves_csv(comparison: Comparison, file: Path) -> None:
    """Write the learning curves, a row for each point.

    Args:
        comparison: Whose curves.
        file: CSV file to write.

    Raises:
        OutputError: If the file system refuses.
    """
    _write(file, _CURVE_COLUMNS, (tuple(asdict(point).values()) for point in comparison.curves))


def comparison_as_json(comparison: Comparison) -> dict[str, object]:
    """Return everything but the driven lines as values that JSON knows.

    Args:
        comparison: What to tell.

    Returns:
        Dictionaries, lists, texts and numbers, some of which may not be finite. Engine and
        condition are one key: `genesis/nominal`.
    """
    verdicts = judge(comparison)
    return {
        "threshold_m": comparison.threshold_m,
        "methods": comparison.methods,
        "engines": comparison.engines,
        "conditions": comparison.conditions,
        "paths": comparison.paths,
        "summaries": [_summary(comparison, summary) for summary in comparison.summaries()],
        "verdicts": {
            **verdicts._asdict(),
            "cost_over_e2e": {m: ratio._asdict() for m, ratio in verdicts.cost_over_e2e.items()},
        },
        "contestants": [asdict(contestant) for contestant in comparison.contestants],
        "scores": [
            {
                "method": score.method,
                "seed": score.seed,
                "engine": score.engine,
                "condition": score.condition,
                "path": score.path,
                **asdict(score.figures),
            }
            for score in comparison.scores
        ],
        "curves": [asdict(point) for point in comparison.curves],
    }


def _summary(comparison: Comparison, summary: MethodSummary) -> dict[str, object]:
    """Return a summary whose keys are texts."""
    thresholds = thresholds_of(comparison)
    costs = comparison.costs_to(summary.method, thresholds)
    plain: dict[str, object] = {}
    for field in fields(summary):
        value = getattr(summary, field.name)
        if isinstance(value, dict):
            value = {f"{engine}/{condition}": v for (engine, condition), v in value.items()}
        plain[field.name] = value
    plain["costs"] = [
        {"threshold_m": threshold, "seconds": seconds, "env_steps": steps}
        for threshold, (seconds, steps) in zip(thresholds, costs, strict=True)
    ]
    return plain


def _write(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file."""

    def write(target: Path) -> None:
        with target.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(rows)

    write_atomically(file, write)
