"""`train`: the one sequence, whatever the method; what is stopped goes on exactly."""

import csv
import dataclasses
import errno
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from diffcar.base.config import dotted_values
from diffcar.base.errors import (
    CheckpointError,
    ConfigError,
    DemonstrationError,
    GradientError,
    OutputError,
    PathError,
)
from diffcar.base.files import resource_path
from diffcar.controllers.checkpoint import load_checkpoint
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.training.contract import UpdateRecord
from diffcar.training.methods import METHODS, Method, resume_hint
from diffcar.training.resuming import MAY_CHANGE
from diffcar.training.run import TrainingResult, require_method, train
from diffcar.training.run_folder import RunFolder
from tests.bicycle import Bicycle, bicycle_scenes
from tests.training.small import TRAINED_BY, config_of

pytest.importorskip("rsl_rl")


def trained(method: str, *overrides: str, **options: Any) -> TrainingResult:
    """Train on bicycles, whose gradients nobody has to prove."""
    config = config_of(method, *overrides)
    return train(method, config, scenes=bicycle_scenes(config), certify=False, **options)


def last_of(folder: Path) -> dict[str, Any]:
    return load_checkpoint(folder / "checkpoints" / "last.pt")


@pytest.mark.parametrize("method", TRAINED_BY)
def test_a_run_leaves_everything_behind(
    method: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Settings, figures, weights, curves and logs, and a result whose network has the best."""
    is_painted = method == "e2e"
    if not is_painted:
        request.getfixturevalue("_unpainted")
    request.getfixturevalue("_undrawn")
    result = trained(method, "evaluation.unseen_paths=[obstacle-avoidance]", out=tmp_path / "run")
    assert (result.num_updates, result.is_interrupted) == (4, False)
    for made in ("config.yaml", "metrics.csv", "checkpoints/last.pt", "checkpoints/best.pt"):
        assert (tmp_path / "run" / made).is_file(), made
    drawn = {file.name for file in (tmp_path / "run" / "plots").iterdir()}
    expected = {"training.png", "drive-0-circle.png", "drive-1-obstacle-avoidance.png"}
    assert drawn == (expected if is_painted else set())
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    best = load_checkpoint(tmp_path / "run")["network"]
    for name, weight in result.task.network.state_dict().items():
        assert torch.equal(weight, best[name]), name
    scores = result.findings["scores"]
    assert [(score.path, score.start) for score in scores] == [
        ("obstacle-avoidance", "standing"),
        ("obstacle-avoidance", "flying"),
    ]
    assert result.before is not None
    assert result.after == result.task.evaluate()
    assert result.as_json()["run_folder"] == str(tmp_path / "run")


@pytest.mark.usefixtures("_unpainted")
@pytest.mark.parametrize("method", ["e2e", "bc"])
def test_a_stopped_run_goes_on_exactly(method: str, tmp_path: Path) -> None:
    """The same losses and weights, bit for bit, as of a run in one piece."""
    overrides = ("train.dagger_rounds=1",) if method == "bc" else ("train.episode_updates=2",)
    whole = trained(method, *overrides, out=tmp_path / "whole")
    stopped = trained(method, *overrides, out=tmp_path / "parts", stop_after=3)
    assert stopped.is_interrupted
    assert stopped.after is None
    resumed = trained(method, *overrides, resume=tmp_path / "parts")
    assert resumed.num_updates == whole.num_updates == 4
    assert [*stopped.losses, *resumed.losses] == whole.losses
    weights = last_of(tmp_path / "whole")["network"]
    for name, weight in last_of(tmp_path / "parts")["network"].items():
        assert torch.equal(weight, weights[name]), name
    columns = [
        [row["loss"] for row in csv.DictReader((tmp_path / name / "metrics.csv").open())]
        for name in ("whole", "parts")
    ]
    assert columns[0] == columns[1]
    assert resumed.num_env_steps == whole.num_env_steps


@pytest.mark.usefixtures("_unpainted")
def test_a_finished_run_changes_nothing_when_it_is_resumed(tmp_path: Path) -> None:
    """There is no update left; it is driven again."""
    trained("e2e", out=tmp_path / "run")
    before = last_of(tmp_path / "run")["network"]
    again = trained("e2e", resume=tmp_path / "run")
    assert again.losses == []
    assert again.after is not None
    for name, weight in last_of(tmp_path / "run")["network"].items():
        assert torch.equal(weight, before[name]), name


def test_a_folder_that_is_taken_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    """Nothing in it is touched."""
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        train("e2e", config_of("e2e"), out=tmp_path, scenes="none that would be looked at")


@pytest.mark.usefixtures("_unpainted")
def test_a_run_of_another_method_is_sent_to_its_command(tmp_path: Path) -> None:
    """Not silently gone on with."""
    trained("bc", out=tmp_path / "run", stop_after=1)
    with pytest.raises(CheckpointError, match="of the method 'bc'") as caught:
        trained("e2e", resume=tmp_path / "run")
    assert caught.value.hint == f"diffcar train-bc --resume {tmp_path / 'run'}"
    assert resume_hint("e2e", "reaching", "r") == "diffcar franka-test --resume r"
    for own in (("e2e", "package.tasks:Own"), ("own", "tracking")):  # no command trains so
        assert resume_hint(*own) == "diffcar.train(..., resume=RUN)"


@pytest.mark.usefixtures("_unpainted")
def test_gradients_are_certified_before_a_training_that_uses_them(tmp_path: Path) -> None:
    """The certificate stands in the result and in the folder; a clone needs none."""
    config = config_of("e2e", "train.num_updates=1")
    result = train("e2e", config, out=tmp_path / "run", scenes=bicycle_scenes(config))
    assert result.certificate is not None
    assert str(result.certificate.verdict).startswith("right")
    written = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert written["num_directions"] == result.certificate.num_directions > 0
    assert written["worst_relative_error"] < 1e-5
    assert written["num_updates"] == 0
    assert {hop.requires_grad for hop in result.hops} == {True}
    more = config_of("e2e", "train.num_updates=2")
    train("e2e", more, resume=tmp_path / "run", scenes=bicycle_scenes(more))
    assert json.loads((tmp_path / "run" / "certificate.json").read_text()) == written
    later = json.loads((tmp_path / "run" / "certificate-000001.json").read_text())
    assert later["num_updates"] == 1
    config = config_of("bc", "train.num_updates=1")
    clone = train("bc", config, out=tmp_path / "clone", scenes=bicycle_scenes(config))
    assert (clone.certificate, clone.hops) == (None, [])


class Skewed(Bicycle):
    """Cars whose gradient is off by a tenth."""

    def read(self) -> CarState:
        state = super().read()
        wrong = state.position + 0.1 * (state.position - state.position.detach())
        return dataclasses.replace(state, position=wrong)


@pytest.mark.usefixtures("_unpainted")
def test_a_wrong_gradient_leaves_no_folder(tmp_path: Path) -> None:
    """It is told before anything is written, with what to do, and may be ignored on demand."""
    config = config_of("e2e", "train.num_updates=1")

    def build(*args: object, num_envs: int, differentiable: bool = False, **how: object) -> Skewed:
        return Skewed(num_envs, differentiable=differentiable, dt=config.dt)

    scenes = Scenes(config, build=build)  # type: ignore[arg-type]
    with pytest.raises(GradientError, match="the gradient is wrong") as caught:
        train("e2e", config, out=tmp_path / "run", scenes=scenes)
    assert "--no-certify" in (caught.value.hint or "")
    assert not (tmp_path / "run").exists()
    ignored = train("e2e", config, out=tmp_path / "run", scenes=scenes, certify=False)
    assert ignored.num_updates == 1


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    """Nobody becomes behaviour cloning by its name alone."""
    with pytest.raises(ConfigError, match="no method is called 'dager-e2e'") as caught:
        train("dager-e2e")
    assert "did you mean 'dagger-e2e'?" in (caught.value.hint or "")
    for name in METHODS:
        assert name in (caught.value.hint or "")


def test_a_task_that_a_method_does_not_train_for_is_refused() -> None:
    """With those that it does."""
    with pytest.raises(ConfigError, match="ppo does not train for the task 'pushing'") as caught:
        train("ppo", task="pushing")
    assert "tracking" in (caught.value.hint or "")


def test_a_package_that_a_method_needs_and_lacks_is_named() -> None:
    """With how to get it."""
    needy = Method(
        name="needy",
        label="",
        trainer="diffcar_nowhere.trainer:make",
        config={},
        section="",
        requires="diffcar-nowhere>=1",
    )
    with pytest.raises((ConfigError, ModuleNotFoundError)) as caught:
        require_method(needy)
    assert "diffcar_nowhere" in str(caught.value)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_complete(name: str) -> None:
    """What trains it is there, its settings are of their tasks, and whom it imitates exists."""
    how = METHODS[name]
    assert callable(require_method(how))
    for task, schema in how.config.items():
        assert schema.task == task
    if how.is_compared:
        assert how.colour.startswith("#")
        assert how.marker
    assert how.expert in {None, "pure-pursuit", "stanley", *METHODS}
    assert how.label
    assert how.recorded_as


@pytest.mark.usefixtures("_unpainted")
@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed=7", "seed 0 -> 7"),
        ("path.source=slalom", "path.source circle -> slalom"),
        ("loss.heading=1.0", "loss.heading 0.005 -> 1.0"),
        ("evaluation.num_envs=3", "evaluation.num_envs 2 -> 3"),
        ("train.num_envs=5", "train.num_envs 4 -> 5"),
        ("controller.hidden_sizes=[4]", "controller.hidden_sizes [8] -> [4]"),
    ],
)
def test_a_run_goes_on_with_the_settings_it_began_with(
    override: str, told: str, tmp_path: Path
) -> None:
    """Cars would go on from poses on another road, and the best score be that of another task."""
    trained("e2e", out=tmp_path / "run", stop_after=1)
    before = (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes()
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        trained("e2e", override, resume=tmp_path / "run")
    assert "train.num_updates" in (caught.value.hint or "")
    assert (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes() == before


@pytest.mark.usefixtures("_unpainted")
def test_a_run_may_go_on_for_longer_and_more_carefully(tmp_path: Path) -> None:
    """What is listed may change."""
    trained("e2e", out=tmp_path / "run", stop_after=1)
    changed = ("train.num_updates=5", "train.learning_rate=0.001", "evaluation.interval=1")
    assert trained("e2e", *changed, resume=tmp_path / "run").num_updates == 5
    schema = METHODS["e2e"].config["tracking"]
    known = dotted_values(schema().model_dump())
    assert {key for key in MAY_CHANGE if key not in known} == {
        "data",
        "train.patience",
    }  # of clones


@pytest.mark.usefixtures("_unpainted")
def test_a_disk_that_is_full_ends_with_a_sentence_and_a_run_that_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard's log only ends; the checkpoint before stays whole."""
    whole = trained("e2e", out=tmp_path / "whole")

    def full(file: Path, content: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill(event: object) -> None:
        if isinstance(event, UpdateRecord) and event.iteration == 2:
            disk.setattr(Path, "write_bytes", full)

    config = config_of("e2e", "train.checkpoint_interval=1")
    told = pytest.raises(OutputError, match="No space left on device")
    with monkeypatch.context() as disk, told as caught:
        train(
            "e2e",
            config,
            out=tmp_path / "run",
            scenes=bicycle_scenes(config),
            certify=False,
            on_update=fill,
        )
    assert "--resume" in (caught.value.hint or "")
    resumed = trained("e2e", "train.checkpoint_interval=1", resume=tmp_path / "run")
    assert [*whole.losses][1:] == resumed.losses


def wind(file: Path) -> Path:
    """Write a path."""
    points = ((0.1 * i, 0.3 * math.sin(0.1 * i)) for i in range(41))
    file.write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in points))
    return file


