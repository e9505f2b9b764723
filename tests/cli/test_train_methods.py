"""`diffcar train-bc` and `diffcar train-ppo` as a user meets them, in the test's own process.

That Genesis is started once, and in 64 bits, saves most of the time that subprocesses would take.
"""

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from diffcar.cli.app import app
from diffcar.controllers.choose import choose_controller
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.build import build_scene
from diffcar.sim.config import CarConfig
from diffcar.tasks.tracking.drive import drive

pytestmark = [pytest.mark.genesis, pytest.mark.filterwarnings("error:.*legend:UserWarning")]

SMALL = [
    "--precision=64",
    "--path=circle",
    "--set=train.num_updates=3",
    "--set=evaluation.duration=0.4",
    "--set=evaluation.num_envs=4",
    "--set=evaluation.unseen_paths=[]",
]
THEIRS = {
    "x_m": "X",
    "y_m": "Y",
    "yaw_rad": "heading",
    "speed_mps": "v",
    "steering_angle_rad": "wheel",
    "steering_command_rad": "delta_deg*0.0174532925",
    "speed_command_mps": "v_cmd",
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are relative to a fresh folder."""
    monkeypatch.chdir(tmp_path)


def diffcar(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def write_foreign_log(file: Path) -> None:
    """Write what another tool may log of a car on the circle, with an empty cell in row 42."""
    circle = load_path(PathConfig(source="circle"))
    lines = ["t;X;Y;heading;v;wheel;delta_deg;v_cmd"]
    for number in range(300):
        point = circle.sample(torch.tensor([0.04 * number], dtype=torch.float64))
        (x, y), offset = point.position[0].tolist(), 0.05 * math.sin(0.3 * number)
        values = [0.02 * number, x, y, float(point.heading) + offset, 2.0, 0.15]
        delta = "" if number == 40 else str(math.degrees(0.16 - offset))
        lines.append(";".join([*map(str, values), delta, str(2.0 + 0.1 * math.cos(number))]))
    file.write_text("\n".join(lines) + "\n")


def test_a_log_of_another_tool_is_cloned_and_the_clone_drives(tmp_path: Path) -> None:
    """An empty cell is named, or its row left out and counted; then `simulate` takes the run."""
    write_foreign_log(tmp_path / "log.csv")
    columns = [f"--column={name}={theirs}" for name, theirs in THEIRS.items()]
    arguments = ["train-bc", "--data", "log.csv", *columns, *SMALL, "--out", "run"]
    refused = diffcar(*arguments)
    assert refused.exit_code == 2, refused.stderr
    assert "'log.csv' row 42, column 'delta_deg': empty" in refused.stderr
    assert "--skip-incomplete" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "run").exists()
    cloned = diffcar(*arguments, "--skip-incomplete", "--json", "bc.json")
    assert cloned.exit_code == 0, cloned.stderr
    assert "incomplete rows that were left out: 1" in cloned.stderr
    assert "no wheel slipped" in cloned.stderr
    result = json.loads((tmp_path / "bc.json").read_text())
    assert (result["num_rows"], result["num_skipped_rows"]) == (299, 1)
    assert result["num_updates"] == len(result["losses"]) == 3
    assert result["validation_loss"] > 0
    choice = choose_controller(str(tmp_path / "run"))
    scene = build_scene(CarConfig(), num_envs=2, engine="mujoco")
    circle = load_path(PathConfig(source="circle")).to(scene.dtype, scene.device)
    clone = choice.build(circle, scene)
    driven = drive(scene, clone, circle, is_standing=torch.tensor([True, False]), max_time=0.5)
    assert driven.trajectory.num_steps == 25
    assert float(driven.trajectory.action[..., 0].abs().max()) > 1e-4


def test_reinforcement_learning_goes_on_and_its_run_is_no_other_method_s(tmp_path: Path) -> None:
    """Two updates, stopped, and the third; `train-bc` and `train-e2e` leave the run alone."""
    pytest.importorskip("rsl_rl")
    ppo = ("--set=train.num_envs=4", "--set=train.num_steps=8")
    begun = diffcar("train-ppo", *SMALL, *ppo, "--out", "run", "--stop-after", "2")
    assert begun.exit_code == 0, begun.stderr
    assert "go on with: diffcar train-ppo --resume run" in begun.stderr
    ended = diffcar("train-ppo", "--resume", "run", "--json", "-")
    assert ended.exit_code == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert (result["num_updates"], len(result["losses"])) == (3, 1)
    assert result["num_env_steps"] == 3 * 8 * 4
    assert result["is_interrupted"] is False
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert [row["iteration"] for row in rows] == ["0", "1", "2", "3"]
    assert all(float(row["action_std"]) > 0 for row in rows[1:])
    other = diffcar("train-bc", "--resume", "run")
    assert other.exit_code == 2, other.stderr
    assert "trained by `diffcar train-ppo`" in other.stderr
