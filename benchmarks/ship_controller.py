"""Makes of a run the controller that comes with diffcar, with its provenance beside it.

diffcar train-e2e --set train.num_updates=100 --out run --json run.json
python -m benchmarks.ship_controller run run.json
"""

import importlib.metadata
import io
import json
import sys
from pathlib import Path

import torch

from diffcar.base.version import VERSION
from diffcar.controllers.checkpoint import config_values, load_checkpoint

ASSETS = Path(__file__).parents[1] / "assets"
FIGURES = ("cross_track_rmse_m", "cross_track_p95_m", "cross_track_max_m", "speed_rmse_mps")


def main(run: Path, result: Path) -> None:
    """Write `controller.pt`, without what only training needs, and `controller.json`."""
    content, told = load_checkpoint(run), json.loads(result.read_text())
    stream = io.BytesIO()
    torch.save(content | {"trainer": {}}, stream)
    (ASSETS / "controller.pt").write_bytes(stream.getvalue())
    provenance = {
        "command": "diffcar train-e2e --set train.num_updates=100",
        "versions": {
            "diffcar": VERSION,
            **{name: importlib.metadata.version(name) for name in ("genesis-world", "torch")},
        },
        "num_updates": told["num_updates"],
        "num_env_steps": content["num_env_steps"],
        "train_seconds": round(content["train_seconds"], 1),
        "certificate": {
            name: told["certificate"][name] for name in ("verdict", "worst_relative_error")
        },
        "drives": [
            {"path": drive["path"], "start": drive["start"]}
            | {name: drive["metrics"][name] for name in FIGURES}
            for drive in told["scores"]
        ],
        "settings": config_values(content),
    }
    (ASSETS / "controller.json").write_text(json.dumps(provenance, indent=2) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