def furnish(folder: Path) -> Path:
    """Write the shipped car as somebody's own model, which includes a file and has a mesh."""
    shutil.copy(resource_path("assets/block.obj"), folder / "hull.obj")
    mesh = '<asset><mesh name="hull" file="hull.obj"/></asset>'
    (folder / "looks.xml").write_text(f"<mujocoinclude>{mesh}</mujocoinclude>")
    head, mujoco, rest = resource_path("assets/car.xml").read_text().partition("<compiler ")
    file = folder / "car.xml"
    file.write_text(f'{head}<include file="looks.xml"/>{mujoco}{rest}')
    return file


@pytest.mark.usefixtures("_unpainted")
@pytest.mark.parametrize("method", TRAINED_BY)
def test_a_run_goes_on_with_the_files_it_began_with(method: str, tmp_path: Path) -> None:
    """A path, or a model with what it includes, that was edited is told; ends of lines may vary."""
    own = f"path.source={wind(tmp_path / 'bend.csv')}", f"model={furnish(tmp_path)}"
    trained(method, *own, out=tmp_path / "run", stop_after=1)
    edits = {"bend.csv": b"5,0", "hull.obj": b"# mine"} | dict.fromkeys(
        ("car.xml", "looks.xml"), b"<!-- mine -->"
    )
    for name, edit in edits.items():
        file = tmp_path / name
        before = file.read_bytes()
        file.write_bytes(before + edit)
        with pytest.raises(ConfigError, match=rf"'\S+/{name}' is something else now") as caught:
            trained(method, *own, resume=tmp_path / "run")
        assert "begin a new run" in (caught.value.hint or "")
        file.write_bytes(before.replace(b"\n", b"\r\n") + b"\n\n")
    assert trained(method, *own, resume=tmp_path / "run", stop_after=1).num_updates == 2
    (tmp_path / "bend.csv").unlink()
    with pytest.raises(PathError, match="no such file exists"):
        trained(method, *own, resume=tmp_path / "run")


