"""The tables of a comparison: for the terminal, the page, JSON and CSV alike."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from diffcar.base.files import write_atomically
from diffcar.base.table import Column, Mark, Table, millimetres, number, times
from diffcar.compare.findings import cost_ratio, ratios
from diffcar.compare.results import Comparison, MethodSummary
from diffcar.compare.style import engine_name
from diffcar.training.methods import expert_of

__all__ = [
    "COLUMNS",
    "as_json",
    "condition_tables",
    "cost_tables",
    "path_tables",
    "summary_tables",
    "tables",
    "write_csv",
]


def _undisturbed(engine: str) -> Column[MethodSummary]:
    """Return the column of the errors in an engine, undisturbed, with their spread."""

    def first(figures: Mapping[str, Mapping[tuple[str, str], float]]) -> Any:
        # The first condition is `nominal`, or takes its place.
        rmse = figures["cross_track_rmse_m"]
        return next((value for (where, _), value in rmse.items() if where == engine), None)

    return Column(
        f"{engine_name(engine)}\n",
        lambda summary: first(summary.mean),
        "mm",
        words=lambda summary: millimetres(first(summary.mean), first(summary.deviation)),
    )


def _lost(summary: MethodSummary) -> float | None:
    """Return the share of the undisturbed drives that lost the path, in all engines."""
    # Backwards, so that the first condition of each engine is the one that stays.
    first = {engine: share for (engine, _), share in reversed(summary.lost.items())}
    return sum(first.values()) / len(first) if first else None


def _by_key(figures: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return figures under `genesis/nominal` instead of a pair, which JSON does not know."""
    return {"/".join(key): value for key, value in figures.items()}


COLUMNS: Sequence[Column[MethodSummary]] = (
    Column("method", lambda summary: summary.method, key="method"),
    Column("", lambda summary: summary.num_seeds, key="num_seeds"),
    Column("", lambda summary: _by_key(summary.rmse_m), key="rmse_m"),
    Column(
        "",
        lambda summary: _by_key(summary.deviation["cross_track_rmse_m"]),
        key="rmse_deviation_m",
    ),
    _undisturbed("genesis"),
    _undisturbed("mujoco"),
    Column("", lambda summary: _by_key(summary.lost), key="lost"),
    Column("lost\n", _lost, "%", 100.0),
    Column("training\n", lambda summary: summary.train_seconds, "s", key="train_seconds"),
    Column("steps\n", lambda summary: summary.num_env_steps, "1000", 1e-3, key="num_env_steps"),
    Column("", lambda summary: summary.to_threshold.seconds, key="seconds_to_threshold"),
    Column("", lambda summary: summary.to_threshold.env_steps, key="env_steps_to_threshold"),
    Column(
        "",
        lambda summary: [
            {"threshold_m": threshold, **cost._asdict()}
            for threshold, cost in summary.costs.items()
        ],
        key="costs",
    ),
)
"""What is told of a method. Those without a heading are for files alone."""


def tables(comparison: Comparison) -> list[Table[Any]]:
    """Return all tables that are read, from top to bottom."""
    return [
        *summary_tables(comparison),
        *cost_tables(comparison),
        *condition_tables(comparison),
        *path_tables(comparison),
    ]


def summary_tables(comparison: Comparison) -> list[Table[MethodSummary]]:
    """Return the table of the errors on the suite and of what training took, if anything was."""
    rows = list(comparison.summaries.values())
    if comparison.ranked_by is None:
        return []
    num_seeds = max((summary.num_seeds for summary in rows), default=0)
    title = (
        f"{comparison.conditions[0]} drives over the {len(comparison.paths)} paths of the suite: "
        f"cross-track RMSE, mean ± deviation over {num_seeds} seed{'' if num_seeds == 1 else 's'}"
    )
    shown = [c for c in COLUMNS if c.heading and any(c.of(row) is not None for row in rows)]
    return [Table(title, shown, rows)]


class _CostRow(NamedTuple):
    """A method's costs by threshold, or their ratios to e2e's."""

    name: str
    method: str
    costs: Sequence[float]
    is_ratio: bool


def cost_tables(comparison: Comparison) -> list[Table[_CostRow]]:
    """Return what it costs to come below some errors, in wall time and in control steps."""
    methods = [m for m in comparison.methods if m in set(comparison.curves.method)]
    if not methods:
        return []
    is_cloned = any(expert_of(method) for method in methods)
    goal = "until the RMSE on the suite is first below"
    return [
        Table(f"{what} {goal}", columns, rows, note, lambda row: row.method)
        for what, part, factor, note in (
            ("wall time of training [s]", "seconds", 1.0, ""),
            (
                "control steps [1000]",
                "env_steps",
                1e-3,
                "* on top of the cost of the expert" if is_cloned else "",
            ),
        )
        for columns, rows in [_costs(comparison, methods, part, factor)]
    ]


