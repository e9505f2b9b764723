"""What a clone learns from: the same files when it goes on, and no leftovers of an attempt."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from diffcar.base.errors import DemonstrationError
from diffcar.training.bc.trainer import make_trainer
from diffcar.training.run import TrainingResult, train
from diffcar.training.run_folder import RunFolder
from tests.demonstrations.recorded import THEIRS, write_foreign_log
from tests.training.small import bicycle_scenes, config_of

# What its tests share is made in one worker alone.
pytestmark = pytest.mark.xdist_group("data of clones")

COLUMNS = "columns={" + ", ".join(f"{name}: {theirs}" for name, theirs in THEIRS.items()) + "}"
FEW = ("train.num_updates=4", "train.dagger_rounds=1")


def cloned(*overrides: str, **options: Any) -> TrainingResult:
    """Clone on bicycles."""
    config = config_of("bc", *FEW, *overrides)
    return train("bc", config, scenes=bicycle_scenes(config), **options)


def edit(file: Path) -> None:
    """Change one digit in the middle of a file."""
    lines = file.read_text().splitlines()
    lines[20] = lines[20][:-1] + str((int(lines[20][-1]) + 1) % 10)
    file.write_text("\n".join(lines) + "\n")


def exchange(file: Path) -> None:
    """Exchange a file and its neighbour."""
    other = file.with_name("second.csv" if file.name == "first.csv" else "first.csv")
    (was, is_now) = (file.read_bytes(), other.read_bytes())
    file.write_bytes(is_now)
    other.write_bytes(was)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that were stopped in their second round: on two files, and on a recording."""
    folder = tmp_path_factory.mktemp("stopped")
    write_foreign_log(folder / "first.csv", has_gap=False)
    lines = (folder / "first.csv").read_text().splitlines()
    (folder / "second.csv").write_text("\n".join(lines[:200]) + "\n")
    given = f"data=[{folder}/first.csv, {folder}/second.csv]"
    cloned(given, COLUMNS, out=folder / "given", stop_after=3)
    cloned(out=folder / "recorded", stop_after=3)
    return folder


@pytest.fixture
def begun(stopped: Path, tmp_path: Path) -> Path:
    """A copy of both."""
    return shutil.copytree(stopped, tmp_path / "begun")


def go_on(begun: Path, run: str) -> TrainingResult:
    """Resume one of the runs."""
    own = [f"data=[{begun}/first.csv, {begun}/second.csv]", COLUMNS] if run == "given" else []
    return cloned(*own, resume=begun / run)


@pytest.mark.usefixtures("_unpainted")
@pytest.mark.parametrize("run", ["given", "recorded"])
def test_a_clone_goes_on_with_its_data(run: str, begun: Path) -> None:
    """Wherever the files lie by now."""
    assert go_on(begun, run).num_updates == 4


@pytest.mark.parametrize(
    ("run", "name", "damage"),
    [
        ("given", "first.csv", edit),
        ("given", "second.csv", edit),
        ("given", "first.csv", exchange),
        ("recorded", "recorded/demonstrations-0.csv", edit),
        ("recorded", "recorded/demonstrations-1.csv", edit),
        ("given", "given/demonstrations-1.csv", edit),
    ],
)
def test_other_data_are_refused(run: str, name: str, damage: Any, begun: Path) -> None:
    """A digit that was changed, or another order; of recordings as of files that were given."""
    damage(begun / name)
    told = f"this run has learnt from '.*{name}', and '{begun / name}' is something else now"
    with pytest.raises(DemonstrationError, match=told):
        go_on(begun, run)


@pytest.mark.parametrize("number", [0, 1])
def test_a_recording_that_is_gone_is_missed(number: int, begun: Path) -> None:
    """The network of that time would have to drive again."""
    (begun / "recorded" / f"demonstrations-{number}.csv").unlink()
    with pytest.raises(DemonstrationError, match=f"demonstrations-{number}.csv' is missing"):
        go_on(begun, "recorded")


def test_what_an_attempt_has_left_is_not_learnt_from(begun: Path) -> None:
    """Its run has no checkpoint: who knows with which settings, and which expert, it began."""
    config = config_of("bc", *FEW)
    folder = RunFolder.make(begun / "again")
    left = (begun / "recorded" / "demonstrations-0.csv").read_text()
    edited = begun / "again" / "demonstrations-0.csv"
    edited.write_text(left)
    edit(edited)
    make_trainer(config, scenes=bicycle_scenes(config)).begin(folder)
    assert edited.read_text() == left
