"""Checkpoints: what is saved drives exactly as before, and nothing unsafe is loaded."""

import math
import os
import time
from pathlib import Path
from random import Random
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
import yaml

from diffcar.base.errors import CheckpointError
from diffcar.base.settings_yaml import dump_config
from diffcar.controllers.checkpoint import (
    checkpoint_content,
    config_values,
    load_checkpoint,
    restore_tracking_mlp,
)
from diffcar.controllers.choose import ControllerChoice, newest_or_shipped, newest_run
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.sim.config import CarReadingConfig
from diffcar.sim.model.carried import carry_car
from diffcar.sim.model.read import load_vehicle
from diffcar.tasks.tracking.config import SimulateConfig, TrainE2EConfig
from diffcar.training.run_folder import RunFolder
from tests.samples import VEHICLE


def content(seed: int = 0, **changes: object) -> dict[str, object]:
    """Return the content of an untrained checkpoint."""
    config = TrainE2EConfig(seed=seed)
    driver = build_tracking_mlp(config.controller, VEHICLE, dtype=torch.float32, seed=seed)
    state = {"network": driver.network.state_dict(), "step": 3}
    return {**checkpoint_content("e2e", "tracking", config, state, best_score=0.5), **changes}


def test_saved_and_reloaded_controller_acts_exactly_the_same(tmp_path: Path) -> None:
    """Weights and configuration survive the file."""
    run = RunFolder.create(tmp_path / "run", "train-e2e")
    run.save_checkpoint("last", content(seed=4))
    loaded = load_checkpoint(tmp_path / "run")
    assert config_values(loaded)["seed"] == 4
    assert loaded["observation"][:3] == ["cross_track", "heading_error", "speed_error"]
    assert len(loaded["observation"]) == 15
    restored = restore_tracking_mlp(loaded, VEHICLE, dtype=torch.float32)
    original = build_tracking_mlp(TrainE2EConfig().controller, VEHICLE, dtype=torch.float32, seed=4)
    observation = torch.randn(5, 15)
    assert torch.equal(restored.network(observation), original.network(observation))


def test_best_checkpoint_is_preferred_to_the_last(tmp_path: Path) -> None:
    """A run folder stands for its best weights."""
    run = RunFolder.create(tmp_path / "run", "train-e2e")
    run.save_checkpoint("last", content(seed=1))
    run.save_checkpoint("best", content(seed=2))
    assert config_values(load_checkpoint(run.path))["seed"] == 2


WIDE = TrainE2EConfig(controller=ControllerConfig(hidden_sizes=[4096] * 8))
BAD = {
    "other format": {"format": 99},
    "damaged configuration": {"config": "{"},
    "configuration of another kind": {"config": "wings: 2"},
    "weights of another shape": {"network": {"network.0.weight": torch.zeros(2, 2)}},
    "no weights": {"network": None},
    "weights that are not numbers": {"network": {"network.0.weight": torch.full((2, 2), math.nan)}},
    "more weights than a network has": {"config": dump_config(WIDE)},
    "a count that is none": {"num_env_steps": "many"},
    "a date that is none": {"train_seconds": -1.0},
    "a network that saw other things": {"observation": ["speed", "cross_track"]},
    "deep nesting": {"config": "[" * 5000},
}


@pytest.mark.parametrize("defect", BAD)
def test_bad_checkpoint_is_explained(defect: str, tmp_path: Path) -> None:
    """Loading or restoring says what is wrong, without a traceback of torch."""
    file = tmp_path / "c.pt"
    torch.save(content(**BAD[defect]), file)
    with pytest.raises(CheckpointError):
        restore_tracking_mlp(load_checkpoint(file), VEHICLE, dtype=torch.float32)


def test_the_car_of_a_checkpoint_is_the_one_that_its_run_carries(tmp_path: Path) -> None:
    """Not whatever lies beside a file of weights, the shipped ones included."""
    run = RunFolder.create(tmp_path / "run", "train-e2e")
    run.save_checkpoint("last", content())
    stray = run.path / "car" / "car.xml"
    stray.parent.mkdir()
    stray.write_text(VEHICLE.file.read_text())
    assert load_checkpoint(run.path)["car"] is None
    carry_car(load_vehicle(stray), "mine.xml", stray.parent)
    assert load_checkpoint(run.path)["car"] == str(stray)
    (run.path / "weights").mkdir()
    loose = (run.path / "checkpoints" / "last.pt").rename(run.path / "weights" / "last.pt")
    assert load_checkpoint(loose)["car"] is None


def test_how_a_car_was_read_is_part_of_the_physics(tmp_path: Path) -> None:
    """A controller drives the car read as in its training; earlier ones knew one way alone."""
    reading = CarReadingConfig(wheels="as-is")
    config = TrainE2EConfig(model="mine.urdf", car_reading=reading)
    own = content(config=dump_config(config))
    choice = ControllerChoice("run", own)
    assert choice.in_its_physics(SimulateConfig())[0].car_reading == reading
    assert choice.in_its_physics(SimulateConfig(model="car"))[0].car_reading == CarReadingConfig()
    early = config.model_dump(mode="json", exclude={"car_reading"})
    assert config_values(own | {"config": yaml.dump(early)})["car_reading"]["wheels"] == "spheres"


