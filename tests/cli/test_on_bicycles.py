"""Commands from the first option to the last file, on bicycles: what a user sees and keeps."""

import csv
import errno
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import Result

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError
from diffcar.comparison import runs, suite
from diffcar.controllers.choose import choose_controller
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.observation import PathObserver
from diffcar.demonstrations.files import read_demonstrations
from diffcar.export import export
from diffcar.export.config import ExportConfig
from diffcar.export.subject import load_subject
from diffcar.path.load import load_path
from diffcar.sim.model.read import load_vehicle
from diffcar.tasks.tracking import simulate
from diffcar.tasks.tracking.drive import drive
from tests import formats
from tests.bicycle import Bicycle
from tests.demonstrations.recorded import THEIRS, write_foreign_log
from tests.path.test_laps import drive as logged_drive
from tests.samples import VEHICLE, road, write_loop
from tests.sim.model.cars import urdf

pytestmark = [
    pytest.mark.usefixtures("_on_bicycles"),
    pytest.mark.filterwarnings("error:.*legend:UserWarning"),
]
Run = Callable[..., Result]

SMALL = [
    "--path=circle",
    "--set=train.num_updates=3",
    "--set=dt=0.05",
    "--set=evaluation.duration=0.4",
    "--set=evaluation.num_envs=4",
]
E2E = ["--set=train.num_envs=4", "--set=train.horizon=8", "--set=precision=64"]
PPO = ["--set=train.num_envs=4", "--set=train.num_steps=8"]

SIMULATE = ["simulate", "--path=line", "--csv=t.csv", "--plot=p.png"]
RECORD = ["record", "--path=circle", "--out=d.csv", "--episodes=2", "--duration=1"]
TRAIN = ["train-e2e", *SMALL, *E2E, "--no-certify", "--set=evaluation.unseen_paths=[slalom]"]


def header_of(file: Path) -> list[str]:
    return file.read_text().partition("\n")[0].split(",")


def good(done: Result) -> Result:
    assert done.exit_code == 0, done.stderr
    return done


def result_of(done: Result) -> Any:
    return json.loads(good(done).stdout)


def test_training_through_physics_is_stopped_and_goes_on_and_its_run_drives(
    diffcar: Run, tmp_path: Path
) -> None:
    """Certificate, hops and spot check are shown; then `simulate` without a name finds the run."""
    unseen = "--set=evaluation.unseen_paths=[obstacle-avoidance]"
    arguments = ["train-e2e", *SMALL, *E2E, unseen, "--out", "runs/a"]
    begun = good(diffcar(*arguments, "--no-certify", "--stop-after", "2"))
    assert "go on with: diffcar train-e2e --resume runs/a" in begun.stderr
    assert "gradient status" in begun.stdout
    assert "none arrived" not in begun.stdout
    assert max(map(len, begun.stderr.splitlines())) <= 120
    resumed = diffcar("train-e2e", "--resume", "runs/a", "--json", "-")
    ended = result_of(resumed)
    assert formats.differing(ended, "train-e2e") == []
    assert ended["certificate"]["num_updates"] == 2
    assert "gradient against finite differences: before update 3, " in resumed.stderr
    assert (ended["num_updates"], len(ended["losses"])) == (3, 1)
    assert all(hop["requires_grad"] and hop["gradient_norm"] > 0 for hop in ended["hops"])
    assert ended["certificate"]["verdict"].startswith("right")
    run = tmp_path / "runs" / "a"
    assert header_of(run / "metrics.csv") == formats.CSV["metrics of train-e2e"]
    for made in formats.RUN_FOLDER:
        assert (run / made).is_file(), made
    assert (run / "certificate.json").is_file()
    assert (run / "plots" / "drive-1-obstacle-avoidance.png").is_file()
    assert list((run / "tensorboard").iterdir())
    again = diffcar(*arguments)
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    driven = result_of(diffcar("simulate", "--json", "-", "--set", "max_time=0.2"))
    assert driven["controller"] == str(Path("runs") / "a")


