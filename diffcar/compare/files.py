"""What a comparison leaves behind: tables, pictures and a report."""

import json
from dataclasses import dataclass
from pathlib import Path

from diffcar.base.config import dump_config
from diffcar.base.files import finite_json, make_folder, write_atomically
from diffcar.compare.compare import CompareResult
from diffcar.compare.comparison_files import comparison_as_json, write_csv, write_curves_csv
from diffcar.compare.config import CompareConfig
from diffcar.compare.pictures.conditions import plot_conditions
from diffcar.compare.pictures.learning_curves import plot_learning_curves
from diffcar.compare.pictures.tracks import plot_tracks
from diffcar.compare.report.page import write_report

__all__ = ["ComparisonFiles", "write_results"]


@dataclass(frozen=True)
class ComparisonFiles:
    """Where the results are."""

    report: Path
    """Everything on one page, to be opened in a browser."""
    results: Path
    """Every figure, as JSON."""


def write_results(result: CompareResult, config: CompareConfig, command: str) -> ComparisonFiles:
    """Write all files of a finished comparison into its folder.

    Args:
        result: The comparison.
        config: Its settings.
        command: What the user typed, for the report.

    Raises:
        OutputError: If one cannot be written.
    """
    folder, comparison = result.folder, result.comparison
    plots = folder / "plots"
    make_folder(plots)
    write_csv(comparison, folder / "scores.csv")
    write_curves_csv(comparison, folder / "curves.csv")
    files = ComparisonFiles(report=folder / "report.html", results=folder / "comparison.json")
    text = json.dumps(finite_json(comparison_as_json(comparison)), indent=2) + "\n"
    write_atomically(files.results, lambda file: file.write_text(text))
    plot_learning_curves(comparison, plots / "learning-curves.png")
    plot_conditions(comparison, plots / "conditions.png")
    plot_tracks(comparison, plots / "tracks.png")
    write_report(
        comparison,
        files.report,
        title="Path tracking: training through the physics and its alternatives",
        configuration=dump_config(config),
        command=command,
    )
    return files