@pytest.mark.usefixtures("_unpainted")
def test_a_clone_goes_on_with_the_expert_that_it_still_asks(tmp_path: Path) -> None:
    """One that was trained on meanwhile would correct it otherwise; without DAgger it may."""
    trained("e2e", out=tmp_path / "expert", stop_after=2)
    for rounds in (0, 1):
        own = f"expert={tmp_path / 'expert'}", f"train.dagger_rounds={rounds}"
        trained("bc", *own, out=tmp_path / f"clone-{rounds}", stop_after=1)
    best = tmp_path / "expert" / "checkpoints" / "best.pt"
    content = load_checkpoint(best)
    torch.save(content | {"network": last_of(tmp_path / "clone-0")["network"]}, best)
    own = f"expert={tmp_path / 'expert'}"
    result = trained("bc", own, "train.dagger_rounds=0", resume=tmp_path / "clone-0")
    assert result.num_updates == 4
    with pytest.raises(ConfigError, match=r"best.pt' is something else now"):
        trained("bc", own, "train.dagger_rounds=1", resume=tmp_path / "clone-1")


@pytest.mark.usefixtures("_unpainted")
def test_a_run_of_an_earlier_diffcar_goes_on_without_digests(tmp_path: Path) -> None:
    """Nobody knows what its path was."""
    own = f"path.source={wind(tmp_path / 'bend.csv')}"
    trained("e2e", own, out=tmp_path / "run", stop_after=1)
    content = last_of(tmp_path / "run")
    assert [Path(name).name for name, _ in content.pop("inputs")] == ["bend.csv"]
    torch.save(content, tmp_path / "run" / "checkpoints" / "last.pt")
    with (tmp_path / "bend.csv").open("a") as file:
        file.write("5,0")
    assert trained("e2e", own, resume=tmp_path / "run").num_updates == 4
    assert last_of(tmp_path / "run")["inputs"]


