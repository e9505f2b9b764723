"""What a comparison leaves behind: tables, pictures, and a page with all of it."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from diffcar.base.figure import FAINT, GRID, INK, css_colour, inline_svg, save_png
from diffcar.base.files import Unwritten, json_text, kept, make_folder, write_atomically, write_text
from diffcar.base.table import Table, count, millimetres, number, times
from diffcar.comparison.findings import findings, ranking, ratios
from diffcar.comparison.pictures.conditions import draw_conditions, draw_grips
from diffcar.comparison.pictures.learning_curves import draw_learning_curves
from diffcar.comparison.pictures.tracks import draw_track, draw_tracks, driven_paths
from diffcar.comparison.results import Comparison
from diffcar.comparison.style import DARK_COLOURS, engine_name, styles_of
from diffcar.comparison.tables import as_json, tables, write_csv

__all__ = ["write_page", "write_results"]

_TITLE = "Path tracking: training through the physics and its alternatives"


def write_results(
    comparison: Comparison, folder: Path, *, configuration: str, command: str, unwritten: Unwritten
) -> Path:
    """Write all files of a finished comparison.

    Args:
        comparison: What was found.
        folder: Where to.
        configuration: The settings as YAML, for the page.
        command: What the user typed, for the page.
        unwritten: Takes the files that cannot be written.

    Returns:
        The page, to be opened in a browser.
    """
    text = json_text(as_json(comparison))
    texts = {"title": _TITLE, "configuration": configuration, "command": command}
    files: dict[str, Callable[[Path], object]] = {
        "scores.csv": lambda file: write_csv(comparison.scores, file),
        "curves.csv": lambda file: write_csv(comparison.curves, file),
        "comparison.json": lambda file: write_text(file, text),
        "plots": make_folder,
        "plots/learning-curves.png": lambda file: save_png(draw_learning_curves(comparison), file),
        "plots/conditions.png": lambda file: save_png(draw_conditions(comparison), file),
        "plots/tracks.png": lambda file: save_png(draw_tracks(comparison), file),
        "report.html": lambda file: write_page(comparison, file, **texts),
    }
    if comparison.grips:
        files["plots/grips.png"] = lambda file: save_png(draw_grips(comparison), file)
    for name, write in files.items():
        with kept(unwritten, folder / name):
            write(folder / name)
    return folder / "report.html"


def write_page(comparison: Comparison, file: Path, **texts: str) -> None:
    """Write a comparison as one HTML file that loads nothing.

    Args:
        comparison: What was found; what is missing is left out.
        file: HTML file to write.
        texts: Its `title`, the settings as `configuration`, and the `command` to repeat it.

    Raises:
        OutputError: If the file system refuses.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.jinja").render(
        texts,
        scope=" · ".join(_scope(comparison)),
        tiles=_tiles(comparison),
        findings=findings(comparison),
        methods=comparison.methods,
        styles=styles_of(comparison.methods),
        tables=tables(comparison),
        paths=driven_paths(comparison),
        comparison=comparison,
        svg=lambda *picture: Markup(inline_svg(*picture)),  # which is not to be escaped
        draw_learning_curves=draw_learning_curves,
        draw_grips=draw_grips,
        draw_conditions=draw_conditions,
        draw_track=draw_track,
        shares=_shares,
        lost=f"{comparison.lost_m:.3g}",
        css=css_colour,
        named_colours={"ink": INK, "faint": FAINT, "grid": GRID},
        dark_colours=DARK_COLOURS,
    )
    # Names of files need not be UTF-8.
    how = {"encoding": "utf-8", "errors": "backslashreplace"}
    write_atomically(file, lambda target: target.write_text(page, **how))


def _scope(comparison: Comparison) -> Iterator[str]:
    """Return what was compared, without what was not there."""
    for size, noun in (
        (len(comparison.methods), "method"),
        (len({run.seed for run in comparison.runs}), "seed"),
        (len(comparison.paths), "unseen path"),
        (len(comparison.conditions), "condition"),
    ):
        if size:
            yield f"{size} {noun}{'' if size == 1 else 's'}"
    if comparison.engines:
        yield " and ".join(map(engine_name, comparison.engines))


def _tiles(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Return the main figures, each with what it is."""
    found, scenario = ratios(comparison), comparison.ranked_by
    goal = f"{millimetres(comparison.threshold_m)} mm"
    for best in ranking(comparison)[:1]:
        text = f"cross-track RMSE of the best, {best.method}, on unseen paths"
        yield f"{millimetres(best.rmse_m[scenario or ('', '')])} mm", text
    e2e = comparison.summaries.get("e2e")
    if e2e is not None and math.isfinite(e2e.to_threshold.seconds):
        text = f"training of e2e to {goal}: {count(e2e.to_threshold.env_steps)} control steps"
        yield f"{number(e2e.to_threshold.seconds)} s", text
    ratio = found.cost_over_e2e.get("ppo")
    if ratio is not None and math.isinf(ratio.seconds):
        yield "never", f"ppo does not reach {goal}, e2e does"
    elif ratio is not None and ratio.seconds > 0:
        text = f"wall time of ppo to {goal} over e2e's; {times(ratio.env_steps)} the steps"
        yield times(ratio.seconds), text
    if math.isfinite(found.mujoco_over_genesis):
        difference = 100 * (found.mujoco_over_genesis - 1)
        text = "RMSE of e2e in MuJoCo against Genesis, which it was trained in"
        yield f"{'+' if difference >= 0 else ''}{number(difference)} %", text


def _shares(table: Table[Any]) -> list[list[int | None]]:
    """Return how dark each cell is [%]: the larger its error, the darker; None for no number."""
    values = [[column.of(row) for column in table.columns] for row in table.rows]
    logs = [
        [math.log(v) if isinstance(v, float) and 0 < v < math.inf else None for v in row]
        for row in values
    ]
    known = [log for row in logs for log in row if log is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return [
        [round(55 * (log - low) / span) if log is not None and span else None for log in row]
        for row in logs
    ]
