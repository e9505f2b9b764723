"""`diffcar train-e2e --entity mpm` as a user meets it."""

import csv
import json
from pathlib import Path

import pytest
import torch

from tests.cli.test_cli import diffcar

SMALL = [
    "--set=train.num_updates=3",
    "--set=train.num_envs=2",
    "--set=train.horizon=8",
    "--set=train.gradient_check_interval=1",
    "--set=evaluation.skip_distance=0",
    "--set=evaluation.unseen_paths=[circle]",
]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--actuation", "pd"], "has none"),
        (["--set", "train.truncation_length=4"], "unknown key"),
        (["--path", "circel"], "did you mean 'circle'?"),
        (["--resume", "a", "--out", "b"], "drop --out"),
        (["--resume", "nowhere"], "no checkpoints/last.pt"),
    ],
)
def test_what_does_not_apply_to_a_soft_body_is_refused(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    """Options of the car, unknown keys and paths: exit code 2 and the reason on stderr."""
    done = diffcar("train-e2e", "--entity", "mpm", *arguments, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.replace("│", "").split())


def test_a_path_that_would_leave_the_grid_is_refused(tmp_path: Path) -> None:
    """Before anything is built; the hint says what to raise."""
    arguments = ("--path", "circle", "--path-scale", "0.1")
    done = diffcar("train-e2e", "--entity", "mpm", *arguments, cwd=tmp_path, timeout=120)
    assert done.returncode == 2
    assert "the grid has room for" in done.stderr
    assert "raise half_width" in done.stderr


@pytest.mark.genesis
def test_a_short_run_is_reported_and_leaves_a_folder_to_go_on_with(tmp_path: Path) -> None:
    """Losses, checked gradients, figures on both paths, plots, metrics and a safe checkpoint."""
    arguments = ["train-e2e", "--entity", "mpm", *SMALL]
    done = diffcar(*arguments, "--stop-after=2", "--out=r", "--json=r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--entity mpm --resume r" in done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(result["losses"]) == 2
    assert result["is_interrupted"]
    # Float32 differences through a short push; a wrong gradient is off by a factor.
    errors = result["errors_before_training"] + result["errors_in_training"]
    assert len(errors) == 5
    assert sorted(errors)[2] < 0.1
    assert [score["is_unseen"] for score in result["scores"]] == [False, True]
    assert "circle, unseen" in done.stdout
    checkpoint = torch.load(tmp_path / "r" / "checkpoints" / "last.pt", weights_only=True)
    assert checkpoint["trainer"]["num_updates_done"] == 2
    for name in ("training", "push-0-random", "push-1-circle"):
        assert (tmp_path / "r" / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "r" / "metrics.csv").open(newline="") as file:
        assert [row["iteration"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    assert list((tmp_path / "r" / "tensorboard").glob("events*"))
    refused = diffcar("simulate", "--controller", "r", cwd=tmp_path)
    assert refused.returncode == 2
    assert "pushes a soft body" in refused.stderr