def _costs(
    comparison: Comparison, methods: Sequence[str], part: str, factor: float
) -> tuple[list[Column[_CostRow]], list[_CostRow]]:
    """Return columns and rows of one part of the costs."""
    rows = []
    for method in methods:
        costs = comparison.summaries[method].costs
        name = f"{method} *" if expert_of(method) else method
        rows.append(_CostRow(name, method, [getattr(c, part) for c in costs.values()], False))
        over = [getattr(cost_ratio(comparison, method, t), part) for t in costs]
        if method != "e2e" and any(0 < ratio < math.inf for ratio in over):
            rows.append(_CostRow("  over e2e", method, over, True))

    def words(cost: float, is_ratio: bool) -> str:
        if is_ratio:
            return times(cost) if cost > 0 else "-"
        return "never" if math.isinf(cost) else number(factor * cost)

    def column(index: int, threshold_m: float) -> Column[_CostRow]:
        return Column(
            f"{millimetres(threshold_m)} mm",
            lambda row: row.costs[index],
            words=lambda row: words(row.costs[index], row.is_ratio),
        )

    columns = [column(index, t) for index, t in enumerate(comparison.thresholds_m)]
    return [Column("method", lambda row: row.name), *columns], rows


def condition_tables(comparison: Comparison) -> list[Table[Any]]:
    """Return the errors under each condition, a table for each engine, if there are conditions."""
    return [
        _grid(
            f"cross-track RMSE [mm] in {engine_name(engine)}, by condition",
            "condition",
            comparison.rmse("condition", engine=engine),
        )
        for engine in comparison.engines
        if len(comparison.conditions) > 1
    ]


def path_tables(comparison: Comparison) -> list[Table[Any]]:
    """Return the errors on each path, undisturbed, if anything was scored."""
    if comparison.ranked_by is None:
        return []
    engine, condition = comparison.ranked_by
    title = f"cross-track RMSE [mm] in {engine_name(engine)}, {condition}, by path"
    return [_grid(title, "path", comparison.rmse("path", engine=engine, condition=condition))]


def _grid(title: str, heading: str, rmse: pd.DataFrame) -> Table[tuple[str, dict[str, float]]]:
    """Return errors, a column for each method, the best of a row marked."""

    def column(method: str) -> Column[tuple[str, dict[str, float]]]:
        def mark(row: tuple[str, dict[str, float]]) -> Mark | None:
            finite = filter(math.isfinite, row[1].values())
            return Mark.BEST if row[1][method] == min(finite, default=math.nan) else None

        return Column(method, lambda row: row[1][method], factor=1e3, mark=mark)

    names: Column[tuple[str, dict[str, float]]] = Column(heading, lambda row: row[0])
    rows = list(rmse.to_dict("index").items())
    return Table(title, [names, *map(column, rmse.columns)], rows)


def as_json(comparison: Comparison) -> dict[str, object]:
    """Return everything but the driven lines as values that JSON knows.

    Returns:
        Dictionaries, lists, texts and numbers, some of which may not be finite. Engine and
        condition are one key: `genesis/nominal`.
    """
    found = ratios(comparison)
    cost_over_e2e = {method: ratio._asdict() for method, ratio in found.cost_over_e2e.items()}
    return {
        "threshold_m": comparison.threshold_m,
        "methods": comparison.methods,
        "engines": comparison.engines,
        "conditions": comparison.conditions,
        "paths": comparison.paths,
        "summaries": Table("", COLUMNS, list(comparison.summaries.values())).records(),
        "verdicts": {**found._asdict(), "cost_over_e2e": cost_over_e2e},
        "contestants": [asdict(run) for run in comparison.runs],
        "scores": comparison.scores.to_dict("records"),
        "curves": comparison.curves.to_dict("records"),
    }


def write_csv(frame: pd.DataFrame, file: Path) -> None:
    """Write scores or curves; columns have their unit in the name, shares are from 0 to 1.

    Raises:
        OutputError: If the file system refuses.
    """
    frame = frame.rename(columns={"lost": "lost_share"})
    write_atomically(
        file,
        lambda target: frame.to_csv(target, index=False, na_rep="nan", lineterminator="\r\n"),
    )
