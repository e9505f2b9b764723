"""Run folders: nothing is overwritten, and a resumed run continues its rows."""

from pathlib import Path

import pytest

from diffcar.base.errors import OutputError
from diffcar.training.run_folder import RunFolder


def test_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    """A folder with anything in it is refused; an empty one is fine."""
    RunFolder.create(tmp_path / "new", "x")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        RunFolder.create(tmp_path / "used", "x")
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", "x")


def test_metrics_are_rewound_to_the_checkpoint(tmp_path: Path) -> None:
    """Rows that a resumed run will write again are dropped, columns kept."""
    run = RunFolder.create(tmp_path / "run", "x")
    for iteration in range(5):
        run.append_metrics({"iteration": iteration, "loss": 0.5 * iteration})
    again = RunFolder(run.path)
    again.rewind_metrics(2)
    again.append_metrics({"iteration": 3, "loss": 9.0})
    lines = run.metrics_file.read_text().split()
    assert lines == ["iteration,loss", "0,0.0", "1,0.5", "2,1.0", "3,9.0"]
