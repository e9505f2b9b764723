"""A comparison of controllers as tables and sentences."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffcar.base.table import number
from diffcar.cli.render import titled

if TYPE_CHECKING:
    from diffcar.compare.results import Comparison, MethodSummary

__all__ = ["show_comparison"]

_WIDE = 100


def show_comparison(comparison: "Comparison", console: Console) -> None:
    """Print errors, costs, robustness and what follows from them.

    Args:
        comparison: What was found.
        console: Where to; the tables fit into 80 columns.
    """
    from diffcar.compare.findings import ENGINE_NAMES, tell

    summaries = comparison.summaries()
    if comparison.scores:
        _show_summary(comparison, summaries, console)
    if comparison.curves:
        _show_costs(comparison, console)
    rmse = {summary.method: summary.rmse_m for summary in summaries}
    for engine in comparison.engines if len(comparison.conditions) > 1 else ():
        _show_grid(
            f"cross-track RMSE [mm] in {ENGINE_NAMES.get(engine, engine)}, by condition",
            "condition",
            {
                name: [rmse[m].get((engine, name), math.nan) for m in comparison.methods]
                for name in comparison.conditions
            },
            comparison.methods,
            console,
        )
    if comparison.engines:
        engine, condition = comparison.engines[0], comparison.conditions[0]
        _show_grid(
            f"cross-track RMSE [mm] in {ENGINE_NAMES.get(engine, engine)}, {condition}, by path",
            "path",
            {
                name: [
                    comparison.path_rmse_m(m, engine, name, condition) for m in comparison.methods
                ]
                for name in comparison.paths
            },
            comparison.methods,
            console,
        )
    console.print()
    for sentence in tell(comparison):
        line = Table.grid(padding=(0, 1))
        line.add_row("-", Text(sentence))
        console.print(line)


def _show_summary(
    comparison: "Comparison", summaries: "Sequence[MethodSummary]", console: Console
) -> None:
    """Print each method's error on the suite and what its training took."""
    from diffcar.compare.findings import ENGINE_NAMES

    condition = comparison.conditions[0]
    num_seeds = max((summary.num_seeds for summary in summaries), default=0)
    table = titled(
        f"{condition} drives over the {len(comparison.paths)} paths of the suite: cross-track "
        f"RMSE, mean ± deviation over {num_seeds} seed{'' if num_seeds == 1 else 's'}",
        console,
    )
    table.add_column("method", overflow="fold")
    for engine in comparison.engines:
        table.add_column(Text(f"{ENGINE_NAMES.get(engine, engine)}\n[mm]"), justify="right")
    for heading in ("lost\n[%]", "training\n[s]", "steps\n[1000]"):
        table.add_column(Text(heading), justify="right")
    for summary in summaries:
        keys = [(engine, condition) for engine in comparison.engines]
        lost = [summary.lost.get(key, math.nan) for key in keys]
        table.add_row(
            Text(summary.method),
            *(_with_spread(summary, key) for key in keys),
            number(100 * sum(lost) / len(lost)),
            number(summary.train_seconds),
            number(summary.num_env_steps / 1e3),
        )
    console.print(table)


def _show_costs(comparison: "Comparison", console: Console) -> None:
    """Print what it costs each method to come below some errors."""
    from diffcar.compare.verdicts import expert_of, thresholds_of

    thresholds = thresholds_of(comparison)
    methods = [m for m in comparison.methods if any(p.method == m for p in comparison.curves)]
    for title, part, unit in (
        ("wall time of training [s] until the RMSE on the suite is first below", 0, 1.0),
        ("control steps [1000] until the RMSE on the suite is first below", 1, 1e3),
    ):
        table = titled(title, console)
        table.add_column("method", overflow="fold")
        for threshold in thresholds:
            table.add_column(f"{number(1e3 * threshold)} mm", justify="right")
        for method in methods:
            costs = [cost[part] for cost in comparison.costs_to(method, thresholds)]
            ratios = _ratios(comparison, method, thresholds, part)
            has_ratio = method != "e2e" and any(ratio != "-" for ratio in ratios)
            table.add_row(
                Text(f"{method} *" if expert_of(method) else method),
                *(number(cost / unit) for cost in costs),
                end_section=not has_ratio,
            )
            if has_ratio:
                table.add_row("  over e2e", *ratios, style="dim", end_section=True)
        console.print(table)
    if any(expert_of(method) for method in methods):
        console.print("* on top of the cost of the expert", highlight=False)


def _ratios(
    comparison: "Comparison", method: str, thresholds: Sequence[float], part: int
) -> list[str]:
    """Return the costs of a method in units of e2e's."""
    from diffcar.compare.verdicts import cost_ratio

    ratios = [cost_ratio(comparison, method, threshold)[part] for threshold in thresholds]
    return [f"{number(ratio)}x" if 0 < ratio < math.inf else "-" for ratio in ratios]


def _show_grid(
    title: str,
    row_heading: str,
    rows: Mapping[str, Sequence[float]],
    methods: Sequence[str],
    console: Console,
) -> None:
    """Print an error for each method, a column each, the smallest of a row in bold."""
    table = titled(title, console)
    # Without the outer frame, seven methods fit into 80 columns.
    table.show_edge = False
    table.pad_edge = False
    table.add_column(row_heading, overflow="fold")
    for method in methods:
        heading = method if console.width >= _WIDE else method.replace("-", "-\n")
        table.add_column(Text(heading), justify="right", overflow="fold")
    for row, values in rows.items():
        best = min((value for value in values if math.isfinite(value)), default=math.nan)
        table.add_row(
            Text(row),
            *(Text(number(1e3 * v), style="bold" if v == best else "") for v in values),
        )
    console.print(table)


def _with_spread(summary: "MethodSummary", key: tuple[str, str]) -> str:
    """Return mean and standard deviation over the seeds, in mm."""
    mean = summary.rmse_m.get(key, math.nan)
    deviation = summary.rmse_deviation_m.get(key, math.nan)
    spread = "" if math.isnan(deviation) else f" ± {1e3 * deviation:.2g}"
    return f"{number(1e3 * mean)}{spread}"
