"""Every command once in the simulator, in this process: Genesis starts once, in 64 bits.

What commands do with what comes of it is tested on bicycles.
"""

import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGKILL

import pytest
import torch
from typer.testing import Result

from diffcar.base.files import resource_path
from diffcar.demonstrations import record
from diffcar.sim.car import GenesisCar
from diffcar.tasks.tracking.scenes import Scenes
from tests import formats
from tests.cli.conftest import environment
from tests.demonstrations.recorded import THEIRS, write_foreign_log

pytestmark = pytest.mark.genesis
Run = Callable[..., Result]


@pytest.fixture
def _four_cars(
    monkeypatch: pytest.MonkeyPatch, differentiable_car: GenesisCar, plain_car: GenesisCar
) -> None:
    """Let commands drive the four cars that all tests share."""

    def build(config: object, *, differentiable: bool = False, **how: object) -> GenesisCar:
        car = differentiable_car if differentiable else plain_car
        car.actuation = config.actuation
        return car

    monkeypatch.setattr(record, "build_scene", build)
    monkeypatch.setitem(Scenes.__init__.__kwdefaults__, "build", build)


def good(done: Result) -> Result:
    assert done.exit_code == 0, done.stderr
    return done


SMALL = [
    "--precision=64",
    "--set=train.num_updates=4",
    "--set=train.num_envs=4",
    "--set=train.horizon=8",
    "--set=train.episode_updates=2",
    "--set=evaluation.duration=0.2",
    "--set=evaluation.num_envs=4",
    "--set=evaluation.unseen_paths=[]",
]


@pytest.mark.usefixtures("_four_cars")
def test_a_killed_training_resumes_bit_for_bit(diffcar: Run, tmp_path: Path) -> None:
    """Four updates at once equal those of two processes, the first of them killed in the middle."""
    whole = good(diffcar("train-e2e", *SMALL, "--out", "whole", "--json", "whole.json"))
    arguments = [*SMALL, "--set=train.checkpoint_interval=1", "--no-certify", "--out", "parts"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "diffcar", "train-e2e", *arguments], env=environment()
    )
    metrics = tmp_path / "parts" / "metrics.csv"
    while killed.poll() is None and not (metrics.is_file() and metrics.read_text().count("\n") > 2):
        time.sleep(0.002)
    killed.kill()
    assert killed.wait() == -SIGKILL
    good(diffcar("train-e2e", "--no-certify", "--resume", "parts"))
    ends = [
        torch.load(tmp_path / run / "checkpoints" / "last.pt", weights_only=True)
        for run in ("whole", "parts")
    ]
    assert ends[0]["trainer"]["num_updates_done"] == ends[1]["trainer"]["num_updates_done"] == 4
    for name, weight in ends[0]["network"].items():
        assert torch.equal(weight, ends[1]["network"][name]), name
    result = json.loads((tmp_path / "whole.json").read_text())
    assert result["certificate"]["verdict"].startswith("right")
    assert 0 < result["worst_gradient_error"] < 0.2
    assert all(hop["requires_grad"] and hop["gradient_norm"] > 0 for hop in result["hops"])
    assert "none arrived" not in whole.stdout


_ANOTHER_GENESIS = """
import sys
from types import SimpleNamespace
from diffcar.__main__ import main
from diffcar.sim import backend, startup, upstream
from diffcar.sim.fast_paths import adjoint_cache

GONE = (startup._ASKER, f"{startup._HASHER}:store", f"{adjoint_cache._KERNEL}:Kernel._try_load")

def resolve_name(name):
    if name.startswith(GONE):
        raise AttributeError(name)
    return find(name)

def import_genesis():
    genesis = startup.import_genesis()
    misc = genesis.utils.misc
    misc.cpuinfo = SimpleNamespace(get_cpu_info=misc.cpuinfo.get_cpu_info)
    del sys.modules["cpuinfo"].get_cpu_info
    startup._DUMP += "_of_old"
    return genesis

find = upstream.pkgutil.resolve_name
upstream.pkgutil = SimpleNamespace(resolve_name=resolve_name)
backend.import_genesis = import_genesis
main()
"""


