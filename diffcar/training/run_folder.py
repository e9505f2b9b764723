"""The folder that a training run leaves behind."""

import contextlib
import csv
import datetime
import io
import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from diffcar.base.errors import CheckpointError, OutputError, did_you_mean
from diffcar.base.figure import log_scale, new_figure, save_png
from diffcar.base.files import RUNS, is_there, make_folder, near_runs, write_atomically, write_text
from diffcar.base.section import Settings
from diffcar.base.settings_yaml import dump_config
from diffcar.base.sheet import parse_number
from diffcar.base.table import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LOCK_FILE", "RunFolder", "make_own_folder", "plot_training", "take_back"]

LOCK_FILE = ".lock"
"""What a process holds while it writes in a folder."""


class RunFolder:
    """`config.yaml`, `metrics.csv`, `checkpoints/`, `plots/` and `tensorboard/` of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.plots = path / "plots"
        self.tensorboard = path / "tensorboard"
        self.metrics_file = path / "metrics.csv"
        self._columns: list[str] | None = None

    @classmethod
    def create(cls, path: Path | None, command: str) -> "RunFolder":
        """Make a new folder; without a name one below `runs/`, named by date and command."""
        if path is None:
            return cls.make(make_own_folder(command))
        cls.require_free(path)
        return cls.make(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing here; the lock of one that has died holds nobody up.

        Raises:
            OutputError: If another process writes here, or the folder cannot be written in.
        """
        lock = FileLock(self.path / LOCK_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"another process is writing in {str(self.path)!r}",
                hint="wait until it ends, or choose another --out",
            ) from None
        except OSError as error:
            raise OutputError(f"{str(self.path)!r} cannot be used: {error.strerror}") from None
        self.__dict__.pop("last", None)  # another process may have gone on with it meanwhile
        try:
            yield
        finally:
            lock.release()

    @classmethod
    def make(cls, path: Path) -> "RunFolder":
        """Make a folder, or what an earlier attempt to make it has left out."""
        run = cls(path)
        try:
            for folder in (run.checkpoints, run.plots, run.tensorboard):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the run folder {str(path)!r} cannot be made: {error}") from None
        return run

    @staticmethod
    def require_free(path: Path) -> None:
        """Refuse a name that is taken by anything but an empty folder."""
        try:
            is_taken = path.exists() and (not path.is_dir() or _has_content(path))
        except OSError as error:
            raise OutputError(f"{str(path)!r} cannot be used: {error.strerror}") from None
        if is_taken:
            is_run = is_there(str(path / "checkpoints" / "last.pt"), Path.is_file)
            go_on = f", or go on with it: --resume {shlex.quote(str(path))}" if is_run else ""
            raise OutputError(
                f"{str(path)!r} exists already and nothing in it will be overwritten",
                hint=f"choose another --out{go_on}",
            )

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open an existing run, which has a last checkpoint."""
        run = cls(path)
        if not is_there(str(run.checkpoints / "last.pt"), Path.is_file):
            near = [] if is_there(str(path)) else near_runs(str(path))
            raise CheckpointError(
                f"{str(path)!r} is not a run folder that can be resumed: it has no "
                "checkpoints/last.pt",
                hint=f"{did_you_mean(near)}give the folder that an earlier train command printed",
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

    def write_config(self, config: Settings) -> None:
        """Write the resolved configuration."""
        write_text(self.path / "config.yaml", dump_config(config))

    def save_checkpoint(self, name: str, content: Mapping[str, Any]) -> None:
        """Write `checkpoints/<name>.pt`, replacing an older one only when it is complete."""
        import torch

        stream = io.BytesIO()  # torch's own writing tells of a full disk in words of its inside
        torch.save(dict(content), stream)
        file = self.checkpoints / f"{name}.pt"
        write_atomically(file, lambda target: target.write_bytes(stream.getbuffer()))

    def append_metrics(self, row: Mapping[str, object]) -> None:
        """Append a row to `metrics.csv`; the first one decides on the columns."""
        try:
            if self._columns is None:
                self._columns = list(row)
                with self.metrics_file.open("w", newline="") as file:
                    csv.writer(file).writerow(self._columns)
            with self.metrics_file.open("a", newline="") as file:
                csv.writer(file).writerow([row.get(column, "") for column in self._columns])
        except OSError as error:
            what = f"{str(self.metrics_file)!r} cannot be written"
            raise OutputError(f"{what}: {error.strerror}") from None

    def rewind_metrics(self, last_iteration: int) -> None:
        """Drop the rows after an iteration, which a resumed run writes again."""
        if not self.metrics_file.is_file():
            return
        try:
            with self.metrics_file.open(newline="") as file:
                header, *rows = [row for row in csv.reader(file) if row] or [[]]
            # A run that died while it wrote leaves its last row cut.
            if rows and len(rows[-1]) < len(header):
                rows.pop()
            if wrong := [number for number, row in enumerate(rows, 2) if len(row) != len(header)]:
                raise ValueError(f"row {wrong[0]} has not the {len(header)} fields of the header")
            place = header.index("iteration") if header else 0
            rows = [row for row in rows if int(row[place]) <= last_iteration]
            self._columns = header or None
        except (OSError, ValueError, csv.Error) as error:
            raise CheckpointError(
                f"{str(self.metrics_file)!r} is damaged: {error}", hint="delete it to go on"
            ) from None

        def write(file: Path) -> None:
            with file.open("w", newline="") as stream:
                csv.writer(stream).writerows([header, *rows] if header else [])

        write_atomically(self.metrics_file, write)


def make_own_folder(command: str) -> Path:
    """Make a folder below `runs/`, named by date and command, that no other process has made."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    make_folder(RUNS)
    for number in itertools.count(1):
        path = RUNS / (f"{stamp}-{command}" + (f"-{number}" if number > 1 else ""))
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(f"{str(path)!r} cannot be made: {error.strerror}") from None
        return path
    raise AssertionError("counting has no end")


