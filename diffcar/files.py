"""Writes results so that a crash never leaves half a file behind."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from diffcar.errors import OutputError

__all__ = ["check_writable", "write_atomically"]


def check_writable(file: Path, *, inputs: tuple[Path, ...] = ()) -> None:
    """Refuse an output file before hours are spent on its content.

    Args:
        file: Where a result is to be written.
        inputs: Files that the same command reads.

    Raises:
        OutputError: If the folder is missing or not writable, the name is a folder, or the file is
            one that the command reads.
    """
    folder = file.parent
    if file.is_dir():
        raise OutputError(f"{str(file)!r} is a folder", hint="name a file in it")
    if not folder.is_dir():
        raise OutputError(f"the folder {str(folder)!r} does not exist", hint="create it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {str(folder)!r} is not writable")
    if any(file.resolve() == other.resolve() for other in inputs):
        raise OutputError(f"{str(file)!r} is read by this command and would be overwritten")


def write_atomically(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `file`, then rename it.

    Args:
        file: The final name.
        write: Called with the temporary name, which has the same suffix.

    Raises:
        OutputError: If the file system refuses.
    """
    try:
        descriptor, name = tempfile.mkstemp(
            dir=file.parent, prefix=f".{file.stem}-", suffix=file.suffix
        )
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
        raise OutputError(f"{str(file)!r} cannot be written: {error.strerror or error}") from None
