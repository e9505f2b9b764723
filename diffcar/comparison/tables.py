"""The tables of a comparison: for the terminal, the page, JSON and CSV alike."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from diffcar.base.files import write_atomically
from diffcar.base.table import Column, Mark, Table, millimetres, number, times
from diffcar.comparison.findings import cost_ratio, ratios
from diffcar.comparison.results import Comparison, MethodSummary
from diffcar.comparison.style import engine_name
from diffcar.sim.config import ENGINES
from diffcar.training.methods import expert_of

__all__ = ["COLUMNS", "as_json", "tables", "write_csv"]


def _undisturbed(figures: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return a figure by engine, undisturbed, or under the condition that comes first instead."""
    return {engine: value for (engine, _), value in reversed(list(figures.items()))}


def _rmse(engine: str) -> Column[MethodSummary]:
    """Return the column of the undisturbed errors in an engine, with their spread."""
    return Column(
        f"{engine_name(engine)}\n",
        lambda summary: _undisturbed(summary.rmse_m).get(engine),
        "mm",
        words=lambda summary: millimetres(
            _undisturbed(summary.rmse_m)[engine], _undisturbed(summary.rmse_deviation_m)[engine]
        ),
    )


def _lost(summary: MethodSummary) -> float | None:
    """Return the share of the undisturbed drives that lost the path, in all engines."""
    lost = _undisturbed(summary.lost).values()
    return sum(lost) / len(lost) if lost else None


def _by_key(figures: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return figures under `genesis/nominal` instead of a pair, which JSON does not know."""
    return {"/".join(scenario): value for scenario, value in figures.items()}


def _costs(summary: MethodSummary) -> list[dict[str, float]]:
    """Return all costs as JSON holds them."""
    return [{"threshold_m": t, **cost._asdict()} for t, cost in summary.costs.items()]


COLUMNS: Sequence[Column[MethodSummary]] = (
    Column("method", lambda summary: summary.method, key="method"),
    Column("", lambda summary: summary.num_seeds, key="num_seeds"),
    Column("", lambda summary: _by_key(summary.rmse_m), key="rmse_m"),
    Column("", lambda summary: _by_key(summary.rmse_deviation_m), key="rmse_deviation_m"),
    *map(_rmse, ENGINES),
    Column("", lambda summary: _by_key(summary.lost), key="lost"),
    Column("", lambda summary: _by_key(summary.p95_m), key="cross_track_p95_m"),
    Column("", lambda summary: _by_key(summary.time_over_profile), key="time_over_profile"),
    Column("lost\n", _lost, "%", 100.0),
    Column("training\n", lambda summary: summary.train_seconds, "s", key="train_seconds"),
    Column("steps\n", lambda summary: summary.num_env_steps, "1000", 1e-3, key="num_env_steps"),
    Column("", lambda summary: summary.to_threshold.seconds, key="seconds_to_threshold"),
    Column("", lambda summary: summary.to_threshold.env_steps, key="env_steps_to_threshold"),
    Column("", _costs, key="costs"),
)
"""What is told of a method. Those without a heading are for files alone."""


def tables(comparison: Comparison) -> dict[str, list[Table[Any]]]:
    """Return all tables that are read, from top to bottom, by what they are about.

    Returns:
        Those of `methods`, `grips`, `costs`, `conditions` and `paths`; none where nothing is known.
    """
    goal = "until the RMSE on the suite is first below"
    if comparison.grip is not None:
        goal = f"until the RMSE at {100 * comparison.grip:g} % of the grip is first below"
    engines, where = comparison.engines, comparison.ranked_by
    measured = [m for m in comparison.methods if m in set(comparison.curves.method)]
    time = _cost_table(f"wall time of training [s] {goal}", comparison, measured, "seconds", 1.0)
    steps = _cost_table(f"control steps [1000] {goal}", comparison, measured, "env_steps", 1e-3)
    return {
        "methods": [_summary(comparison)] if where else [],
        "grips": [_by_grip(comparison, engine) for engine in engines if comparison.grips],
        "costs": [time, steps] if measured else [],
        "conditions": [
            _grid("condition", comparison.rmse("condition", engine=e), engine_name(e))
            for e in (engines if len(comparison.conditions) > 1 else ())
        ],
        "paths": [
            _grid(
                "path",
                comparison.rmse("path", engine=engine, condition=condition),
                f"{engine_name(engine)}, {condition}",
            )
            for engine, condition in ([where] if where else ())
        ],
    }


def _summary(comparison: Comparison) -> Table[MethodSummary]:
    """Return the table of the errors on the suite and of what training took."""
    rows = list(comparison.summaries.values())
    num_seeds = max((summary.num_seeds for summary in rows), default=0)
    shown = [c for c in COLUMNS if c.heading and any(c.of(row) is not None for row in rows)]
    return Table(
        f"{comparison.conditions[0]} drives over {comparison.ranked_paths}: "
        f"cross-track RMSE, mean ± deviation over {num_seeds} seed{'' if num_seeds == 1 else 's'}",
        shown,
        rows,
    )


_GRIP_COLUMNS: Sequence[Column[dict[str, Any]]] = (
    Column("method", lambda row: row["method"], key="method"),
    Column("", lambda row: row["engine"], key="engine"),
    Column("", lambda row: row["condition"], key="condition"),
    Column("grip\n", lambda row: row["grip"], "%", 100.0, key="grip"),
    Column("finished\n", lambda row: row["finished"], "%", 100.0, key="finished"),
    Column("RMSE\n", lambda row: row["cross_track_rmse_m"], "mm", 1e3, key="cross_track_rmse_m"),
    Column("p95\n", lambda row: row["cross_track_p95_m"], "mm", 1e3, key="cross_track_p95_m"),
    Column("max\n", lambda row: row["cross_track_max_m"], "mm", 1e3, key="cross_track_max_m"),
    Column(
        "time over the\nprofile's",
        lambda row: row["time_over_profile"],
        "%",
        100.0,
        key="time_over_profile",
    ),
)


def _by_grip(comparison: Comparison, engine: str) -> Table[dict[str, Any]]:
    """Return the table of what each method comes to with the grip, undisturbed in an engine."""
    own, condition = comparison.by_grip, comparison.conditions[0]
    own = own[(own.engine == engine) & (own.condition == condition)]
    best = own.groupby("grip").cross_track_rmse_m.min()

    def mark(row: dict[str, Any]) -> Mark | None:
        return Mark.BEST if row["cross_track_rmse_m"] == best[row["grip"]] else None

    columns = [column for column in _GRIP_COLUMNS if column.heading]
    return Table(
        f"{condition} drives in {engine_name(engine)}, by the share of the grip that the reference "
        "speed uses: cross-track errors",
        [replace(own, mark=mark) if own.key == "cross_track_rmse_m" else own for own in columns],
        own.to_dict("records"),
        f"a drive that fails counts as {comparison.lost_m:.3g} m off; times are of flying cars "
        "that arrive",
        section=lambda row: row["grip"],
    )


class _CostRow(NamedTuple):
    """A method's costs by threshold, or their ratios to e2e's."""

    name: str
    method: str
    costs: Sequence[float]
    is_ratio: bool = False


def _cost_table(
    title: str, comparison: Comparison, methods: Sequence[str], part: str, factor: float
) -> Table[_CostRow]:
    """Return what it costs to come below some errors, a part of it in its own unit."""
    thresholds, rows = comparison.thresholds_m, []
    for method in methods:
        costs = [getattr(cost, part) for cost in comparison.summaries[method].costs.values()]
        rows.append(_CostRow(f"{method} *" if expert_of(method) else method, method, costs))
        over = [getattr(cost_ratio(comparison, method, t), part) for t in thresholds]
        if method != "e2e" and any(0 < ratio < math.inf for ratio in over):
            rows.append(_CostRow("  over e2e", method, over, is_ratio=True))

    def column(index: int) -> Column[_CostRow]:
        def words(row: _CostRow) -> str:
            cost = row.costs[index]
            if row.is_ratio:
                return times(cost) if cost > 0 else "-"
            return "never" if math.isinf(cost) else number(factor * cost)

        heading = f"{millimetres(thresholds[index])} mm"
        return Column(heading, lambda row: row.costs[index], words=words)

    columns = [Column("method", lambda row: row.name), *map(column, range(len(thresholds)))]
    is_starred = part == "env_steps" and any(map(expert_of, methods))
    note = "* on top of the cost of the expert" if is_starred else ""
    return Table(title, columns, rows, note, section=lambda row: row.method)


def _grid(by: str, rmse: pd.DataFrame, where: str) -> Table[tuple[str, dict[str, float]]]:
    """Return errors, a column for each method, the best of a row marked."""

    def column(method: str) -> Column[tuple[str, dict[str, float]]]:
        def mark(row: tuple[str, dict[str, float]]) -> Mark | None:
            finite = filter(math.isfinite, row[1].values())
            return Mark.BEST if row[1][method] == min(finite, default=math.nan) else None

        return Column(method, lambda row: row[1][method], factor=1e3, mark=mark)

    names: Column[tuple[str, dict[str, float]]] = Column(by, lambda row: row[0])
    title = f"cross-track RMSE [mm] in {where}, by {by}"
    return Table(title, [names, *map(column, rmse.columns)], list(rmse.to_dict("index").items()))


def as_json(comparison: Comparison) -> dict[str, object]:
    """Return everything but the driven lines as values that JSON knows.

    Returns:
        Dictionaries, lists, texts and numbers, some of which may not be finite. Engine and
        condition are one key: `genesis/nominal`.
    """
    found = ratios(comparison)
    over_e2e = {method: ratio._asdict() for method, ratio in found.cost_over_e2e.items()}
    return {
        "threshold_m": comparison.threshold_m,
        "methods": comparison.methods,
        "engines": comparison.engines,
        "conditions": comparison.conditions,
        "paths": comparison.paths,
        "ranked_grip": comparison.grip,
        "summaries": Table("", COLUMNS, list(comparison.summaries.values())).records(),
        "verdicts": {**found._asdict(), "cost_over_e2e": over_e2e},
        "contestants": [asdict(run) for run in comparison.runs],
        "scores": comparison.scores.to_dict("records"),
        "curves": comparison.curves.to_dict("records"),
        "grips": Table("", _GRIP_COLUMNS, comparison.by_grip.to_dict("records")).records(),
    }


def write_csv(frame: pd.DataFrame, file: Path) -> None:
    """Write scores or curves; columns have their unit in the name, shares are from 0 to 1.

    Raises:
        OutputError: If the file system refuses.
    """
    how = {"index": False, "na_rep": "nan", "lineterminator": "\r\n", "errors": "backslashreplace"}
    shown = frame.rename(columns={"lost": "lost_share"})
    write_atomically(file, lambda target: shown.to_csv(target, **how))
