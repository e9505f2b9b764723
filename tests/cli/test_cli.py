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
        ["franka-test", "--help"],
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
    "unknown controller": ["simulate", "--controller", "telepathy"],
    "unknown path": ["train-e2e", "--path", "figure-eigth"],
    "a path too long to be a file": ["simulate", "--path", "x" * 5000],
    "JSON over the input": ["simulate", "--path", "track.csv", "--json", "track.csv"],
    "two results in one file": ["simulate", "--csv", "a", "--json", "a"],
    "a device": ["simulate", "--csv", "/dev/null"],
    "not a number": ["simulate", "--set", "start_heading=.nan"],
    "an impossible date": ["simulate", "--set", "seed=2024-13-45"],
    "a text for a number": ["simulate", "--set", "substeps='12'"],
    "a film with another suffix": ["franka-test", "--video", "film.avi"],
    "tolerance that 32 bits cannot tell": ["franka-test", "--precision", "32"],
    "an unknown key of the arm": ["franka-test", "--set", "reach.joint_stp=1"],
    "an endless number": ["train-e2e", "--seed", "9" * 30],
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_usage_error_is_explained_without_torch(case: str, tmp_path: Path) -> None:
    """Exit code 2, words on stderr, nothing on stdout, no traceback, no heavy import."""
    (tmp_path / "track.csv").write_text("x,y\n0,0\n1,0\n2,0\n3,0\n")
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
def test_zero_controller_goes_nowhere_and_nothing_is_invented(tmp_path: Path) -> None:
    """A car that stays at rest has no errors after two metres: null, not zero."""
    done = diffcar(
        "simulate", "--controller", "zero", "--json", "-", "--set", "max_time=0.5", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["completion"] == pytest.approx(0.0, abs=1e-3)
    assert figures["cross_track_rmse_m"] is None


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
    for made in (
        "config.yaml",
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
def test_franka_that_misses_its_targets_is_a_negative_verdict(tmp_path: Path) -> None:
    """Exit code 1 with certified gradients and two updates of training; all figures in JSON."""
    done = diffcar("franka-test", *SMALL_ARM, "--json", "-", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "NOT reached" in done.stderr
    result = json.loads(done.stdout)
    assert (result["is_certified"], result["is_reached"]) == (True, False)
    assert result["after"]["mean_m"] > result["max_mean_distance_m"] == 0.01
    assert [row["num_directions"] for row in result["certificates"]] == [4, 4]
    assert result["certificates"][1]["contact_fraction"] == 1.0
    assert len(result["losses"]) == 2


@pytest.mark.genesis
def test_franka_that_reaches_its_targets_passes_and_is_drawn_and_filmed(tmp_path: Path) -> None:
    """Exit code 0 where the target is generous, with the tables and the files asked for."""
    done = diffcar(
        "franka-test",
        *SMALL_ARM,
        "--set=reach.max_mean_distance=2",
        "--plot=p.png",
        "--video=v.mp4",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for expected in ("no attribute 'get_qvel'", "certified", "reached", "gradient status"):
        assert expected in " ".join(done.stdout.split()), expected
    assert "none arrived" in done.stdout  # from get_qpos(), as the report found
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert b"ftyp" in (tmp_path / "v.mp4").read_bytes()[:16]
