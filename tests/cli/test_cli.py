"""The command line as a user meets it: subprocesses, exit codes, streams and files."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from diffcar.base.files import resource_path
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.observation import PathObserver
from diffcar.demonstrations.files import read_demonstrations
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.model.vehicle import load_vehicle

SMALL = [
    "--set=train.num_envs=4",
    "--set=train.horizon=12",
    "--set=evaluation.duration=0.4",
    "--set=evaluation.num_envs=4",
    "--set=evaluation.interval=10",
    "--set=evaluation.unseen_paths=[double-lane-change]",
]


def diffcar(*arguments: str, cwd: Path, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "diffcar", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train-e2e", "--help"],
        ["simulate", "--help"],
        ["record", "--help"],
        ["franka-test", "--help"],
        ["check-grad", "--help"],
        ["train-bc", "--help"],
        ["train-ppo", "--help"],
        ["compare", "--help"],
        ["--version"],
    ],
)
def test_help_needs_neither_torch_nor_genesis(arguments: list[str], tmp_path: Path) -> None:
    """Help answers at once, which it could not if it imported the simulator."""
    done = _with_forbidden_imports(arguments, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "diffcar" in done.stdout


USAGE_ERRORS = {
    "unknown command": ["fly"],
    "unknown option": ["simulate", "--wings"],
    "no argument to an option": ["simulate", "--path"],
    "bad choice": ["train-e2e", "--precision", "16"],
    "unknown key": ["train-e2e", "--set", "train.horizn=3"],
    "bad value": ["train-e2e", "--set", "dt=-1"],
    "missing configuration file": ["train-e2e", "--config", "nowhere.yaml"],
    "negative scale": ["simulate", "--path-scale", "-1"],
    "output into a missing folder": ["simulate", "--csv", "nowhere/out.csv"],
    "output over the input": ["simulate", "--path", "track.csv", "--csv", "track.csv"],
    "plot with another suffix": ["simulate", "--plot", "plot.txt"],
    "resume and out": ["train-e2e", "--resume", "a", "--out", "b"],
    "resume of nothing": ["train-e2e", "--resume", "nowhere"],
    "a recording over another": ["record", "--out", "track.csv"],
    "a recording of nobody": ["record", "--expert", "telepathy"],
    "a recording of no episodes": ["record", "--episodes", "0"],
    "unknown controller": ["simulate", "--controller", "telepathy"],
    "unknown path": ["train-e2e", "--path", "figure-eigth"],
    "a path too long to be a file": ["simulate", "--path", "x" * 5000],
    "JSON over the input": ["simulate", "--path", "track.csv", "--json", "track.csv"],
    "two results in one file": ["simulate", "--csv", "a", "--json", "a"],
    "a device": ["simulate", "--csv", "/dev/null"],
    "not a number": ["simulate", "--set", "start_heading=.nan"],
    "an impossible date": ["simulate", "--set", "seed=2024-13-45"],
    "a text for a number": ["simulate", "--set", "substeps='12'"],
    "a film of MuJoCo": ["simulate", "--engine", "mujoco", "--video", "film.mp4"],
    "a film with another suffix": ["franka-test", "--video", "film.avi"],
    "tolerance that 32 bits cannot tell": ["franka-test", "--precision", "32"],
    "an unknown key of the arm": ["franka-test", "--set", "reach.joint_stp=1"],
    "an endless number": ["train-e2e", "--seed", "9" * 30],
    "two names for four wheels": ["check-grad", "--wheel-joints", "left,right"],
    "wheels of a soft body": ["check-grad", "--entity", "mpm", "--wheels"],
    "an entity of no kind": ["check-grad", "--entity", "gas"],
    "a rollout of no steps": ["check-grad", "--set", "certificate.horizons=[0]"],
    "a column of no name": ["train-bc", "--data", "track.csv", "--column", "x_m"],
    "a column from nothing": ["train-bc", "--data", "track.csv", "--column", "=x"],
    "an expert that is nobody": ["train-bc", "--expert", "telepathy"],
    "more rounds than passes": ["train-bc", "--dagger-rounds", "3", "--set", "train.num_updates=3"],
    "JSON over the demonstrations": ["train-bc", "--data", "track.csv", "--json", "track.csv"],
    "cloning that goes on with nothing": ["train-bc", "--resume", "nowhere"],
    "a setting of another method": ["train-ppo", "--set", "train.horizon=64"],
    "a discount of one": ["train-ppo", "--set", "train.discount=1.0"],
    "a loss that is no reward": ["train-ppo", "--set", "loss.time_indexed=1"],
    "reinforcement that goes on with nothing": ["train-ppo", "--resume", "nowhere"],
    "a suite that is missing": ["compare", "--suite", "nowhere.yaml"],
    "a suite with an unknown key": ["compare", "--suite", "suite.yaml"],
    "a suite of an unknown path": ["compare", "--set", "suite.paths=[{source: eight}]"],
    "a suite that is a table": ["compare", "--suite", "track.csv"],
    "an unknown method": ["compare", "--set", "methods=[e2e, telepathy]"],
    "a run of an unknown method": ["compare", "--load", "telepathy=runs/a"],
    "a run of a method that is tuned": ["compare", "--load", "stanley=runs/a"],
    "a run of no method": ["compare", "--load", "runs/a"],
    "a run of a method left out": ["compare", "--set", "methods=[ppo]", "--load", "e2e=runs/a"],
    "a run that is missing": ["compare", "--load", "e2e=nowhere"],
    "a comparison that is none": ["compare", "--resume", "."],
    "a quick one that goes on": ["compare", "--resume", ".", "--quick"],
    "clones without their expert": ["compare", "--set", "methods=[bc-e2e]"],
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_usage_error_is_explained_without_torch(case: str, tmp_path: Path) -> None:
    """Exit code 2, words on stderr, nothing on stdout, no traceback, no heavy import."""
    (tmp_path / "track.csv").write_text("x,y\n0,0\n1,0\n2,0\n3,0\n")
    (tmp_path / "suite.yaml").write_text("paths: [{source: sine}]\nwind: 3\n")
    done = _with_forbidden_imports(USAGE_ERRORS[case], tmp_path)
    assert done.returncode == 2, done.stderr
    assert "rror" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def _with_forbidden_imports(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run diffcar where importing torch, genesis or mujoco raises."""
    for name in ("torch", "genesis", "mujoco"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    return subprocess.run(
        [sys.executable, "-m", "diffcar", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


INPUT_ERRORS = {
    "damaged checkpoint": (["--controller", "damaged.pt"], "damaged.pt"),
    "empty run folder": (["--controller", "empty"], "no checkpoint"),
    "pickled code": (["--controller", "evil.pt"], "evil.pt"),
    "no MJCF": (["--set", "model=track.csv"], "track.csv"),
    "car without joints": (["--set", "model=box.xml"], "front_left_steering"),
}


@pytest.mark.parametrize("case", INPUT_ERRORS)
def test_bad_input_is_explained(case: str, tmp_path: Path) -> None:
    """Wrong names, damaged files and hostile checkpoints end with an error, a hint and code 2."""
    arguments, expected = INPUT_ERRORS[case]
    (tmp_path / "track.csv").write_text("x,y\n0,0\n1,0\n2,0\n3,0\n")
    (tmp_path / "damaged.pt").write_bytes(b"PK\x03\x04 not much of an archive")
    (tmp_path / "empty").mkdir()
    torch.save({"format": 1, "config": Path("x")}, tmp_path / "evil.pt")
    (tmp_path / "box.xml").write_text(
        "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
    )
    done = diffcar("simulate", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "error:" in done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


BAD_MODELS = {
    "missing": ("nowhere.urdf", "does not exist"),
    "a folder": (".", "is not a file"),
    "empty": ("empty.urdf", "cannot be read as a car"),
    "a car without wheels": ("box.xml", "0 steering joints"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_model_is_explained(case: str, tmp_path: Path) -> None:
    """Before Genesis is started: what is wrong, in a line."""
    model, expected = BAD_MODELS[case]
    (tmp_path / "empty.urdf").write_text("")
    (tmp_path / "box.xml").write_text(
        "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
    )
    done = diffcar("check-grad", "--model", model, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "error:" in done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


SHORT = [
    "--set=certificate.horizons=[1,10]",
    "--set=certificate.num_directions={rolling: 3, sliding: 1, airborne: 1}",
]


@pytest.mark.genesis
def test_shipped_car_is_certified(tmp_path: Path) -> None:
    """Exit code 0, four parts on stdout, and every figure in the JSON."""
    done = diffcar("check-grad", *SHORT, "--json", "c.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in ("gradient status", "ways to get a gradient", "numeric", "plain mode", "certified"):
        assert part in done.stdout
    assert "not certified" not in done.stdout
    figures = json.loads((tmp_path / "c.json").read_text())
    assert figures["certified"] is True
    assert 0 < figures["worst_relative_error"] <= 1e-6
    assert [row["horizon"] for row in figures["horizons"]] == [1, 10]
    assert all(row["num_directions"] == 9 for row in figures["horizons"])
    told = {kind: word for row in figures["horizons"] for kind, word in row["verdicts"].items()}
    assert set(told) == {"actions", "initial state", "network weights"}
    assert all(word.startswith("right") for word in told.values())
    outcomes = {attempt["name"]: attempt["outcome"] for attempt in figures["attempts"]}
    assert outcomes["rigid_solver.get_state().qpos"] == "right"
    assert outcomes["control_dofs_position, Genesis as it comes"] == "error"
    assert all(hop["gradient_norm"] > 0 for hop in figures["hops"])
    assert max(row["position_m"] for row in figures["parity"]) < 1e-6


@pytest.mark.genesis
def test_cylinder_wheels_are_not_certified_as_genesis_comes(tmp_path: Path) -> None:
    """Exit code 1, and a hint that names both remedies."""
    car = resource_path("assets/car.xml").read_text()
    wheel = 'type="cylinder" size="0.0508 0.02" euler="1.5707963 0 0"'
    assert 'type="sphere" size="0.0508"' in car
    (tmp_path / "mine.xml").write_text(car.replace('type="sphere" size="0.0508"', wheel))
    done = diffcar("check-grad", *SHORT, "--model", "mine.xml", "--no-repairs", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "not certified" in done.stdout
    assert "--no-repairs" in done.stdout
    assert "colliding sphere" in done.stdout


@pytest.mark.genesis
def test_simulate_without_arguments_drives_pure_pursuit_and_says_so(tmp_path: Path) -> None:
    """No run yet: pure pursuit on the figure-eight, tracked to a few centimetres."""
    done = diffcar("simulate", "--json", "-", "--csv", "t.csv", "--plot", "p.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pure pursuit drives" in done.stderr
    figures = json.loads(done.stdout)
    assert figures["controller"] == "pure-pursuit"
    assert figures["path"] == "figure-eight"
    assert figures["completion"] == pytest.approx(1.0)
    assert 0 < figures["cross_track_rmse_m"] < 0.03
    assert figures["cross_track_rmse_m"] <= figures["cross_track_max_m"]
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == figures["num_steps"]
    assert {"t_s", "x_m", "y_m", "yaw_rad", "speed_mps", "cross_track_m"} <= rows[0].keys()
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.genesis
def test_recording_is_written_once_and_reads_back(tmp_path: Path) -> None:
    """A row a step of every car, with what the network observes; never over an earlier one."""
    arguments = ["record", "--episodes", "4", "--duration", "0.5", "--json", "-"]
    done = diffcar(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["expert"], figures["path"]) == ("pure-pursuit", "random")
    assert (figures["num_rows"], figures["num_noisy_episodes"]) == (4 * 25, 3)
    assert figures["noisy_row_share"] == 0.75
    config, vehicle, file = ControllerConfig(), load_vehicle(), tmp_path / figures["file"]
    recorded = read_demonstrations([file], controller_config=config, vehicle=vehicle)
    assert recorded.observation.shape == (100, PathObserver.size(config))
    assert recorded.episode.bincount().tolist() == [25] * 4
    assert 0.1 < float(recorded.output.abs().max()) <= 1.0
    other = ControllerConfig(curvature_preview=config.curvature_preview[:2])
    derived = read_demonstrations(
        [file], controller_config=other, vehicle=vehicle, path=load_path(PathConfig())
    )
    size = len(PathObserver.names(other)) - len(other.speed_preview)
    difference = derived.observation[:, :size] - recorded.observation[:, :size]
    assert float(difference.abs().max()) < 1e-3
    again = diffcar(*arguments, cwd=tmp_path)
    assert again.returncode == 2
    assert "--out" in again.stderr


@pytest.mark.genesis
def test_zero_controller_goes_nowhere_and_nothing_is_invented(tmp_path: Path) -> None:
    """A car that stays at rest has no errors after two metres: null, not zero, in both engines."""
    arguments = ["--controller", "zero", "--engine", "mujoco", "--set", "max_time=0.5"]
    done = diffcar("simulate", *arguments, "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "difference" in done.stderr
    figures = json.loads(done.stdout)
    assert figures["engine"] == "mujoco"
    for engine in (figures, figures["genesis"]):
        assert engine["num_steps"] == 25
        assert engine["completion"] == pytest.approx(0.0, abs=1e-3)
        assert engine["cross_track_rmse_m"] is None
    assert figures["difference_percent"]["cross_track_rmse_m"] is None


@pytest.mark.genesis
def test_training_resumes_bit_for_bit_and_its_run_drives(tmp_path: Path) -> None:
    """Twenty updates at once equal ten, stopped, and ten more; then `simulate` finds the run."""

    def train(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = diffcar("train-e2e", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    whole = train(*SMALL, "--set=train.num_updates=20", "--out", "whole", "--json", "whole.json")
    train(*SMALL, "--set=train.num_updates=20", "--out", "runs/parts", "--stop-after", "10")
    train("--resume", "runs/parts")

    ends = [
        torch.load(tmp_path / run / "checkpoints" / "last.pt", weights_only=True)
        for run in ("whole", "runs/parts")
    ]
    assert ends[0]["trainer"]["num_updates_done"] == ends[1]["trainer"]["num_updates_done"] == 20
    for name, weight in ends[0]["network"].items():
        assert torch.equal(weight, ends[1]["network"][name]), name
    losses = [
        [row["loss"] for row in csv.DictReader((tmp_path / run / "metrics.csv").open())]
        for run in ("whole", "runs/parts")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 21

    assert "gradient status" in whole.stdout
    assert "none arrived" not in whole.stdout
    result = json.loads((tmp_path / "whole.json").read_text())
    assert all(hop["requires_grad"] and hop["gradient_norm"] > 0 for hop in result["hops"])
    assert result["certificate"]["verdict"].startswith("right")
    assert 0 < result["worst_gradient_error"] < 0.2
    for made in (
        "config.yaml",
        "certificate.json",
        "plots/training.png",
        "plots/drive-0-random.png",
        "checkpoints/best.pt",
    ):
        assert (tmp_path / "whole" / made).is_file(), made
    assert list((tmp_path / "whole" / "tensorboard").iterdir())

    again = diffcar("train-e2e", "--out", "whole", cwd=tmp_path)
    assert again.returncode == 2
    assert "--resume" in again.stderr

    driven = diffcar("simulate", "--json", "-", "--set", "max_time=0.2", cwd=tmp_path)
    assert driven.returncode == 0, driven.stderr
    assert json.loads(driven.stdout)["controller"] == str(Path("runs") / "parts")


def test_demonstrations_that_are_missing_are_named(tmp_path: Path) -> None:
    """Before a simulator starts."""
    done = diffcar("train-bc", "--data", "nowhere.csv", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "'nowhere.csv' cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.genesis
def test_interrupt_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C after some updates leaves a checkpoint of them and a command to continue."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "diffcar",
            "train-e2e",
            *SMALL,
            "--set=train.num_updates=5000",
            "--set=actuation=pd",
            "--out",
            "run",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "run" / "metrics.csv"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.is_file() and len(metrics.read_text().splitlines()) > 4:
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 130, messages
    assert "--resume run" in messages
    assert "Traceback" not in messages
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    rows = list(csv.DictReader(metrics.open()))
    assert saved["trainer"]["num_updates_done"] == int(rows[-1]["iteration"]) >= 3


SMALL_ARM = [
    "--set=num_envs=4",
    "--set=gradients.horizon=5",
    "--set=train.num_updates=2",
    "--set=train.horizon=5",
    "--set=reach.num_unseen_targets=4",
]


@pytest.mark.genesis
def test_franka_that_reaches_its_targets_passes_and_is_drawn_and_filmed(tmp_path: Path) -> None:
    """Exit code 0 where the target is generous, with the tables and the files asked for."""
    done = diffcar(
        "franka-test",
        *SMALL_ARM,
        "--set=reach.max_mean_distance=2",
        "--plot=p.png",
        "--video=v.mp4",
        "--json=r.json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert [row["num_directions"] for row in result["certificates"]] == [4, 4]
    assert result["certificates"][1]["contact_fraction"] == 1.0
    assert len(result["losses"]) == 2
    for expected in ("no attribute 'get_qvel'", "certified", "reached", "gradient status"):
        assert expected in " ".join(done.stdout.split()), expected
    assert "none arrived" in done.stdout  # from get_qpos(), as the report found
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert b"ftyp" in (tmp_path / "v.mp4").read_bytes()[:16]