@pytest.mark.usefixtures("_four_cars")
def test_training_is_the_same_where_nothing_makes_the_start_quicker(
    diffcar: Run, tmp_path: Path
) -> None:
    """With what each hook rests on gone from Genesis: a note of each, and the same weights."""
    good(diffcar("train-e2e", *SMALL, "--no-certify", "--out=quick"))
    slow = subprocess.run(
        [sys.executable, "-c", _ANOTHER_GENESIS, "train-e2e", *SMALL, "--no-certify", "--out=slow"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=900,
    )
    assert slow.returncode == 0, slow.stderr
    told = re.findall(r"note: .* has a fast path for (.+): so it is as slow", slow.stderr)
    hooks = ["cached adjoints", "decorators", "saving kernels", "saving kernels early"]
    assert sorted(told) == [*hooks, "the name of the CPU"]
    weights = [
        torch.load(tmp_path / run / "checkpoints" / "last.pt", weights_only=True)["network"]
        for run in ("quick", "slow")
    ]
    for name, weight in weights[0].items():
        assert torch.dist(weight, weights[1][name]) <= 1e-9 * weight.norm(), name


@pytest.mark.usefixtures("_four_cars")
def test_an_expert_is_recorded(diffcar: Run, tmp_path: Path) -> None:
    """A row a step of every car."""
    arguments = ["--precision=64", "--episodes", "4", "--duration", "0.2", "--out", "d.csv"]
    good(diffcar("record", *arguments))
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    assert len(rows) == 4 * 10
    assert all(float(row["speed_command_mps"]) > 0 for row in rows)


def test_a_car_is_driven_in_both_engines_and_filmed(diffcar: Run, tmp_path: Path) -> None:
    """Side by side, a car at rest that is asked for nothing; and a film of it in Genesis."""
    short = ["--controller=zero", "--precision=64", "--set=max_time=0.1", "--json=-"]
    figures = json.loads(good(diffcar("simulate", *short, "--engine=mujoco")).stdout)
    for engine in (figures, figures["genesis"]):
        assert engine["num_steps"] == 5
        assert engine["completion"] == pytest.approx(0.0, abs=1e-3)
    good(diffcar("simulate", *short, "--video=v.mp4"))
    assert b"ftyp" in (tmp_path / "v.mp4").read_bytes()[:16]


SHORT = [
    "--set=certificate.horizons=[1,10]",
    "--set=certificate.num_directions={rolling: 3, sliding: 1, airborne: 1}",
]


def test_shipped_car_is_certified(
    diffcar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0, four parts on stdout, and every figure in the JSON; by two processes."""
    monkeypatch.setattr("diffcar.checks.car._WORTH_A_PROCESS", 10)
    monkeypatch.setattr("diffcar.checks.car._num_cores", lambda: 2)
    done = good(diffcar("check-grad", *SHORT, "--json", "c.json"))
    for part in ("gradient status", "ways to get a gradient", "numeric", "plain mode", "certified"):
        assert part in done.stdout
    assert "not certified" not in done.stdout
    figures = json.loads((tmp_path / "c.json").read_text())
    assert formats.differing(figures, "check-grad") == []
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


def test_an_adopted_car_is_certified_and_told_what_was_changed(
    diffcar: Run, tmp_path: Path
) -> None:
    """A URDF with every common slip, as training reads it."""
    model = str(resource_path("assets/buggy.urdf"))
    done = good(diffcar("check-grad", *SHORT, "--car", model, "--json", "c.json"))
    figures = json.loads((tmp_path / "c.json").read_text())
    assert figures["certified"] is True
    assert 0 < figures["worst_relative_error"] <= 1e-6
    assert (figures["wheel_shape"], figures["vehicle"]["drive"]) == ("sphere", "all")
    assert any("collide as spheres of 0.0535 m" in note for note in figures["notes"])
    assert "note: dry friction of joints is left out" in done.stderr


def test_cylinder_wheels_are_not_certified_as_genesis_comes(diffcar: Run, tmp_path: Path) -> None:
    """Exit code 1, and a hint that names both remedies."""
    car = resource_path("assets/car.xml").read_text()
    wheel = 'type="cylinder" size="0.0508 0.02" euler="1.5707963 0 0"'
    assert 'type="sphere" size="0.0508"' in car
    (tmp_path / "mine.xml").write_text(car.replace('type="sphere" size="0.0508"', wheel))
    done = diffcar("check-grad", *SHORT, "--model", "mine.xml", "--no-repairs")
    assert done.exit_code == 1, done.stderr
    assert "not certified" in done.stdout
    assert "--no-repairs" in done.stdout
    assert "colliding sphere" in done.stdout


SMALL_ARM = [
    "--set=num_envs=4",
    "--set=gradients.horizon=5",
    "--set=train.num_updates=2",
    "--set=train.horizon=5",
    "--set=reach.num_unseen_targets=4",
]


def test_franka_that_reaches_its_targets_passes_and_is_drawn_and_filmed(
    diffcar: Run, tmp_path: Path
) -> None:
    """Exit code 0 where the target is generous, with the tables and the files asked for."""
    files = ("--plot=p.png", "--video=v.mp4", "--json=r.json")
    done = good(diffcar("franka-test", *SMALL_ARM, "--set=reach.max_mean_distance=2", *files))
    result = json.loads((tmp_path / "r.json").read_text())
    assert formats.differing(result, "franka-test") == []
    assert [row["num_directions"] for row in result["certificates"]] == [4, 4]
    assert result["certificates"][1]["contact_fraction"] == 1.0
    assert len(result["losses"]) == 2
    for expected in ("no attribute 'get_qvel'", "certified", "reached", "gradient status"):
        assert expected in " ".join(done.stdout.split()), expected
    assert "none arrived" in done.stdout  # from get_qpos(), as the report found
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert b"ftyp" in (tmp_path / "v.mp4").read_bytes()[:16]


SMALL_PUSH = [
    "--precision=64",
    "--set=train.num_updates=3",
    "--set=train.num_envs=2",
    "--set=train.horizon=8",
    "--set=train.gradient_check_interval=1",
    "--set=evaluation.skip_distance=0",
    "--set=evaluation.unseen_paths=[circle]",
]


def test_a_push_is_reported_and_leaves_a_folder_to_go_on_with(diffcar: Run, tmp_path: Path) -> None:
    """Losses, checked gradients, figures on both paths, pictures, metrics and a checkpoint."""
    push = ("train-e2e", "--entity", "mpm")
    begun = good(diffcar(*push, *SMALL_PUSH, "--stop-after=2", "--out=r", "--json=begun.json"))
    assert "--entity mpm --resume r" in begun.stderr
    stopped = json.loads((tmp_path / "begun.json").read_text())
    assert len(stopped["losses"]) == 2
    assert stopped["is_interrupted"]
    along, *within_tensors = stopped["errors_before_training"]
    assert along < 1e-6
    assert len(within_tensors) == 2
    assert max(within_tensors) < 1e-3
    assert sorted(stopped["errors_in_training"])[len(stopped["errors_in_training"]) // 2] < 0.1
    done = good(diffcar(*push, "--resume=r", "--json=r.json"))
    result = json.loads((tmp_path / "r.json").read_text())
    assert formats.differing(result, "train-e2e --entity mpm") == []
    assert [score["is_unseen"] for score in result["scores"]] == [False, True]
    assert "circle, unseen" in done.stdout
    for name in ("training", "push-0-random", "push-1-circle"):
        assert (tmp_path / "r" / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "r" / "metrics.csv").open(newline="") as file:
        assert [row["iteration"] for row in csv.DictReader(file)] == list("0123")
    refused = diffcar("simulate", "--controller", "r")
    assert refused.exit_code == 2
    assert "trained for the task 'pushing'" in refused.stderr


def test_interrupt_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C in a process of its own: a checkpoint, its updates, and a command to continue."""
    write_foreign_log(tmp_path / "log.csv", has_gap=False)
    columns = [f"--column={name}={theirs}" for name, theirs in THEIRS.items()]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "diffcar", "train-bc", "--data=log.csv", "--path=circle"),
            *("--set=evaluation.num_envs=4", "--set=evaluation.duration=0.1"),
            *columns,
            *("--set=train.num_updates=100000", "--set=train.patience=100000", "--out=run"),
        ],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "run" / "metrics.csv"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.is_file() and len(metrics.read_text().splitlines()) > 4:
            break
        time.sleep(0.1)
    process.send_signal(SIGINT)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 130, messages
    assert "--resume run" in messages
    assert "Traceback" not in messages
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    rows = list(csv.DictReader(metrics.open()))
    assert saved["trainer"]["num_updates_done"] == int(rows[-1]["iteration"]) >= 3
