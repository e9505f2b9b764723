"""The tables of a report."""

import html
import math
from collections.abc import Mapping, Sequence

from diffcar.base.table import count, millimetres, number, times
from diffcar.compare.findings import ENGINE_NAMES
from diffcar.compare.report.style import colour
from diffcar.compare.results import Comparison, MethodSummary
from diffcar.compare.style import styles_of
from diffcar.compare.verdicts import cost_ratio, expert_of, thresholds_of

__all__ = ["cost_table", "error_table", "method_table", "swatch", "table"]

_DESCRIPTIONS = {
    "e2e": "gradients through the physics",
    "ppo": "reinforcement learning",
    "bc-pure-pursuit": "imitates pure pursuit",
    "bc-e2e": "imitates e2e",
    "dagger-e2e": "imitates e2e, which corrects it",
    "stanley": "steering law, tuned",
    "pure-pursuit": "steering law, tuned",
}


def method_table(comparison: Comparison) -> str:
    """Return the errors on the suite and the cost of training, a row for each method."""
    engines, conditions = comparison.engines, comparison.conditions
    if not engines:
        return ""
    headers = [
        "method",
        *(f"RMSE in {ENGINE_NAMES.get(engine, engine)} [mm]" for engine in engines),
        "lost [%]",
        "training [s]",
        "control steps",
    ]
    rows = []
    for summary in comparison.summaries():
        keys = [(engine, conditions[0]) for engine in engines]
        lost = [summary.lost.get(key, math.nan) for key in keys]
        cells = [
            *(_spread(summary, key) for key in keys),
            number(100 * sum(lost) / len(lost)),
            number(summary.train_seconds),
            count(summary.num_env_steps),
        ]
        description = _DESCRIPTIONS.get(summary.method, "")
        name = swatch(comparison, summary.method) + (
            f"<small>{html.escape(description)}</small>" if description else ""
        )
        rows.append((name, [f"<td>{cell}</td>" for cell in cells]))
    caption = (
        f"Mean ± standard deviation over the seeds of the cross-track RMSE on the "
        f"{len(comparison.paths)} paths, {conditions[0]}; drives that lost the path; training "
        "without evaluations, and for clones without their expert."
    )
    return table(caption, headers, rows)


def cost_table(comparison: Comparison) -> str:
    """Return what it costs each method to come below some errors."""
    methods = [m for m in comparison.methods if any(p.method == m for p in comparison.curves)]
    if not methods:
        return ""
    thresholds = thresholds_of(comparison)
    rows = []
    for method in methods:
        cells = []
        for threshold, (seconds, steps) in zip(
            thresholds, comparison.costs_to(method, thresholds), strict=True
        ):
            ratio = cost_ratio(comparison, method, threshold)
            cells.append(
                f"<td>{_cost(f'{number(seconds)} s', ratio.seconds)}"
                f"{_cost(count(steps), ratio.env_steps)}</td>"
                if math.isfinite(seconds)
                else "<td>never</td>"
            )
        star = " *" if expert_of(method) else ""
        rows.append((swatch(comparison, method) + star, cells))
    caption = (
        "Wall time of training, and control steps of all cars below it, until the RMSE on the "
        "suite first comes below each value: median over the seeds, in brackets over e2e's."
    )
    if any(expert_of(method) for method in methods):
        caption += " * On top of the cost of the expert."
    headers = ["method", *(f"{millimetres(threshold)} mm" for threshold in thresholds)]
    return table(caption, headers, rows)


def error_table(
    comparison: Comparison,
    caption: str,
    heading: str,
    rows: Mapping[str, Sequence[float]],
) -> str:
    """Return errors, a column for each method; the larger, the darker.

    Args:
        comparison: Whose methods.
        caption: What the errors are.
        heading: Of the first column.
        rows: Errors of all methods, by the name of the row [m].
    """
    known = [v for values in rows.values() for v in values if math.isfinite(v) and v > 0]
    if not known:
        return ""
    low, high = min(known), max(known)
    body = []
    for name, values in rows.items():
        best = min((v for v in values if math.isfinite(v)), default=math.nan)
        cells = []
        for value in values:
            shade = ""
            if math.isfinite(value) and value > 0 and high > low:
                share = 55 * math.log(value / low) / math.log(high / low)
                shade = f' style="--share: {share:.0f}%"'
            mark = ' class="best"' if value == best else ""
            cells.append(f"<td{mark}{shade}>{millimetres(value)}</td>")
        body.append((html.escape(name), cells))
    return table(caption, [heading, *comparison.methods], body)


def table(caption: str, headers: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return a table whose first column names its rows.

    Args:
        caption: Escaped here, like the headers.
        headers: Of all columns.
        rows: Name and `td` elements, both as HTML.
    """
    head = "".join(f'<th scope="col">{html.escape(header)}</th>' for header in headers)
    body = "\n".join(
        f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>' for name, cells in rows
    )
    return (
        f'<div class="wide"><table><caption>{html.escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def swatch(comparison: Comparison, method: str) -> str:
    """Return a method's name beside its colour, as HTML."""
    style = styles_of(comparison.methods)[method]
    dot = f'<span class="swatch" style="background: {colour(style.colour)}"></span>'
    return dot + html.escape(method)


def _spread(summary: MethodSummary, key: tuple[str, str]) -> str:
    """Return mean and standard deviation over the seeds, in mm."""
    deviation = summary.rmse_deviation_m.get(key, math.nan)
    text = millimetres(summary.rmse_m.get(key, math.nan))
    return text if math.isnan(deviation) else f"{text} ± {1e3 * deviation:.2g}"


def _cost(text: str, ratio: float) -> str:
    """Return a cost and its ratio, a line of a cell."""
    is_told = math.isfinite(ratio) and ratio not in (0.0, 1.0)
    return f"<div>{text}{f' ({times(ratio)})' if is_told else ''}</div>"
