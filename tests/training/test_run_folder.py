"""Run folders: nothing is overwritten, and a resumed run continues its rows."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from diffcar.base.errors import CheckpointError, OutputError
from diffcar.tasks.contract import Task
from diffcar.tasks.reaching.task import ReachingTask
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training.run_folder import RunFolder, plot_training


def test_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    """A folder with anything in it is refused; an empty one is fine."""
    RunFolder.create(tmp_path / "new", "x")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        RunFolder.create(tmp_path / "used", "x")
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", "x")


@pytest.mark.parametrize("task", [ReachingTask, TrackingTask])
def test_the_metric_of_the_task_is_drawn_at_whole_updates(
    task: type[Task[Any, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under its own name, in millimetres; legends stand beside the axes."""
    drawn: list[Figure] = []
    monkeypatch.setattr("diffcar.training.run_folder.save_png", lambda own, _: drawn.append(own))
    metric = task.metric
    assert metric is not None
    run = RunFolder.create(tmp_path / "run", "x")
    for update in range(4):
        loss = 1 / (update + 1)
        run.append_metrics(
            {"iteration": update, "loss": loss, "loss_own": loss, f"eval_{metric.key}": 0.1 * loss}
        )
    plot_training(run.metrics_file, tmp_path / "a.png", metric)
    (figure,) = drawn
    figure.canvas.draw()
    loss_axes, metric_axes = figure.axes
    assert metric_axes.get_ylabel() == f"{metric.heading} in\nplain physics [mm]"
    assert metric_axes.lines[0].get_ydata()[0] == pytest.approx(100.0)
    assert all(tick == round(tick) for tick in metric_axes.get_xticks())
    legend = loss_axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["total", "own"]
    assert legend.get_window_extent().x0 >= loss_axes.get_window_extent().x1


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


ROWS = "iteration,loss,eval\n0,,0.1\n1,0.5,\n2,0.25,\n"


@pytest.mark.parametrize("cut", ["3", "3,0.1", "", "\n"])
def test_a_row_that_was_cut_is_written_again(cut: str, tmp_path: Path) -> None:
    """A run that was killed in the middle of a row goes on behind the whole ones."""
    run = RunFolder.create(tmp_path / "run", "x")
    run.metrics_file.write_text(ROWS + cut)
    run.rewind_metrics(2)
    run.append_metrics({"iteration": 3, "loss": 9.0})
    assert run.metrics_file.read_text().splitlines() == [*ROWS.splitlines(), "3,9.0,"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ROWS.replace("1,0.5,", "1,0.5,,7"), "row 3 has not the 3 fields"),
        (ROWS.replace("1,0.5,", "1,0.5"), "row 3 has not the 3 fields"),
        (ROWS + "3,0.1,,7\n", "row 5 has not the 3 fields"),
        (ROWS.replace("iteration", "it"), "'iteration' is not in list"),
        (ROWS.replace("1,0.5", "one,0.5"), "invalid literal"),
    ],
)
def test_damaged_metrics_are_named_and_left_alone(content: str, told: str, tmp_path: Path) -> None:
    """A row cut in the middle of the file, or longer than its header."""
    run = RunFolder.create(tmp_path / "run", "x")
    run.metrics_file.write_text(content)
    with pytest.raises(CheckpointError, match=told) as caught:
        run.rewind_metrics(2)
    assert caught.value.hint == "delete it to go on"
    assert run.metrics_file.read_text() == content


def test_curves_leave_out_what_is_no_number(tmp_path: Path) -> None:
    """Rather than lose a finished training to a field that somebody has edited."""
    (tmp_path / "metrics.csv").write_text("iteration,loss\n1,much\n2,0.5\n")
    plot_training(tmp_path / "metrics.csv", tmp_path / "curves.png", None)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