@pytest.mark.usefixtures("_unpainted")
def test_a_clone_goes_on_in_the_physics_of_its_expert(tmp_path: Path) -> None:
    """By the call that it was begun with, which says nothing of it; what it says is refused."""
    trained("e2e", out=tmp_path / "expert", stop_after=1)
    config = config_of("bc", f"expert={tmp_path / 'expert'}")
    silent = config.model_validate(config.model_dump(exclude={"dt"}))
    assert (silent.dt, config.dt) == (0.02, 0.05)

    def clone(config: Any, **where: Path) -> TrainingResult:
        return train("bc", config, scenes=bicycle_scenes(config_of("bc")), stop_after=2, **where)

    begun = clone(silent, out=tmp_path / "clone")
    assert begun.task.config.dt == 0.05
    assert clone(silent, resume=tmp_path / "clone").num_updates == 4
    assert clone(config, resume=tmp_path / "clone").num_updates == 4
    with pytest.raises(ConfigError, match=r"settings: dt 0.05 -> 0.02"):
        clone(silent.model_copy(update={"dt": 0.02}), resume=tmp_path / "clone")


def test_a_run_that_cannot_begin_leaves_no_folder_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same `--out` can be given again, and no empty run lies about; other files stay."""
    monkeypatch.chdir(tmp_path)
    few = ("demonstrations.num_episodes=1", "demonstrations.duration=0.05")
    (tmp_path / "there").mkdir()
    for out in ("run", "run", "there", None):
        with pytest.raises(DemonstrationError, match="too few to learn from"):
            trained("bc", *few, out=out)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "runs", tmp_path / "there"]

    def interrupt(trainer: object, folder: RunFolder) -> None:
        (folder.path / "notes.txt").write_text("precious")
        raise KeyboardInterrupt

    monkeypatch.setattr("diffcar.training.bc.trainer.BCTrainer.begin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trained("bc", out="noted")
    assert (tmp_path / "noted" / "notes.txt").is_file()
