"""The page of a report."""

import html
import math
from pathlib import Path

from diffcar.base.files import write_atomically
from diffcar.base.table import count, millimetres, number, times
from diffcar.compare.findings import ENGINE_NAMES, tell
from diffcar.compare.pictures.conditions import draw_conditions
from diffcar.compare.pictures.learning_curves import draw_learning_curves
from diffcar.compare.pictures.tracks import draw_track_errors
from diffcar.compare.report.drawings import draw_plans
from diffcar.compare.report.style import style_sheet
from diffcar.compare.report.tables import cost_table, error_table, method_table, swatch
from diffcar.compare.results import Comparison
from diffcar.compare.style import inline_svg
from diffcar.compare.verdicts import judge, judged_key, ranking

__all__ = ["write_report"]

_DEFINITIONS = {
    "cross-track RMSE": "Root mean square of the distance to the left or right of the path, from "
    "past the first metres to the goal, over two cars: one starts at rest, one at speed. A car "
    "that is ever more than a metre off, or does not arrive in time, counts as one metre off.",
    "training": "Wall time and control steps of the training itself. Evaluations do not count, nor "
    "does the training of an expert that a clone learns from.",
    "conditions": "Disturbances that no controller was trained or tuned with, each alone; all "
    "controllers meet the same.",
    "engines": "Training and tuning happen in Genesis. MuJoCo drives the same car by its own "
    "physics, which shows whether a controller fits the car or the engine.",
}


def write_report(
    comparison: Comparison, file: Path, *, title: str, configuration: str, command: str
) -> None:
    """Write a comparison as one HTML file that loads nothing.

    Args:
        comparison: What was found; what is missing is left out.
        file: HTML file to write.
        title: Heading.
        configuration: The settings as YAML.
        command: What to type for the same comparison.

    Raises:
        OutputError: If the file system refuses.
    """
    sections = [
        _head(comparison, title),
        _findings(comparison),
        _methods(comparison),
        _costs(comparison),
        _robustness(comparison),
        _paths(comparison),
        _reproduction(configuration, command),
    ]
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n"
        f"<style>{style_sheet(len(comparison.methods))}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )
    write_atomically(file, lambda target: target.write_text(page, encoding="utf-8"))


def _head(comparison: Comparison, title: str) -> str:
    """Return the heading, what was compared, and the main figures."""
    num_seeds = len({contestant.seed for contestant in comparison.contestants})
    engines = " and ".join(ENGINE_NAMES.get(engine, engine) for engine in comparison.engines)
    scope = [
        _plural(len(comparison.methods), "method"),
        _plural(num_seeds, "seed"),
        _plural(len(comparison.paths), "unseen path"),
        _plural(len(comparison.conditions), "condition"),
        engines,
    ]
    tiles = "".join(
        f"<li><b>{html.escape(value)}</b>{html.escape(text)}</li>"
        for value, text in _tiles(comparison)
    )
    return (
        f"<h1>{html.escape(title)}</h1>\n"
        f'<p class="faint">{html.escape(" · ".join(part for part in scope if part))}</p>\n'
        + (f'<ul class="tiles">{tiles}</ul>' if tiles else "")
    )


