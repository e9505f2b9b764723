"""The runs below a folder: which is the newest, and which have nothing to drive by."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffcar.base.files import RUNS
from diffcar.controllers.checkpoint import (
    CHECKPOINT_FOLDER,
    CHECKPOINT_NAMES,
    identity,
    load_checkpoint,
)

__all__ = ["lost_runs", "newest_run"]


def newest_run(
    root: Path = RUNS, *, fits: Callable[[dict[str, Any]], bool] = lambda content: True
) -> Path | None:
    """Return the run below `root` whose checkpoint was written last, of those that drive a car.

    Args:
        fits: Whether a checkpoint is one of those that are wanted.

    Raises:
        CheckpointError: If one that was written later is damaged.
    """
    files = [
        file for name in CHECKPOINT_NAMES for file in root.glob(f"*/{CHECKPOINT_FOLDER}/{name}")
    ]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        content = load_checkpoint(file)
        if identity(content)[1] == "tracking" and fits(content):
            return file.parents[1]
    return None


def lost_runs(root: Path = RUNS, *, after: Path | None = None) -> list[Path]:
    """Return the runs below `root` that have no checkpoint, only those newer than another run."""

    def written(run: Path) -> float:
        return (run / CHECKPOINT_FOLDER).stat().st_mtime

    runs = [
        folder.parent
        for folder in root.glob(f"*/{CHECKPOINT_FOLDER}")
        if not any(folder.glob("*.pt"))
    ]
    return sorted(run for run in runs if after is None or written(run) > written(after))