def take_back(folder: Path, names: Iterable[str], *, was_there: bool) -> None:
    """Remove what a session that came to nothing has made in a folder, and the folder.

    If anything else is in it, everything stays.

    Args:
        names: Patterns of what the session makes: files, and folders that must be empty.
        was_there: Whether the folder was there before, and stays.
    """
    own = {file for name in (*names, LOCK_FILE) for file in folder.glob(name)}
    if set(folder.iterdir()) <= own and not any(any(f.iterdir()) for f in own if f.is_dir()):
        for file in own:
            file.rmdir() if file.is_dir() else file.unlink()
        if not was_there:
            folder.rmdir()


def _has_content(path: Path) -> bool:
    """Return whether a folder has anything in it besides a lock."""
    return any(own.name != LOCK_FILE for own in path.iterdir())


_OF_METHODS = {
    "gradient_norm": ("gradient norm", "before clipping"),
    "clipped_gradient_norm": ("gradient norm", "after clipping"),
    "validation_loss": ("loss", "on held-out episodes"),
    "action_std": ("of the actions", "standard deviation"),
}
_STYLES: dict[str, dict[str, Any]] = {
    "total": {"color": "black", "linewidth": 1.6},
    "": {"color": "tab:red", "marker": "o"},
}


def plot_training(metrics_file: Path, file: Path, metric: Column[Any] | None) -> None:
    """Draw loss, a metric and what else a method logs of a run from its `metrics.csv`."""
    from matplotlib.ticker import MaxNLocator

    if not metrics_file.is_file():  # removed by hand, and no update since
        return
    with metrics_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    logged = [name for name in (rows[0] if rows else {}) if any(row[name] for row in rows)]
    panels = {"loss": {name: name[5:] or "total" for name in logged if name.startswith("loss")}}
    for name, (quantity, label) in _OF_METHODS.items():
        if name in logged:
            panels.setdefault(quantity, {})[name] = label
    if metric is not None and (name := f"eval_{metric.key}") in logged:
        panels[f"{metric.heading} in\nplain physics [{metric.unit}]"] = {name: ""}
    labels = [label for curves in panels.values() for label in curves.values()]
    longest = max(map(len, labels), default=0)
    margins = (1.0, 0.6, 0.6 + 0.08 * longest, 0.2)
    figure = new_figure(10, 1 + 2 * len(panels), margins)
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (quantity, curves) in zip(all_axes, panels.items(), strict=True):
        for name, label in curves.items():
            factor = metric.factor if metric is not None and not label else 1.0
            _curve(axes, rows, name, factor, label=label, **_STYLES.get(label, {"linewidth": 1.0}))
        if axes.lines:
            log_scale(axes, "y")
        if any(curves.values()):  # beside the curves, not over them
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
        axes.set_ylabel(quantity)
        axes.grid(alpha=0.3)
    all_axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    all_axes[-1].set_xlabel("update")
    save_png(figure, file)


def _curve(
    axes: "Axes", rows: Sequence[dict[str, str]], name: str, factor: float = 1.0, **style: object
) -> None:
    """Plot a column over the iteration, where it has values."""
    numbers = {int(row["iteration"]): parse_number(row.get(name) or "") for row in rows}
    own = {iteration: factor * value for iteration, value in numbers.items() if value is not None}
    if own:
        axes.plot(list(own), list(own.values()), **style)  # type: ignore[arg-type]