def _tiles(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the main figures, each with what it is."""
    tiles = []
    verdicts, key, ranked = judge(comparison), judged_key(comparison), ranking(comparison)
    goal = f"{millimetres(comparison.threshold_m)} mm"
    if key is not None and ranked:
        rmse = f"{millimetres(ranked[0].rmse_m[key])} mm"
        tiles.append((rmse, f"cross-track RMSE of the best, {ranked[0].method}, on unseen paths"))
    e2e = next((s for s in comparison.summaries() if s.method == "e2e"), None)
    if e2e is not None and math.isfinite(e2e.seconds_to_threshold):
        text = f"training of e2e to {goal}: {count(e2e.env_steps_to_threshold)} control steps"
        tiles.append((f"{number(e2e.seconds_to_threshold)} s", text))
    ratio = verdicts.cost_over_e2e.get("ppo")
    if ratio is not None and math.isinf(ratio.seconds):
        tiles.append(("never", f"ppo does not reach {goal}, e2e does"))
    elif ratio is not None and ratio.seconds > 0:
        text = f"wall time of ppo to {goal} over e2e's; {times(ratio.env_steps)} the steps"
        tiles.append((times(ratio.seconds), text))
    if math.isfinite(verdicts.mujoco_over_genesis):
        difference = 100 * (verdicts.mujoco_over_genesis - 1)
        text = "RMSE of e2e in MuJoCo against Genesis, which it was trained in"
        tiles.append((f"{'+' if difference >= 0 else ''}{number(difference)} %", text))
    return tiles


def _findings(comparison: Comparison) -> str:
    """Return what follows from the figures."""
    told = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in tell(comparison))
    return f"<h2>Findings</h2>\n<ul>{told}</ul>"


def _methods(comparison: Comparison) -> str:
    """Return the table of the methods."""
    content = method_table(comparison)
    return f"<h2>Methods</h2>\n{content}" if content else ""


def _costs(comparison: Comparison) -> str:
    """Return learning curves and what errors cost."""
    if not comparison.curves:
        return ""
    svg = inline_svg(
        draw_learning_curves(comparison),
        "curves",
        "Cross-track RMSE on the unseen suite over wall time and over control steps of training, "
        "for each method; the table below has the same figures.",
    )
    return (
        f'<h2>What training costs</h2>\n<figure><div class="wide">{svg}</div></figure>\n'
        f"{cost_table(comparison)}"
    )


def _robustness(comparison: Comparison) -> str:
    """Return errors under disturbances, in all engines."""
    if len(comparison.conditions) < 2:
        return ""
    rmse = {summary.method: summary.rmse_m for summary in comparison.summaries()}
    svg = inline_svg(
        draw_conditions(comparison),
        "conditions",
        "Cross-track RMSE of each method under each condition; the tables below have the same "
        "figures.",
    )
    tables = [
        error_table(
            comparison,
            f"Cross-track RMSE [mm] in {ENGINE_NAMES.get(engine, engine)}, mean over paths and "
            "seeds; the best of a row in bold",
            "condition",
            {
                name: [rmse[m].get((engine, name), math.nan) for m in comparison.methods]
                for name in comparison.conditions
            },
        )
        for engine in comparison.engines
    ]
    return f'<h2>Disturbances</h2>\n<figure><div class="wide">{svg}</div></figure>\n' + "\n".join(
        tables
    )


def _paths(comparison: Comparison) -> str:
    """Return errors by path, and how each was driven."""
    key = judged_key(comparison)
    parts = ["<h2>Paths</h2>"]
    if key is not None:
        engine, condition = key
        caption = (
            f"Cross-track RMSE [mm] in {ENGINE_NAMES.get(engine, engine)}, {condition}, mean over "
            "seeds; the best of a row in bold"
        )
        parts.append(
            error_table(
                comparison,
                caption,
                "path",
                {
                    name: [
                        comparison.path_rmse_m(m, engine, name, condition)
                        for m in comparison.methods
                    ]
                    for name in comparison.paths
                },
            )
        )
    driven = dict.fromkeys(track.path for track in comparison.tracks)
    if driven:
        boxes = "".join(
            f'<label class="choice"><input type="checkbox" id="show-{i}" checked> '
            f"{swatch(comparison, method)}</label>"
            for i, method in enumerate(comparison.methods)
        )
        parts.append(f"<fieldset><legend>Methods drawn below</legend>{boxes}</fieldset>")
    for index, path in enumerate(driven):
        svg = inline_svg(
            draw_track_errors(comparison, path),
            f"track{index}",
            f"Cross-track error along {path}: its size for all methods, with sign for one.",
        )
        parts.append(
            f"<h3>{html.escape(path)}</h3>\n{draw_plans(comparison, path)}\n"
            f'<figure><div class="wide">{svg}</div></figure>'
        )
    return "\n".join(parts) if len(parts) > 1 else ""


def _reproduction(configuration: str, command: str) -> str:
    """Return what the words mean, what to type, and the settings."""
    terms = "".join(
        f"<dt>{html.escape(term)}</dt><dd>{html.escape(text)}</dd>"
        for term, text in _DEFINITIONS.items()
    )
    return (
        f"<h2>Definitions</h2>\n<dl>{terms}</dl>\n"
        f"<h2>Reproduce</h2>\n<pre>{html.escape(command)}</pre>\n"
        "<details><summary>Configuration</summary>"
        f"<pre>{html.escape(configuration)}</pre></details>"
    )


def _plural(number_of: int, noun: str) -> str:
    """Return a count with its noun, nothing for none."""
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}" if number_of else ""