def test_newest_run_is_the_one_written_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time of the checkpoint, not by name."""
    monkeypatch.chdir(tmp_path)
    assert newest_run() is None
    for age, name in ((100, "b"), (10, "a"), (200, "c")):
        RunFolder.create(Path("runs") / name, "x").save_checkpoint("last", content())
        stamp = time.time() - age
        os.utime(Path("runs") / name / "checkpoints" / "last.pt", (stamp, stamp))
    assert newest_run() == Path("runs/a")


def test_the_newest_run_for_a_car_is_told_with_its_car_and_those_without_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any car where none is named, or else of one about as large; killed ones are not silent."""
    monkeypatch.chdir(tmp_path)
    sedan = TrainE2EConfig(model="sedan", controller=ControllerConfig(car_size=9.0))
    own = {"sedan": {"config": dump_config(sedan)}, "early": None, "small": {}, "killed": None}
    for age, (name, changes) in enumerate(reversed(own.items())):
        run = RunFolder.create(Path("runs") / name, "x")
        if changes is not None:
            run.save_checkpoint("last", content(**changes))
        for made in (run.checkpoints, *run.checkpoints.iterdir()):
            os.utime(made, (1e9 - age, 1e9 - age))
    lost = "left out, since there is no checkpoint in it: runs/killed"
    told = "the newest run below runs/ drives: runs/small, trained with car"
    assert newest_or_shipped(SimulateConfig()) == ("runs/small", [told, lost])
    assert newest_or_shipped(SimulateConfig(model="racer"))[0] == "runs/small"
    spec, notes = newest_or_shipped(SimulateConfig(model="sedan"))
    assert spec == "runs/sedan"
    assert (
        notes[0]
        == "the newest run for such a car below runs/ drives: runs/sedan, trained with sedan"
    )
    assert notes[1].endswith("runs/early, runs/killed")
    (tmp_path / "runs" / "sedan" / "checkpoints" / "last.pt").unlink()
    spec, notes = newest_or_shipped(SimulateConfig(model="sedan"))
    assert spec == "pure-pursuit"
    assert "`diffcar train-e2e --car sedan` trains one" in notes[0]


def test_a_folder_of_checkpoints_that_is_a_link_to_nowhere_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.12 finds it, as 3.11 does not."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "moved"
    run.mkdir(parents=True)
    (run / "checkpoints").symlink_to("nowhere")
    assert newest_or_shipped(SimulateConfig())[0] == "shipped"


@pytest.mark.parametrize(
    ("car", "told"),
    {
        "car": [],
        "racer": ["the controller, trained with car, drives racer"],
        "sedan": ["drives sedan, 8.2 times as large; `diffcar train-e2e --car sedan` trains one"],
    }.items(),
)
def test_a_foreign_car_is_told_by_its_name_and_size(car: str, told: list[str]) -> None:
    """With what would help where a network cannot know it; it is driven all the same."""
    _, notes = ControllerChoice("run", content()).in_its_physics(SimulateConfig(model=car))
    assert len(notes) == len(told)
    assert all(part in note for part, note in zip(told, notes, strict=True))


class OwnSettings(TrainE2EConfig):
    """Settings of somebody's own method."""

    patience: int = 3


def test_settings_of_one_s_own_are_saved_and_drive(tmp_path: Path) -> None:
    """What a checkpoint is of, it is told, and does not look up by the class of the settings."""
    config = OwnSettings(patience=5)
    driver = build_tracking_mlp(config.controller, VEHICLE, dtype=torch.float32, seed=1)
    own = checkpoint_content("own", "tracking", config, {"network": driver.network.state_dict()})
    torch.save(own, tmp_path / "own.pt")
    loaded = load_checkpoint(tmp_path / "own.pt")
    assert config_values(loaded)["patience"] == 5
    restored = restore_tracking_mlp(loaded, VEHICLE, dtype=torch.float32)
    observation = torch.randn(5, 15)
    assert torch.equal(restored.network(observation), driver.network(observation))


def test_a_damaged_checkpoint_is_refused_or_whole(tmp_path: Path) -> None:
    """Of a file with 1 to 50 bytes changed at random, whatever loads has the weights it had."""
    file = tmp_path / "c.pt"
    torch.save(content(), file)
    whole, random = file.read_bytes(), Random(0)
    num_refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(random.randint(1, 50)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        file.write_bytes(damaged)
        try:
            loaded = load_checkpoint(file)
        except CheckpointError as error:
            num_refused += 1
            assert error.hint
            continue
        for name, weight in content()["network"].items():
            assert torch.equal(weight, loaded["network"][name]), name
    assert num_refused > 150


def test_a_checkpoint_that_swells_is_refused(tmp_path: Path) -> None:
    """Torch does not compress, so nothing that does is unpacked."""
    torch.save(content(), tmp_path / "c.pt")
    with ZipFile(tmp_path / "c.pt") as plain, ZipFile(tmp_path / "z.pt", "w", ZIP_DEFLATED) as made:
        for own in plain.namelist():
            made.writestr(own, plain.read(own))
    with pytest.raises(CheckpointError, match="is no checkpoint, or is damaged"):
        load_checkpoint(tmp_path / "z.pt")
