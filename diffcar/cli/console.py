"""Where text goes: results to stdout, everything else to stderr; errors to exit codes."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from diffcar.base.errors import DiffcarError, GradientError
from diffcar.base.files import finite_json, write_atomically

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_NEGATIVE",
    "EXIT_USAGE",
    "JsonSink",
    "errors",
    "note",
    "results",
]

EXIT_NEGATIVE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_PIPED_WIDTH = 100


def results() -> Console:
    """Return the console of results; as wide as 100 columns when piped."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def _messages() -> Console:
    """Return the console of hints, warnings and errors."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _PIPED_WIDTH)


def note(text: str) -> None:
    """Tell the user something on stderr."""
    _messages().print(f"[yellow]note:[/yellow] {escape(text)}", highlight=False, soft_wrap=True)


@contextlib.contextmanager
def errors(debug: bool) -> Iterator[None]:
    """Turn errors that a user can act on into text and an exit code.

    Args:
        debug: Whether to let them through as tracebacks.
    """
    try:
        yield
    except DiffcarError as error:
        if debug:
            raise
        console = _messages()
        console.print(
            f"[bold red]error:[/bold red] {escape(error.message)}", highlight=False, soft_wrap=True
        )
        if error.hint:
            console.print(
                f"[cyan]hint:[/cyan] {escape(error.hint)}", highlight=False, soft_wrap=True
            )
        # That a gradient is wrong is a result, if not the one that was hoped for.
        is_verdict = isinstance(error, GradientError)
        raise typer.Exit(EXIT_NEGATIVE if is_verdict else EXIT_USAGE) from None
    except KeyboardInterrupt:
        _messages().print("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


class JsonSink:
    """Where `--json` sends the result.

    Args:
        target: A file name, `-` for stdout, or None for nowhere.
    """

    def __init__(self, target: str | None) -> None:
        self._takes_stdout = target == "-"
        self.file = None if target in (None, "-") else Path(str(target))

    def console(self) -> Console:
        """Return the console for tables: stderr where stdout belongs to the JSON."""
        return _messages() if self._takes_stdout else results()

    def write(self, content: object) -> None:
        """Write the result as JSON, what is not a number as null."""
        text = json.dumps(finite_json(content), indent=2, allow_nan=False) + "\n"
        if self._takes_stdout:
            sys.stdout.write(text)
            sys.stdout.flush()
        elif self.file is not None:
            write_atomically(self.file, lambda file: file.write_text(text))
