"""The folder that a training run leaves behind."""

import csv
import datetime
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from diffcar.base.config import Settings, dump_config
from diffcar.base.errors import CheckpointError, OutputError
from diffcar.base.files import RUNS, write_atomically

__all__ = ["RunFolder", "new_name"]


class RunFolder:
    """`config.yaml`, `metrics.csv`, `checkpoints/`, `plots/` and `tensorboard/` of one run.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.plots = path / "plots"
        self.tensorboard = path / "tensorboard"
        self.metrics_file = path / "metrics.csv"
        self._columns: list[str] | None = None

    @classmethod
    def create(cls, path: Path | None, command: str) -> "RunFolder":
        """Make a new folder; without a name one below `runs/`, named by date and command.

        Raises:
            OutputError: If the name is taken or cannot be made.
        """
        path = path or new_name(command)
        cls.require_free(path)
        return cls.make(path)

    @classmethod
    def make(cls, path: Path) -> "RunFolder":
        """Make a folder, or what an earlier attempt to make it has left out.

        Raises:
            OutputError: If it cannot be made.
        """
        run = cls(path)
        try:
            for folder in (run.checkpoints, run.plots, run.tensorboard):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the run folder {str(path)!r} cannot be made: {error}") from None
        return run

    @staticmethod
    def require_free(path: Path) -> None:
        """Refuse a name that is taken by anything but an empty folder.

        Raises:
            OutputError: If it is.
        """
        try:
            is_taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
        except OSError as error:
            raise OutputError(f"{str(path)!r} cannot be used: {error.strerror}") from None
        if is_taken:
            raise OutputError(
                f"{str(path)!r} exists already and nothing in it will be overwritten",
                hint=f"choose another --out, or go on with it: --resume {path}",
            )

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open an existing run.

        Raises:
            CheckpointError: If it is none.
        """
        run = cls(path)
        if not (run.checkpoints / "last.pt").is_file():
            raise CheckpointError(
                f"{str(path)!r} is not a run folder that can be resumed: it has no "
                "checkpoints/last.pt",
                hint="give the folder that an earlier train command printed",
            )
        return run

    @cached_property
    def last(self) -> dict[str, Any]:
        """The last checkpoint, read once: what a resumed run goes on from.

        Raises:
            CheckpointError: If it is damaged or of another kind.
        """
        from diffcar.controllers.checkpoint import load_checkpoint

        return load_checkpoint(self.checkpoints / "last.pt")

    def load(self, name: str) -> dict[str, Any] | None:
        """Return the checkpoint `checkpoints/<name>.pt`, if there is one."""
        from diffcar.controllers.checkpoint import load_checkpoint

        file = self.checkpoints / f"{name}.pt"
        return load_checkpoint(file) if file.is_file() else None

    def write_config(self, config: Settings) -> None:
        """Write the resolved configuration."""
        text = dump_config(config)
        write_atomically(self.path / "config.yaml", lambda file: file.write_text(text))

    def save_checkpoint(self, name: str, content: Mapping[str, Any]) -> None:
        """Write `checkpoints/<name>.pt`, replacing an older one only when it is complete.

        Raises:
            OutputError: If the disk is full or not writable.
        """
        import torch

        write_atomically(
            self.checkpoints / f"{name}.pt", lambda file: torch.save(dict(content), file)
        )

    def append_metrics(self, row: Mapping[str, object]) -> None:
        """Append a row to `metrics.csv`; the first one decides on the columns.

        Raises:
            OutputError: If the disk is full or not writable.
        """
        try:
            if self._columns is None:
                self._columns = list(row)
                with self.metrics_file.open("w", newline="") as file:
                    csv.writer(file).writerow(self._columns)
            with self.metrics_file.open("a", newline="") as file:
                csv.writer(file).writerow([row.get(column, "") for column in self._columns])
        except OSError as error:
            raise OutputError(
                f"{str(self.metrics_file)!r} cannot be written: {error.strerror}"
            ) from None

    def rewind_metrics(self, last_iteration: int) -> None:
        """Drop the rows after an iteration, which a resumed run writes again.

        Raises:
            CheckpointError: If the file is not a run's.
        """
        if not self.metrics_file.is_file():
            return
        try:
            with self.metrics_file.open(newline="") as file:
                reader = csv.DictReader(file)
                rows = [row for row in reader if int(row["iteration"]) <= last_iteration]
                self._columns = list(reader.fieldnames or []) or None
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            raise CheckpointError(
                f"{str(self.metrics_file)!r} is damaged: {error}", hint="delete it to go on"
            ) from None

        def write(file: Path) -> None:
            with file.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, self._columns or [])
                writer.writeheader()
                writer.writerows(rows)

        write_atomically(self.metrics_file, write)


def new_name(command: str) -> Path:
    """Return a name below `runs/` that is not taken, made of date and command."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    base = RUNS / f"{stamp}-{command}"
    path, number = base, 2
    while path.exists():
        path, number = Path(f"{base}-{number}"), number + 1
    return path
