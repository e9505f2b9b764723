"""What is exported is read with care."""

from pathlib import Path

import pytest
import torch
import yaml

from diffcar.base.errors import CheckpointError
from diffcar.controllers.checkpoint import load_checkpoint
from diffcar.export.config import ExportConfig
from diffcar.export.export import run
from tests.export.exported import RUN


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
