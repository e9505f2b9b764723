"""Run folders and checkpoints: nothing overwritten, nothing half written, nothing unsafe loaded."""

import os
import time
from pathlib import Path

import pytest
import torch

from diffcar.base.errors import CheckpointError, OutputError
from diffcar.base.files import check_outputs, write_atomically
from diffcar.controllers.checkpoint import (
    checkpoint_content,
    config_values,
    load_checkpoint,
    newest_run,
    restore_tracking_mlp,
)
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.model.vehicle import load_vehicle
from diffcar.training.config import TrainE2EConfig
from diffcar.training.run_folder import RunFolder

PATH = load_path(PathConfig(source="circle"))
VEHICLE = load_vehicle()


def content(seed: int = 0, **changes: object) -> dict[str, object]:
    """Return the content of an untrained checkpoint."""
    config = TrainE2EConfig(seed=seed)
    driver = build_tracking_mlp(config.controller, VEHICLE, dtype=torch.float32, seed=seed)
    return {
        **checkpoint_content(
            "e2e", config, {"network": driver.network.state_dict(), "step": 3}, best_score=0.5
        ),
        **changes,
    }


def test_saved_and_reloaded_controller_acts_exactly_the_same(tmp_path: Path) -> None:
    """Weights and configuration survive the file."""
    run = RunFolder.create(tmp_path / "run", "train-e2e")
    run.save_checkpoint("last", content(seed=4))
    loaded = load_checkpoint(tmp_path / "run")
    assert config_values(loaded)["seed"] == 4
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


def test_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    """A folder with anything in it is refused; an empty one is fine."""
    RunFolder.create(tmp_path / "new", "x")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        RunFolder.create(tmp_path / "used", "x")
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", "x")


BAD = {
    "other format": {"format": 99},
    "damaged configuration": {"config": "{"},
    "configuration of another kind": {"config": "wings: 2"},
    "weights of another shape": {"network": {"network.0.weight": torch.zeros(2, 2)}},
    "no weights": {"network": None},
}


@pytest.mark.parametrize("defect", BAD)
def test_bad_checkpoint_is_explained(defect: str, tmp_path: Path) -> None:
    """Loading or restoring says what is wrong, without a traceback of torch."""
    file = tmp_path / "c.pt"
    torch.save(content(**BAD[defect]), file)
    with pytest.raises(CheckpointError):
        restore_tracking_mlp(load_checkpoint(file), VEHICLE, dtype=torch.float32)


def test_metrics_are_rewound_to_the_checkpoint(tmp_path: Path) -> None:
    """Rows that a resumed run will write again are dropped, columns kept."""
    run = RunFolder.create(tmp_path / "run", "x")
    for iteration in range(5):
        run.append_metrics({"iteration": iteration, "loss": 0.5 * iteration})
    again = RunFolder(run.path)
    again.rewind_metrics(2)
    again.append_metrics({"iteration": 3, "loss": 9.0})
    lines = run.metrics_file.read_text().split()
    assert lines == ["iteration,loss", "0,0.0", "1,0.5", "2,1.0", "3,9.0"]


def test_newest_run_is_the_one_written_last(tmp_path: Path) -> None:
    """By the time of the checkpoint, not by name."""
    assert newest_run(tmp_path) is None
    for age, name in ((100, "b"), (10, "a"), (200, "c")):
        RunFolder.create(tmp_path / name, "x").save_checkpoint("last", content())
        stamp = time.time() - age
        os.utime(tmp_path / name / "checkpoints" / "last.pt", (stamp, stamp))
    assert newest_run(tmp_path) == tmp_path / "a"


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """Neither the old content is lost nor a temporary file left."""
    file = tmp_path / "result.json"
    file.write_text("old")

    def fail(target: Path) -> None:
        target.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_atomically(file, fail)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_unwritable_outputs_are_refused_beforehand(tmp_path: Path) -> None:
    """A folder, a device, a missing folder, one name twice, and an input of the same command."""
    track = tmp_path / "track.csv"
    track.write_text("x,y\n")
    for bad in (tmp_path, Path("/dev/null")):
        with pytest.raises(OutputError, match="not an ordinary file"):
            check_outputs([bad])
    with pytest.raises(OutputError, match="does not exist"):
        check_outputs([tmp_path / "no" / "file.csv"])
    with pytest.raises(OutputError, match="would be overwritten"):
        check_outputs([track], inputs=[track])
    with pytest.raises(OutputError, match="would be overwritten"):
        check_outputs([tmp_path / "x.json"], inputs=[tmp_path])
    with pytest.raises(OutputError, match="for two results"):
        check_outputs([tmp_path / "x.json", tmp_path / "x.json"])
