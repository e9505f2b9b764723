"""What is exported is read with care."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from diffcar.base.errors import CheckpointError
from diffcar.controllers.checkpoint import load_checkpoint
from diffcar.export.config import ExportConfig
from diffcar.export.driver import Driver
from diffcar.export.export import Verified, _compared, run
from diffcar.path.load import load_path
from diffcar.tasks.tracking.drive import drive
from tests.bicycle import Bicycle
from tests.export.exported import DT, RUN, untrained


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"path": None}, "path"),
        ({"path": {"top_speed": -1}}, r"path\.top_speed = -1"),
        ({"path": {"wings": 2}}, r"path\.wings"),
        ({"seed": "many"}, "seed = 'many'"),
        ({"seed": ...}, "seed"),
    ],
)
def test_a_checkpoint_that_was_edited_is_told(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    """With the key of what it lacks, or has wrong; nothing is written."""
    content = load_checkpoint(RUN)
    values = yaml.safe_load(content["config"]) | change
    kept = {name: value for name, value in values.items() if value is not ...}
    file = tmp_path / "edited.pt"
    torch.save(content | {"config": yaml.safe_dump(kept)}, file)
    with pytest.raises(CheckpointError, match=f"configuration is damaged: .*{told}"):
        run(ExportConfig(controller=str(file), formats=["c"]), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == [file]


def test_what_carries_rounding_on_agrees_and_what_forgets_its_commands_does_not() -> None:
    """Over a lap fed by its own past commands this network parts from itself by a thousandth."""
    network, path = untrained(past_commands=9), load_path("figure-eight")
    lap = drive(Bicycle(1), network, path, max_time=2.0)
    driver = Driver(network, path, DT, torch.float32)
    nothing = np.full(driver.memory_size, np.nan, np.float32)

    def call(row: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do a step as a file that was written would."""
        with torch.no_grad():
            action, after = driver(torch.from_numpy(row), torch.from_numpy(memory))
        return action.numpy(), after.numpy()

    def forget(row: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do a step, and return the commands that were remembered before."""
        action, after = call(row, memory)
        return action, np.concatenate([after[:1], memory[1:]])

    written = Verified("torchscript", (), 0)
    found = _compared(written, call, nothing, lap, network)
    assert found.agrees
    assert found.difference_share < 1e-5
    assert not _compared(written, forget, nothing, lap, network).agrees