@pytest.mark.usefixtures("_undrawn")
def test_a_run_for_real_cars_is_certified_goes_on_and_drives_late_ones(
    diffcar: Run, tmp_path: Path
) -> None:
    """By what `--robust` sets and what else was asked for; delay is felt, and told of nowhere."""
    own = "--set=evaluation.unseen_paths=[]", "--set=randomisation.mass_ratio=1.1"
    arguments = ["train-e2e", "--robust", *SMALL, *E2E, *own, "--out", "runs/a"]
    good(diffcar(*arguments, "--stop-after", "2"))
    ended = result_of(diffcar("train-e2e", "--resume", "runs/a", "--json", "-"))
    assert (ended["num_updates"], len(ended["losses"])) == (3, 1)
    assert ended["certificate"]["verdict"].startswith("right")
    config = yaml.safe_load((tmp_path / "runs" / "a" / "config.yaml").read_text())
    assert config["controller"]["past_commands"] == 12
    assert config["randomisation"]["delay_steps"] == [0, 3]
    assert config["randomisation"]["mass_ratio"] == 1.1
    late = [f"disturbance.delay_steps={number}" for number in (0, 3)]
    asked = "simulate", "--json", "-", "--set", "max_time=1", "--set", "skip_distance=0.1"
    errors = [result_of(diffcar(*asked, "--set", own))["heading_rmse_rad"] for own in late]
    assert errors[0] != errors[1]
    for refused in (["train-e2e", "--resume", "runs/a"], ["train-e2e", "--entity", "mpm"]):
        assert "--robust" in diffcar(*refused, "--robust").stderr


def test_simulate_without_arguments_drives_what_is_shipped_and_says_so(
    diffcar: Run, tmp_path: Path
) -> None:
    """No run yet: the shipped network on the figure-eight, tracked to a centimetre."""
    done = diffcar("simulate", "--json", "-", "--csv", "t.csv", "--plot", "p.png")
    figures = result_of(done)
    assert formats.differing(figures, "simulate") == []
    assert "the controller that comes with diffcar drives; `diffcar train-e2e`" in done.stderr
    assert (figures["controller"], figures["path"]) == ("shipped", "figure-eight")
    assert figures["completion"] == pytest.approx(1.0)
    assert 0 < figures["cross_track_rmse_m"] < 0.03
    assert figures["cross_track_rmse_m"] <= figures["cross_track_max_m"]
    assert header_of(tmp_path / "t.csv") == formats.CSV["simulate"]
    assert len((tmp_path / "t.csv").read_text().splitlines()) == figures["num_steps"] + 1
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_car_of_ones_own_is_driven_by_pure_pursuit_until_it_is_trained(diffcar: Run) -> None:
    """The shipped network knows the shipped car alone."""
    done = diffcar("simulate", "--car=racer", "--json=-", "--set=max_time=0.2")
    assert result_of(done)["controller"] == "pure-pursuit"
    assert "pure pursuit drives" in done.stderr


C = ["export", "shipped", "--format=c", "--path=circle"]


