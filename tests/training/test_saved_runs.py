"""Runs that an earlier diffcar wrote, before tasks had names: they drive, and they go on.

`tests/fixtures/saved` holds them as they were written: three of each method, e2e and PPO trained to
their end, cloning stopped after six of eight updates.
"""

import csv
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError
from diffcar.controllers.checkpoint import identity, load_checkpoint
from diffcar.controllers.choose import choose_controller, newest_run
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.controller import PushingMLP
from diffcar.tasks.pushing.task import PushingTask
from diffcar.tasks.tracking.rollout import Trajectory, rollout
from diffcar.tasks.tracking.starts import draw_starts
from diffcar.training.backprop import Backprop
from diffcar.training.methods import METHODS
from diffcar.training.run import stored_config, train
from diffcar.training.run_folder import RunFolder
from tests.bicycle import Bicycle, bicycle_scenes
from tests.samples import road

SAVED = Path(__file__).parents[1] / "fixtures" / "saved"
RUNS = sorted(folder.name for folder in SAVED.iterdir())
CARS = [name for name in RUNS if not name.startswith("push")]
DONE = {"e2e": 6, "bc": 6, "ppo": 4, "push": 2}
BRIEF = ["evaluation.unseen_paths=[]"]


def method_of(name: str) -> str:
    return name.partition("-")[0]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the runs lie in, where their own files have relative names."""
    shutil.copytree(SAVED, tmp_path / "saved")
    shutil.copy(SAVED / "bc-2" / "stanley.csv", tmp_path / "saved")
    monkeypatch.chdir(tmp_path / "saved")
    return tmp_path / "saved"


def test_there_are_three_of_each_method() -> None:
    """As many as were written."""
    assert {method: sum(method_of(name) == method for name in RUNS) for method in DONE} == (
        dict.fromkeys(DONE, 3)
    )


@pytest.mark.parametrize("name", RUNS)
def test_a_saved_run_says_what_it_is(name: str) -> None:
    """Also those that say `push` where today they would say e2e, of the task of pushing."""
    method = method_of(name)
    expected = ("e2e", "pushing") if method == "push" else (method, "tracking")
    assert identity(load_checkpoint(SAVED / name)) == expected


@pytest.mark.parametrize("name", CARS)
def test_a_saved_run_drives(name: str) -> None:
    """With its own weights, bounded and finite."""
    weights = load_checkpoint(SAVED / name)["network"]
    car = Bicycle(4)
    controller = choose_controller(str(SAVED / name)).build(car)
    for parameter, value in controller.network.state_dict().items():
        assert torch.equal(value, weights[parameter].double()), parameter
    path = road("figure-eight")
    with torch.no_grad():
        driven = rollout(car, controller, path, draw_starts(path, 4, seed=0), 20)
    assert torch.isfinite(driven.position).all()
    assert 0 < float(driven.output.abs().max()) <= 1.0


def settings_of(name: str, num_updates: int) -> Any:
    """Return the settings that `--resume` would go on with, for one update more."""
    method = method_of(name)
    folder = RunFolder.open(Path(name))
    base = stored_config(folder, method, "tracking")
    schema = METHODS[method].config["tracking"]
    return load_config(schema, base=base, overrides=[*BRIEF, f"train.num_updates={num_updates}"])


@pytest.fixture
def _briefly_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let evaluations, whose length a resumed run cannot change, end after a few steps."""

    def brief(*arguments: Any) -> Trajectory:
        *where, num_steps = arguments
        return rollout(*where, num_steps if torch.is_grad_enabled() else 10)

    monkeypatch.setattr("diffcar.tasks.tracking.disturbances.rollout", brief)


@pytest.mark.usefixtures("_unpainted", "_briefly_evaluated")
@pytest.mark.parametrize("name", CARS)
def test_a_saved_run_goes_on(name: str, runs: Path) -> None:
    """From its weights, optimiser and rows; clones on the demonstrations that they recorded."""
    if method_of(name) == "ppo":
        pytest.importorskip("rsl_rl")
    done = DONE[method_of(name)]
    before = load_checkpoint(runs / name / "checkpoints" / "last.pt")
    recorded = {file: file.read_bytes() for file in (runs / name).glob("demonstrations-*.csv")}
    config = settings_of(name, done + 1)
    result = train(
        method_of(name),
        config,
        resume=Path(name),
        scenes=bicycle_scenes(config),
        certify=False,
    )
    assert result.num_updates == done + 1
    assert len(result.losses) == 1
    assert result.num_skipped == 0
    with (runs / name / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["iteration"]) for row in rows] == list(range(done + 2))
    after = load_checkpoint(runs / name / "checkpoints" / "last.pt")
    assert after["train_seconds"] > before["train_seconds"]
    for parameter, value in after["network"].items():
        assert not torch.equal(value, before["network"][parameter]), parameter
    assert {file: file.read_bytes() for file in recorded} == recorded


@pytest.mark.parametrize("name", [name for name in RUNS if method_of(name) == "push"])
def test_a_saved_push_can_be_taken_up(name: str, runs: Path) -> None:
    """Network, Adam's moments and count; how bodies move is not asked for here."""
    folder = RunFolder.open(runs / name)
    config = load_config(TrainPushConfig, base=stored_config(folder, "e2e", "pushing"))
    task = PushingTask(config)
    task.network = PushingMLP(config, dtype=torch.float32).network
    trainer = Backprop(task)
    last = folder.last
    trainer.load_state_dict({"network": last["network"], **last["trainer"]})
    assert trainer.num_updates_done == DONE["push"]
    assert len(trainer.state_dict()["optimizer"]["state"]) == len(last["network"])
    for parameter, value in task.network.state_dict().items():
        assert torch.equal(value, last["network"][parameter]), parameter


def test_what_pushes_does_not_drive_whatever_its_folder_is_called(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it the newest run, though it was written last: its checkpoint tells."""
    with pytest.raises(CheckpointError, match="for the task 'pushing' and cannot drive a car"):
        choose_controller("push-0")
    for age, (name, called) in enumerate((("push-0", "my-best-car"), ("e2e-0", "older"))):
        shutil.copytree(runs / name, tmp_path / "runs" / called)
        for file in (tmp_path / "runs" / called / "checkpoints").iterdir():
            stamp = time.time() - 100 * age
            os.utime(file, (stamp, stamp))
    monkeypatch.chdir(tmp_path)
    assert newest_run() == Path("runs/older")


def test_a_saved_push_is_sent_to_its_command(runs: Path) -> None:
    """Whoever resumes it as a car is told."""
    with pytest.raises(CheckpointError, match="for the task 'pushing'") as caught:
        train("e2e", resume=Path("push-0"))
    assert caught.value.hint == "diffcar train-e2e --entity mpm --resume push-0"
