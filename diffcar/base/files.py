"""Writes results so that a crash never leaves half a file behind, and finds shipped files."""

import errno
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from diffcar.base.errors import ConfigError, OutputError

__all__ = [
    "RUNS",
    "check_outputs",
    "finite_json",
    "is_there",
    "make_folder",
    "plain_values",
    "resource_path",
    "write_atomically",
]

RUNS = Path("runs")
"""Where runs lie, of which nothing else is said."""


def is_there(name: str, predicate: Callable[[Path], bool] = Path.exists) -> bool:
    """Apply a predicate to a file name that may be no possible one."""
    try:
        return predicate(Path(name))
    except (OSError, ValueError):
        return False


def check_outputs(outputs: Sequence[Path], *, inputs: Sequence[Path] = ()) -> None:
    """Refuse output files before minutes are spent on their content.

    Args:
        outputs: Files of results.
        inputs: What the same command reads: files, and folders with everything in them.

    Raises:
        OutputError: If a folder is missing or not writable, a name is taken by something that is
            no ordinary file, two outputs are one file, or one would overwrite an input.
    """
    try:
        for index, file in enumerate(outputs):
            if file.exists() and (file.is_symlink() or not file.is_file()):
                raise OutputError(f"{str(file)!r} is not an ordinary file")
            if not file.parent.is_dir():
                raise OutputError(
                    f"the folder {str(file.parent)!r} does not exist", "create it first"
                )
            if not os.access(file.parent, os.W_OK):
                raise OutputError(f"the folder {str(file.parent)!r} is not writable")
            if any(file.resolve() == other.resolve() for other in outputs[:index]):
                raise OutputError(
                    f"{str(file)!r} is named for two results", hint="give one another name"
                )
            for other in inputs:
                if other.exists() and file.resolve().is_relative_to(other.resolve()):
                    told = f"{str(file)!r} is read by this command and would be overwritten"
                    raise OutputError(told, hint="give the result another name")
    except OSError as error:
        raise OutputError(f"an output cannot be written: {error}") from None


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        OutputError: If the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {str(path)!r} cannot be made: {error.strerror}") from None


def write_atomically(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `file` with the same suffix, then rename it.

    Raises:
        OutputError: If the file system refuses.
    """
    try:
        descriptor, name = tempfile.mkstemp(file.suffix, f".{file.stem}-", file.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            write(temporary)
            # mkstemp makes the file private; results get the permissions of any other new file.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{str(file)!r} cannot be written: {reason}",
            hint="free some space, then run the command again; training goes on with --resume RUN"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else None,
        ) from None


def plain_values(value: object) -> object:
    """Return dataclasses as dictionaries and paths as text, at any depth."""
    if is_dataclass(value):
        return {own.name: plain_values(getattr(value, own.name)) for own in fields(value)}
    if isinstance(value, dict):
        return {key: plain_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def finite_json(value: object) -> object:
    """Replace numbers that JSON cannot hold by None, at any depth of plain values."""
    if isinstance(value, dict):
        return {key: finite_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_PACKAGE = Path(__file__).resolve().parents[1]
# In an installed wheel the folders lie inside the package, in a checkout beside it.
_ROOTS = (_PACKAGE / "_resources", _PACKAGE.parent)


def resource_path(relative: str) -> Path:
    """Return where a shipped file such as `assets/car.xml` is on this machine.

    Raises:
        ConfigError: If the installation lacks the file.
    """
    for root in _ROOTS:
        if (candidate := root / relative).is_file():
            return candidate
    lacks = f"the shipped file {relative!r} is missing from this installation"
    raise ConfigError(lacks, hint="reinstall diffcar")
