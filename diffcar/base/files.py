"""Writes results so that a crash never leaves half a file behind, and finds shipped files."""

import contextlib
import difflib
import errno
import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from diffcar.base.errors import ConfigError, OutputError, shortened
from diffcar.base.log import logger

__all__ = [
    "RUNS",
    "Unwritten",
    "check_outputs",
    "digests",
    "is_there",
    "json_text",
    "kept",
    "make_folder",
    "near_runs",
    "plain_values",
    "resource_path",
    "write_atomically",
    "write_text",
]

RUNS = Path("runs")
"""Where runs lie, of which nothing else is said."""


def is_there(name: str, predicate: Callable[[Path], bool] = Path.exists) -> bool:
    """Apply a predicate to a file name that may be no possible one."""
    try:
        return predicate(Path(name))
    except (OSError, ValueError):
        return False


def near_runs(name: str, *, sign: str = "checkpoints") -> list[str]:
    """Return the run that is called most like one that is not there, beside it or below `RUNS`.

    Args:
        sign: What there is in the folder of a run.
    """
    wanted, found = Path(name), dict[str, str]()
    while not is_there(str(wanted.parent), Path.is_dir):  # what was named lies in a run
        wanted = wanted.parent
    for place in (RUNS, wanted.parent):
        with contextlib.suppress(OSError):
            found |= {own.name: str(own) for own in place.iterdir() if is_there(str(own / sign))}
    return [found[near] for near in difflib.get_close_matches(wanted.name, found, n=1)]


def check_outputs(
    outputs: Sequence[Path], *, folder: Path | None = None, inputs: Sequence[Path] = ()
) -> None:
    """Refuse outputs before minutes are spent on their content; makes and changes nothing.

    Args:
        outputs: Files of results.
        folder: Where the same command writes files of its own, which may have to be made.
        inputs: What the same command reads: files, and folders with everything in them.

    Raises:
        OutputError: If a folder is missing or not writable, a name is too long or taken by
            something that is no ordinary file, two outputs are one file, or one would overwrite an
            input.
    """
    read = [other.resolve() for other in inputs if is_there(str(other))]
    for index, file in enumerate(outputs):
        with _told(file):
            _require_ordinary(file)
            _require_writable(file.parent)
            own = file.resolve()
        if own in [other.resolve() for other in outputs[:index]]:
            raise OutputError(f"{str(file)!r} is named for two results", "give one another name")
        if any(own.is_relative_to(other) for other in read):
            told = f"{str(file)!r} is read by this command and would be overwritten"
            raise OutputError(told, "give the result another name")
        if folder is not None and own.is_relative_to(folder.resolve()):
            told = f"{str(file)!r} lies in the folder {str(folder)!r}, which this command makes"
            raise OutputError(told, "write it beside that folder")
    if folder is not None:
        with _told(folder):
            if len(folder.parts) > _MOST_PARTS:
                raise OSError(errno.ENAMETOOLONG, "it lies too deep")
            _require_ordinary(folder / ("x" * _LONGEST_BELOW))
            _require_writable(next(filter(os.path.lexists, (folder, *folder.parents))))


# Of what is written below a folder that a command makes.
_LONGEST_BELOW = 80
_MOST_PARTS = 200


@contextlib.contextmanager
def _told(output: Path) -> Iterator[None]:
    """Say of an output that the file system refuses it."""
    try:
        str(output).encode()  # as libraries do, which would complain at the end
        yield
    except (OSError, RuntimeError, ValueError) as error:
        # Links that form a loop are a RuntimeError, characters that no name can have a ValueError.
        reason = getattr(error, "strerror", None) or error
        told = f"{shortened(repr(str(output)))} cannot be written: {reason}"
        raise OutputError(told, "name another one") from None


def _require_ordinary(file: Path) -> None:
    """Refuse a name that is taken by a folder, a link or a device, or by a file for reading."""
    try:
        kind = file.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(kind):
        raise OutputError(f"{str(file)!r} is not an ordinary file")
    if not os.access(file, os.W_OK):
        raise OutputError(f"{str(file)!r} exists already and is write-protected")


def _require_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made, by making one without a name."""
    if not folder.is_dir():
        told = "is no folder" if os.path.lexists(folder) else "does not exist"
        raise OutputError(f"the folder {str(folder)!r} {told}", "create it first")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError(f"the folder {str(folder)!r} is not writable: {error.strerror}") from None


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
        # Not named after the file, whose name may be as long as one can be.
        descriptor, name = tempfile.mkstemp(file.suffix[:_LONGEST_SUFFIX], ".diffcar-", file.parent)
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


def write_text(file: Path, text: str) -> None:
    """Write a text at once or not at all.

    Raises:
        OutputError: If the file system refuses.
    """
    write_atomically(file, lambda target: target.write_text(text, encoding="utf-8"))


_LONGEST_SUFFIX = 16
Unwritten = dict[Path, OutputError]
"""Files that could not be written, and why."""


@contextlib.contextmanager
def kept(unwritten: Unwritten, file: Path) -> Iterator[None]:
    """Keep why a file could not be written for later, so that no other result is lost for it."""
    try:
        yield
    except OutputError as error:
        logger.warning(error.message)
        unwritten[file] = error


def digests(files: Iterable[Path]) -> tuple[tuple[str, str], ...]:
    """Return name and SHA-256 of each file, of its lines that are not blank."""
    found = []
    for file in files:
        lines = (line for line in file.read_bytes().splitlines() if line.strip())
        found.append((str(file), hashlib.sha256(b"\n".join(lines)).hexdigest()))
    return tuple(found)


def plain_values(value: object) -> object:
    """Return dataclasses as dictionaries and paths as text, at any depth."""
    if is_dataclass(value):
        return {own.name: plain_values(getattr(value, own.name)) for own in fields(value)}
    if isinstance(value, dict):
        return {key: plain_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def json_text(value: object) -> str:
    """Return plain values as a file of JSON holds them."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    """Replace numbers that JSON cannot hold by None, at any depth of plain values."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
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