def test_a_controller_is_exported_and_drives_a_lap_as_the_network_does(
    diffcar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every format that can be had here; nothing is replaced that nobody has named."""
    formats_here = ["--format=torchscript", "--format=c"]
    result = result_of(diffcar(*C, *formats_here, "--json=-"))
    assert formats.differing(result, "export") == []
    assert (result["agrees"], result["controller"], result["path"]) == (True, "shipped", "circle")
    for each in result["formats"]:
        assert each["agrees"] is not False
        assert all((tmp_path / "exported" / name).is_file() for name in each["files"])
    contract = json.loads((tmp_path / "exported" / "contract.json").read_text())
    assert (contract["dt_s"], contract["path"]["name"]) == (0.02, "circle")
    refused = diffcar(*C)
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    monkeypatch.setattr("diffcar.export.formats.compiler", lambda: None)  # once is enough
    good(diffcar(*C, "--overwrite", "--precision=64", "--set=path.top_speed=2"))
    contract = json.loads((tmp_path / "exported" / "contract.json").read_text())
    assert (contract["precision"], contract["path"]["top_speed_mps"]) == (64, 2.0)


@pytest.mark.usefixtures("_undrawn")
def test_a_path_is_that_of_the_training_with_what_is_set(diffcar: Run) -> None:
    """Limits are kept for another path, its place and its size are not."""
    arguments = ["--set=path.top_speed=2.5", "--set=path.scale=0.9", "--out=run"]
    good(diffcar(*TRAIN, *arguments))
    for own, name, scale in (({}, "circle", 0.9), ({"source": "sine"}, "sine", 1.0)):
        given = {"controller": "run", "path": own}
        path = load_subject(load_config(ExportConfig, flags=given), []).path
        assert (path.name, float(path.samples[:, 4].max())) == (name, pytest.approx(2.5))
        assert path.length == pytest.approx(scale * road(name).length, rel=1e-3)


@pytest.mark.usefixtures("_undrawn")
def test_a_path_of_another_car_is_that_of_its_training_too(diffcar: Run) -> None:
    """What suits the car is nothing that was set; a share of the grip replaces what suited it."""
    good(diffcar(*TRAIN, "--car=sedan", "--set=path.top_speed=5", "--out=run", "--stop-after=1"))
    for own in ({}, {"source": "sine"}, {"grip": 0.9}):
        given = {"controller": "run", "model": "sedan", "path": own}
        path = load_subject(load_config(ExportConfig, flags=given), []).path
        assert float(path.samples[:, 4].max()) == pytest.approx(5.0)
        assert path.name == own.get("source", "circle")


def test_the_threads_of_a_caller_are_left_to_it(tmp_path: Path) -> None:
    """Whatever comes of the export, which needs one alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with pytest.raises(CheckpointError):
        export.run(ExportConfig(controller=str(tmp_path), formats=["c"]), out=tmp_path)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_what_cannot_be_exported_is_told(
    diffcar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network, no package, no compiler: what would help, and C is written all the same."""
    for name in ("stanley", "steady_car:Steady"):
        refused = diffcar("export", name)
        assert refused.exit_code == 2
        assert "is no network" in refused.stderr
    refused = diffcar("export", "--car", "sedan")
    assert refused.exit_code == 2
    assert "there is no network for the car 'sedan'" in refused.stderr
    assert "diffcar train-e2e --car sedan; or drop --car" in refused.stderr
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused = diffcar("export", "shipped")
    assert refused.exit_code == 2
    assert "pip install 'diffcar[onnx]'" in refused.stderr
    assert not (tmp_path / "exported").exists()
    monkeypatch.setattr("diffcar.export.formats.compiler", lambda: None)
    done = good(diffcar(*C))
    assert "c is written, and was not run" in done.stderr
    assert (tmp_path / "exported" / "diffcar_controller.c").is_file()


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of files for which there is no space."""
    names: set[str] = set()
    replace = Path.replace

    def refuse(file: Path, target: Path) -> Path:
        if target.name in names:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return names


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize(
    ("arguments", "lost", "remaining"),
    [
        (SIMULATE, {"t.csv"}, {"p.png", "r.json"}),
        (SIMULATE, {"p.png", "r.json"}, {"t.csv"}),
        (RECORD, {"d.csv"}, {"r.json"}),
        (RECORD, {"r.json"}, {"d.csv"}),
        (TRAIN, {"drive-0-circle.png"}, {"r.json", "training.png", "drive-1-slalom.png"}),
        (TRAIN, {"training.png"}, {"r.json", "drive-0-circle.png", "drive-1-slalom.png"}),
    ],
)
def test_what_finds_no_space_on_the_disk_loses_nothing_else(
    arguments: list[str],
    lost: set[str],
    remaining: set[str],
    diffcar: Run,
    full: set[str],
    tmp_path: Path,
) -> None:
    """The figures are shown, the other files are there, and the command has failed."""
    full |= lost
    done = diffcar(*arguments, "--json=r.json")
    assert done.exit_code == 2
    assert "cross-track RMSE" in done.stdout
    assert {file.name for file in tmp_path.rglob("*")} & (lost | remaining) == remaining
    assert not list(tmp_path.rglob(".diffcar-*"))
    error = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert error.count("No space left on device") == len(lost)
    assert all(name in error for name in lost)
    assert "hint: free some space" in done.stderr
    assert not any(f"wrote {name}" in done.stderr for name in lost)


def test_names_are_no_markup_and_no_formulas(diffcar: Run, tmp_path: Path) -> None:
    """Brackets and dollars stay what they are in tables, notes, pictures and files."""
    (tmp_path / "[red]a$b$.csv").write_text("x,y\n" + "".join(f"{n},0\n" for n in range(9)))
    outputs = {"--csv": "[b]c$_$.csv", "--plot": "[i]p$x_$.png", "--json": "[0]$"}
    named = [f"{option}={name}" for option, name in outputs.items()]
    done = good(diffcar("simulate", "--path=[red]a$b$.csv", "--set=max_time=0.2", *named))
    assert "[red]a$b$" in done.stdout
    for name in outputs.values():
        assert f"wrote {name}" in done.stderr
        assert (tmp_path / name).is_file()


def test_zero_controller_goes_nowhere_and_nothing_is_invented(diffcar: Run) -> None:
    """A car that stays at rest has no errors after two metres: null, not zero, in both engines."""
    arguments = ["--controller", "zero", "--engine", "mujoco", "--set", "max_time=0.5"]
    done = diffcar("simulate", *arguments, "--json", "-")
    figures = result_of(done)
    assert "difference" in done.stderr
    assert formats.differing(figures, "simulate in mujoco") == []
    assert figures["engine"] == "mujoco"
    for engine in (figures, figures["genesis"]):
        assert engine["num_steps"] == 25
        assert engine["completion"] == pytest.approx(0.0, abs=1e-3)
        assert engine["cross_track_rmse_m"] is None
    assert figures["difference_percent"]["cross_track_rmse_m"] is None


def columns_of(file: Path, *names: str) -> torch.Tensor:
    rows = list(csv.DictReader(file.open()))
    numbers = [[float(row[name]) for name in names] for row in rows]
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.mark.usefixtures("_undrawn")
def test_a_track_in_utm_coordinates_is_driven_as_the_local_one(
    diffcar: Run, tmp_path: Path
) -> None:
    """To 0.05 mm in 32 bits, written in the file's coordinates; the JSON says what was read."""
    figures = []
    for name, east, north in (("near", 0.0, 0.0), ("far", 600000.4, 5300000.7)):
        write_loop(tmp_path / f"{name}.csv", east=east, north=north)
        arguments = ["--path", f"{name}.csv", "--csv", f"{name}-t.csv", "--plot", f"{name}.png"]
        arguments += ["--set", "dt=0.04", "--json", "-"]
        done = diffcar("simulate", "--controller", "stanley", *arguments)
        figures.append(result_of(done))
        assert "a loop, read as x, y" in done.stderr
    near, far = figures
    assert far["cross_track_rmse_m"] == pytest.approx(near["cross_track_rmse_m"], abs=1e-5)
    assert (near["path_origin_m"], far["path_origin_m"]) == ([0, 0], [600000, 5300000])
    assert (far["path_is_loop"], far["path_columns"]) == (True, ["x", "y"])
    assert "taken for a loop by the gap" in far["notes"][-1]
    assert any("(600000, 5300000) m as the origin" in note for note in far["notes"])
    here, there = (columns_of(tmp_path / f"{name}-t.csv", "x_m", "y_m") for name in ("near", "far"))
    moved = there - torch.tensor([600000.4, 5300000.7], dtype=torch.float64)
    assert float((moved - here).abs().max()) < 5e-5


@pytest.mark.usefixtures("_undrawn")
def test_a_lap_of_a_log_is_driven_in_its_own_coordinates(diffcar: Run, tmp_path: Path) -> None:
    """By columns that are told, cut and smoothed; notes and JSON tell of it."""
    _, positions, _ = logged_drive("oval", 1, num_points=600, num_parked=60)
    rows = "\n".join(f"{x + 5000:.4f};{y:.4f};7" for x, y in positions)
    (tmp_path / "log.csv").write_text(f"there;yonder;gear\n{rows}")
    arguments = ["--path=log.csv", "--lap", "--column=x=there", "--column", "y=yonder*1"]
    arguments += ["--csv=t.csv", "--plot=p.png", "--set=max_time=0.5", "--json=-"]
    figures = result_of(diffcar("simulate", "--controller=stanley", *arguments))
    assert (figures["path_is_loop"], figures["path_columns"]) == (True, ["x", "y", "ignore"])
    assert (figures["path_origin_m"], figures["path_origin_deg"]) == ([5000, 0], None)
    assert any(note.startswith("a lap of 39.") for note in figures["notes"])
    driven = columns_of(tmp_path / "t.csv", "x_m", "y_m")
    nearest = torch.cdist(driven, torch.as_tensor(positions) + torch.tensor([5000.0, 0.0])).min(1)
    assert float(nearest.values.max()) < 0.1


def test_what_is_recorded_far_from_the_origin_is_there_and_can_be_learnt_from(
    diffcar: Run, tmp_path: Path
) -> None:
    """The columns are in the file's coordinates, and observations are derived from them."""
    write_loop(tmp_path / "far.csv", east=600000.4, north=5300000.7)
    arguments = ["--path", "far.csv", "--episodes", "4", "--duration", "0.5"]
    figures = result_of(diffcar("record", *arguments, "--json", "-"))
    assert figures["path_origin_m"] == [600000, 5300000]
    file, config = tmp_path / figures["file"], ControllerConfig()
    off = columns_of(file, "x_m", "y_m") - torch.tensor([600000.4, 5300000.7], dtype=torch.float64)
    assert 2.0 < float(off.norm(dim=-1).min()) < float(off.norm(dim=-1).max()) < 4.0
    recorded = read_demonstrations([file], controller_config=config, vehicle=VEHICLE)
    other = ControllerConfig(curvature_preview=config.curvature_preview[:2])
    path = load_path(str(tmp_path / "far.csv")).to(torch.float32)
    derived = read_demonstrations([file], controller_config=other, vehicle=VEHICLE, path=path)
    size = len(PathObserver.names(other)) - len(other.speed_preview)
    difference = derived.observation[:, :size] - recorded.observation[:, :size]
    assert float(difference.abs().max()) < 1e-3


def test_a_drive_without_figures_is_refused_or_says_so(diffcar: Run, tmp_path: Path) -> None:
    """A short path is measured from its quarter; no path is left out as a whole."""
    (tmp_path / "short.csv").write_text("x,y\n" + "".join(f"{x / 10},0\n" for x in range(16)))
    arguments = ["simulate", "--controller", "stanley", "--path", "short.csv", "--json", "-"]
    figures = result_of(diffcar(*arguments, "--set", "start_cross_track=0.02"))
    assert figures["skip_distance_m"] == pytest.approx(1.5 / 4)
    assert 0 < figures["cross_track_rmse_m"] < 0.02
    assert (figures["completion"], figures["got_going"]) == (1.0, 1.0)
    for skipped in ("1.5", "1000"):
        refused = diffcar(*arguments, "--set", f"skip_distance={skipped}")
        assert refused.exit_code == 2
        assert "leaves nothing of 'short'" in refused.stderr
        assert "hint:" in refused.stderr
    still = diffcar("simulate", "--controller", "zero", "--set", "max_time=0.1")
    assert "no errors: the car did not come past the first 2 m" in good(still).stderr


def test_recording_is_written_once_and_reads_back(diffcar: Run, tmp_path: Path) -> None:
    """A row a step of every car, with what the network observes; never over an earlier one."""
    arguments = ["record", "--episodes", "4", "--duration", "0.5", "--json", "-"]
    figures = result_of(diffcar(*arguments))
    assert formats.differing(figures, "record") == []
    assert (figures["expert"], figures["path"]) == ("pure-pursuit", "random")
    assert (figures["num_rows"], figures["num_noisy_episodes"]) == (4 * 25, 3)
    assert figures["noisy_row_share"] == 0.75
    file, config = tmp_path / figures["file"], ControllerConfig()
    assert header_of(file) == formats.CSV["record"]
    recorded = read_demonstrations([file], controller_config=config, vehicle=VEHICLE)
    assert recorded.observation.shape == (100, PathObserver.size(config))
    assert recorded.episode.bincount().tolist() == [25] * 4
    assert 0.1 < float(recorded.output.abs().max()) <= 1.0
    other = ControllerConfig(curvature_preview=config.curvature_preview[:2])
    derived = read_demonstrations(
        [file], controller_config=other, vehicle=VEHICLE, path=road("random", seed=0)
    )
    size = len(PathObserver.names(other)) - len(other.speed_preview)
    difference = derived.observation[:, :size] - recorded.observation[:, :size]
    assert float(difference.abs().max()) < 1e-3
    again = diffcar(*arguments)
    assert again.exit_code == 2
    assert "--out" in again.stderr
    both = diffcar("record", "--out", "new.csv", "--json", "./new.csv")
    assert (both.exit_code, "named for two results" in both.stderr) == (2, True)
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.usefixtures("_unpainted")
def test_a_log_of_another_tool_is_cloned_and_the_clone_drives(diffcar: Run, tmp_path: Path) -> None:
    """An empty cell is named, or its row left out and counted; then `simulate` takes the run."""
    write_foreign_log(tmp_path / "log.csv")
    columns = [f"--column={name}={theirs}" for name, theirs in THEIRS.items()]
    alone = "--set=evaluation.unseen_paths=[]"
    arguments = ["train-bc", "--data", "log.csv", *columns, *SMALL, alone, "--out", "run"]
    refused = diffcar(*arguments)
    assert refused.exit_code == 2, refused.stderr
    assert "'log.csv' row 42, column 'delta_deg': empty" in refused.stderr
    assert "--skip-incomplete" in refused.stderr
    assert not (tmp_path / "run").exists()
    cloned = good(diffcar(*arguments, "--skip-incomplete", "--json", "bc.json"))
    assert "incomplete rows that were left out: 1" in cloned.stderr
    assert "no wheel slipped" in cloned.stderr
    result = json.loads((tmp_path / "bc.json").read_text())
    assert formats.differing(result, "train-bc") == []
    assert header_of(tmp_path / "run" / "metrics.csv") == formats.CSV["metrics of train-bc"]
    assert (result["num_rows"], result["num_skipped_rows"]) == (299, 1)
    assert result["num_updates"] == len(result["losses"]) == 3
    assert result["validation_loss"] > 0
    car = Bicycle(2)
    clone = choose_controller(str(tmp_path / "run")).build(car)
    standing = torch.tensor([True, False])
    driven = drive(car, clone, road("circle"), is_standing=standing, max_time=0.5)
    assert driven.trajectory.num_steps == 25
    assert float(driven.trajectory.action[..., 0].abs().max()) > 1e-4


@pytest.mark.usefixtures("_unpainted")
def test_reinforcement_learning_goes_on_and_its_run_is_no_other_method_s(
    diffcar: Run, tmp_path: Path
) -> None:
    """Two updates, stopped, and the third; `train-bc` leaves the run alone."""
    pytest.importorskip("rsl_rl")
    alone = "--set=evaluation.unseen_paths=[]"
    begun = good(diffcar("train-ppo", *SMALL, *PPO, alone, "--out", "run", "--stop-after", "2"))
    assert "go on with: diffcar train-ppo --resume run" in begun.stderr
    result = result_of(diffcar("train-ppo", "--resume", "run", "--json", "-"))
    assert formats.differing(result, "train-ppo") == []
    assert header_of(tmp_path / "run" / "metrics.csv") == formats.CSV["metrics of train-ppo"]
    assert (result["num_updates"], len(result["losses"])) == (3, 1)
    assert result["num_env_steps"] == 3 * 8 * 4
    assert result["is_interrupted"] is False
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert [row["iteration"] for row in rows] == ["0", "1", "2", "3"]
    assert all(float(row["action_std"]) > 0 for row in rows[1:])
    other = diffcar("train-bc", "--resume", "run")
    assert other.exit_code == 2, other.stderr
    assert "hint: diffcar train-ppo --resume" in other.stderr


@pytest.mark.usefixtures("_unpainted")
def test_a_comparison_is_told_and_written(
    diffcar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, sentences and files, with a run that was there already."""
    monkeypatch.setattr(suite, "_CONTROLLERS_AT_ONCE", 4)
    monkeypatch.setattr(runs, "_NUM_EVALUATION_CARS", 4)
    alone = "--set=evaluation.unseen_paths=[]"
    good(diffcar("train-e2e", "--no-certify", *SMALL, *E2E, alone, "--out", "run"))
    done = diffcar(
        "compare",
        "--set=methods=[e2e, stanley]",
        "--set=seeds=[0]",
        "--set=dt=0.05",
        "--set=num_snapshots=2",
        "--set=suite.paths=[{source: obstacle-avoidance}]",
        "--set=suite.conditions={}",
        "--set=suite.engines=[genesis]",
        "--set=tuning={num_generations: 1, num_candidates: 8, duration: 1.0}",
        "--load=e2e=run",
        "--out=c",
        "--json=c.json",
    )
    assert "open c/report.html" in " ".join(good(done).stdout.split())
    result = json.loads((tmp_path / "c.json").read_text())
    assert formats.differing(result, "compare") == []
    for name in ("scores", "curves"):
        assert header_of(tmp_path / "c" / f"{name}.csv") == formats.CSV[f"{name} of compare"]
    for name in ("learning-curves", "conditions", "tracks"):
        picture = tmp_path / "c" / "plots" / f"{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert "stanley" in done.stdout
    assert json.loads((tmp_path / "c" / "comparison.json").read_text()).keys() == result.keys()


@pytest.mark.usefixtures("_unpainted", "_undrawn")
def test_a_shipped_suite_is_compared_by_its_settings_and_those_that_are_given(
    diffcar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit of grip: the racing car, and a table by grip in each engine."""
    monkeypatch.setattr(suite, "_CONTROLLERS_AT_ONCE", 4)
    road = "{source: obstacle-avoidance, top_speed: 3.0, grip"
    done = diffcar(
        *("compare", "--suite=limit", "--set=methods=[stanley]", "--set=seeds=[0]"),
        "--set=dt=0.05",
        f"--set=suite.paths=[{road}: 0.5}}, {road}: 0.9}}]",
        "--set=suite.conditions={}",
        "--set=tuning={num_generations: 1, num_candidates: 8, duration: 1.0}",
        *("--out=c", "--json=c.json"),
    )
    shown = good(done).stdout
    for engine in ("Genesis", "MuJoCo"):
        assert f"nominal drives in {engine}, by the share of the grip" in shown
    assert "stanley finishes all drives" in " ".join(shown.split())
    result = json.loads((tmp_path / "c.json").read_text())
    assert set(formats.differing(result, "compare")) == {
        f"grips.{name}"
        for name in (
            *("method", "engine", "condition", "grip", "finished", "cross_track_rmse_m"),
            *("cross_track_p95_m", "cross_track_max_m", "time_over_profile"),
        )
    }
    assert result["paths"] == ["obstacle-avoidance at 50 %", "obstacle-avoidance at 90 %"]
    assert result["ranked_grip"] == 0.9
    assert (tmp_path / "c" / "plots" / "grips.png").read_bytes().startswith(b"\x89PNG")
    begun_with = yaml.safe_load((tmp_path / "c" / "compare.yaml").read_text())
    assert begun_with["model"] == "racer"
    assert begun_with["controller"]["preview_unit"] == "s"
    assert begun_with["e2e"]["ramp_updates"] == 80


def test_ones_own_controller_drives_and_a_slip_in_it_is_told_first(
    diffcar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no name; what is not there is refused before a scene is built."""
    source = """
        import torch

        class Steady:
            def __init__(self, vehicle):
                self.vehicle = vehicle

            def __call__(self, state, errors):
                return torch.stack([-errors.cross_track_error, 0 * state.speed + 1.0], -1)
        """
    (tmp_path / "steady_car.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ("simulate", "--path", "line", "--controller")
    result = result_of(diffcar(*own, "steady_car:Steady", "--json=-", "--set=max_time=0.2"))
    assert result["controller"] == "steady_car:Steady"
    monkeypatch.setattr(simulate, "build_scene", None)
    refused = diffcar(*own, "steady_car:Steedy")
    assert refused.exit_code == 2
    assert "has no 'Steedy'" in refused.stderr


def test_grip_is_measured_and_kept_beside_a_model_of_ones_own(diffcar: Run, tmp_path: Path) -> None:
    """Then a path may ask for a share of it, and a drive tells how much it used."""
    model = tmp_path / "own.xml"
    model.write_text(load_vehicle("racer").file.read_text())
    drive = ["simulate", f"--car={model}", "--controller=stanley", "--path=circle", "--grip=0.5"]
    refused = diffcar(*drive)
    assert refused.exit_code == 2
    assert "diffcar measure-grip" in refused.stderr
    found = result_of(diffcar("measure-grip", f"--car={model}", "--json=-"))
    assert Path(found["file"]) == tmp_path / "own.grip.csv"
    assert (tmp_path / "own.steering.csv").is_file()
    assert len(found["accelerations_mps2"]) == len(found["speeds_mps"])
    flying = ["--start=flying", "--set=path.top_speed=9", "--json=-", "--plot=gg.png"]
    driven = result_of(diffcar(*drive, *flying))
    assert driven["grip_used_p95"] == pytest.approx(0.5, abs=0.1)
    assert driven["arrival_s"] == pytest.approx(driven["reference_s"], rel=0.2)


@pytest.mark.usefixtures("_undrawn")
def test_a_run_carries_its_car_wherever_it_is(diffcar: Run, tmp_path: Path) -> None:
    """It goes on and drives where the user's file is gone and the folder is somewhere else."""
    (tmp_path / "mine.urdf").write_text(urdf())
    begun = good(diffcar(*TRAIN, "--car=mine.urdf", "--out=a", "--stop-after=1"))
    assert "note: the wheels collide as spheres of 0.05 m" in begun.stderr
    # That the run has its own by now is no other car.
    good(diffcar("train-e2e", "--resume=a", "--car=mine.urdf", "--no-certify", "--stop-after=1"))
    (tmp_path / "mine.urdf").unlink()
    (tmp_path / "a").rename(tmp_path / "moved")
    good(diffcar("train-e2e", "--resume=moved", "--no-certify"))
    for controller in ("moved", "moved/checkpoints/last.pt"):
        drive = ("simulate", f"--controller={controller}", "--json=-", "--set=max_time=0.2")
        driven = result_of(diffcar(*drive))
        assert not [note for note in driven["notes"] if "trained with" in note]
    (tmp_path / "moved" / "car" / "car.json").write_text("{")
    done = diffcar("simulate", "--controller=moved")
    assert done.exit_code == 2
    assert "car.json' is damaged" in done.stderr


@pytest.mark.parametrize("command", ["simulate", "record"])
def test_every_command_that_drives_takes_any_car(
    command: str, diffcar: Run, tmp_path: Path
) -> None:
    """What was found and changed is told once."""
    (tmp_path / "mine.urdf").write_text(urdf().replace("_steering", "").replace("_wheel", ""))
    own = {
        "simulate": ["--controller=stanley", "--set=max_time=0.2"],
        "record": ["--out=d.csv", "--duration=1"],
    }
    done = good(diffcar(command, "--car=mine.urdf", "--path=circle", *own[command]))
    assert done.stderr.count("the wheels collide as spheres") == 1


@pytest.mark.usefixtures("_unpainted")
def test_a_training_that_ends_short_of_its_target_says_so_and_how_it_goes_on(
    diffcar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffcar.tasks.tracking.config._MOST_TO_TARGET", 3)
    own = [each for each in SMALL if "num_updates" not in each]
    done = good(diffcar("train-e2e", *own, *E2E, "--no-certify", "--out=run"))
    told = "it is not as good as train.target asks; to go on: diffcar train-e2e --resume run"
    assert told in done.stderr
