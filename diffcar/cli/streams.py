"""Standard streams that end no run, and Ctrl-C while modules are loaded; needs nothing heavy."""

import codecs
import errno
import io
import os
import select
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

from diffcar.base.errors import OutputError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "EXIT_INTERRUPTED",
    "lost_output",
    "prepare",
    "require_stdout",
    "spelled",
    "write_result",
]

EXIT_INTERRUPTED = 130
_ANOTHER = "name a file for it: --json FILE"


class _Stream(io.FileIO):
    """A standard stream that takes everything, and remembers why something did not arrive."""

    failure: OSError | None = None

    def write(self, content: "Buffer") -> int:
        """Write as much as goes at once; all of it to where nobody reads."""
        try:
            while (count := super().write(content)) is None:  # does not block, and is full
                select.select([], [self], [])
            return count
        except OSError as error:
            self.failure = error
            return memoryview(content).nbytes


_closed: set[int] = set()
_stdout: _Stream | None = None


def prepare() -> None:
    """Let the process go on whatever becomes of its standard streams, and Ctrl-C end it quietly."""
    global _stdout
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # or the next file that is opened would be taken for the stream
            os.open(os.devnull, os.O_RDWR)
            _closed.add(number)
    codecs.register_error("diffcar", spelled)
    for name, number in (("stdout", 1), ("stderr", 2)):
        old, raw = getattr(sys, name), _Stream(number, "w", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding="utf-8" if old is None else old.encoding,
            errors="diffcar",
            line_buffering=name == "stderr" or (old is not None and old.line_buffering),
            write_through=old is not None and old.write_through,
        )
        # Genesis takes a stdout that is not the process's own for a graphical shell, and says so.
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
        if number == 1:
            _stdout = raw
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def require_stdout() -> None:
    """Refuse a result for stdout if that was closed before the process began.

    Raises:
        OutputError: If it was.
    """
    if 1 in _closed:
        raise OutputError("stdout, which is to take the result, is closed", _ANOTHER)


def write_result(text: str) -> None:
    """Write a result to stdout.

    Raises:
        OutputError: If it did not get there, though there is somebody to read it.
    """
    sys.stdout.write(text)
    if reason := lost_output():
        raise OutputError(f"the result cannot be written to stdout: {reason}", _ANOTHER)


def lost_output() -> str | None:
    """Return why something that was written to stdout is lost, unless nobody wants to read it.

    It is told once.
    """
    sys.stdout.flush()
    if _stdout is None or _stdout.failure is None or _stdout.failure.errno == errno.EPIPE:
        return None
    failure, _stdout.failure = _stdout.failure, None
    return failure.strerror


_WORDS = {"±": "+-", "·": "-", "²": "^2", "…": "...", "–": "-", "×": "x"}  # noqa: RUF001
_LEVEL, _UPRIGHT = "─━═╌┄┈╍┅┉", "│┃║╎┆┊╏┇┋"


def spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell characters that a terminal lacks: frames and signs in ASCII, others by number."""
    assert isinstance(error, UnicodeEncodeError)
    spelled = ""
    for character in error.object[error.start : error.end]:
        if "\u2500" <= character <= "\u257f":
            level, upright = character in _LEVEL, character in _UPRIGHT
            spelled += "-" if level else "|" if upright else "+"
        else:
            number = character.encode("ascii", "backslashreplace").decode()
            spelled += _WORDS.get(character, number)
    return spelled, error.end


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Leave at once where modules are loaded, which some take for their failure; or else raise."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"interrupted\n")
            os._exit(EXIT_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt
