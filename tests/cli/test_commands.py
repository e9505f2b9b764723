"""What commands do around the work itself, which is replaced by results made by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from diffcar.checks.arm import FrankaTestResult
from diffcar.checks.car_result import CheckGradResult
from diffcar.checks.config import CheckGradConfig
from diffcar.cli.app import app
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.tracking.config import TrainE2EConfig
from diffcar.tasks.tracking.metrics import TrackingMetrics
from diffcar.tasks.tracking.simulate import EngineFigures, SimulateResult
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.tasks.tracking.unseen import PathScore
from diffcar.training.run import TrainingResult
from tests.samples import road

METRICS = TrackingMetrics(0.001, 0.002, 0.003, 0.004, 0.05, 0.06, math.nan, 1.0, 1.0)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Replaced:
    """Stands for the work of a command: remembers what it is called with, and returns a result."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, result: object) -> None:
        self.result = result
        self.config: Any = None
        self.given: dict[str, Any] = {}
        monkeypatch.setattr(name, self)

    def __call__(self, *called_with: object, **given: object) -> object:
        self.config, self.given = called_with[-1], given
        return self.result


def diffcar(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_simulate_shows_both_engines_and_says_what_it_wrote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flags reach the settings; notes go to stderr; the difference stands before the unit."""
    figures = EngineFigures(METRICS, 500, 10.0, 3.0)
    genesis = EngineFigures(TrackingMetrics(*[0.002] * 9), 500, 10.0, 4.0)
    result = SimulateResult(
        "zero", road("line"), "flying", 2.0, "mujoco", figures, genesis, ("know this",)
    )
    work = Replaced(monkeypatch, "diffcar.tasks.tracking.simulate.run", result)
    arguments = ("--controller=zero", "--path=line", "--start=flying", "--engine=mujoco")
    done = diffcar("simulate", *arguments, "--precision=64", "--csv=t.csv", "--json=r.json")
    assert done.exit_code == 0, done.stderr
    config = work.config
    assert (config.controller, config.start, config.engine) == ("zero", "flying", "mujoco")
    assert (config.path.source, config.precision) == ("line", 64)
    assert work.given["csv_file"] == Path("t.csv")
    assert "note: know this" in done.stderr
    assert "note: wrote t.csv\nnote: wrote r.json\n" in done.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    assert ["cross-track RMSE", "2", "1", "-50", "mm"] in rows
    assert ["steering rate RMS", "0.002", "-", "-", "rad/s"] in rows
    assert ["steps", "500", "500", "", ""] in rows
    assert json.loads(Path("r.json").read_text())["steering_rate_rms_radps"] is None


@pytest.mark.parametrize(("arguments", "code"), [((), 130), (("--stop-after=2",), 0)])
def test_a_run_that_was_stopped_says_how_it_goes_on(
    arguments: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code tells whether that was asked for."""
    result = TrainingResult(
        Path("r"), num_updates=2, is_interrupted=True, losses=[1.0, 0.5], task=TrackingTask
    )
    work = Replaced(monkeypatch, "diffcar.training.run.train", result)
    done = diffcar("train-e2e", "--no-certify", "--out=r", *arguments)
    assert done.exit_code == code, done.stderr
    assert work.given["certify"] is False
    assert work.given["out"] == Path("r")
    expected = (
        "stopped after update 2 of 100; go on with: diffcar train-e2e --resume r --no-certify"
    )
    assert expected in done.stderr
    assert "update of this session" in done.stdout


def test_cloning_tells_of_rows_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its columns and data become settings."""
    result = TrainingResult(
        Path("r"),
        before=METRICS,
        after=METRICS,
        findings={"scores": [PathScore("slalom", "flying", METRICS)], "num_skipped_rows": 3},
        task=TrackingTask(TrainE2EConfig()),
    )
    work = Replaced(monkeypatch, "diffcar.training.run.train", result)
    Path("log.csv").write_text("")
    done = diffcar("train-bc", "--data=log.csv", "--column=yaw_rad=deg*0.1", "--dagger-rounds=1")
    assert done.exit_code == 0, done.stderr
    assert (work.config.data, work.config.columns) == (["log.csv"], {"yaw_rad": "deg*0.1"})
    assert work.config.train.dagger_rounds == 1
    assert "incomplete rows that were left out: 3" in done.stderr
    assert "run folder: r" in done.stdout
    assert "use it: diffcar simulate --controller r" in done.stderr
    assert "completion" not in done.stdout
    result.after = replace(METRICS, got_going=0.5)
    done = diffcar("train-bc")
    assert "it is of no use yet: with no weights did all get going" in done.stderr


def test_what_is_not_certified_is_a_negative_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the reason in words."""
    config = CheckGradConfig(model="car.xml")
    car = CheckGradResult(config, "sphere", 1e-6, failures=["a: x", "b: x"])
    Replaced(monkeypatch, "diffcar.checks.car.run", car)
    done = diffcar("check-grad")
    assert done.exit_code == 1, done.stderr
    assert "not checked: a; b: x\n" in done.stdout
    assert "not certified: car.xml, sphere wheels, with diffcar's repairs: no gradient" in (
        done.stdout
    )
    arm = FrankaTestResult(FrankaTestConfig(), TrainingResult(Path("r")))
    Replaced(monkeypatch, "diffcar.checks.arm.run", arm)
    done = diffcar("franka-test")
    assert done.exit_code == 1, done.stderr
    assert "gradients by joint torques:  certified" in done.stdout
    assert "mean distance at most 10 mm:  not reached" in done.stdout
