"""Where text goes: results to stdout, everything else to stderr; errors to exit codes."""

import contextlib
import sys
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.text import Text

from diffcar.base.errors import DiffcarError, GradientError, shortened
from diffcar.cli.streams import EXIT_INTERRUPTED

__all__ = ["EXIT_NEGATIVE", "errors", "messages", "note", "results"]

EXIT_NEGATIVE = 1
_EXIT_USAGE = 2
_PIPED_WIDTH = 100
_MOST_CHARACTERS = 5000


def results() -> Console:
    """Return the console of results; as wide as 100 columns when piped."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def messages() -> Console:
    """Return the console of hints, warnings and errors."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _PIPED_WIDTH)


def note(text: str) -> None:
    """Tell the user something on stderr."""
    _say("yellow", "note", text)


def _say(style: str, kind: str, text: str) -> None:
    """Print text on stderr behind what kind of text it is."""
    line = Text.assemble((f"{kind}:", style), " ", shortened(text, _MOST_CHARACTERS))
    messages().print(line, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def errors(debug: bool) -> Iterator[None]:
    """Turn errors that a user can act on into text and an exit code, unless for debugging."""
    try:
        yield
    except DiffcarError as error:
        if debug:
            raise
        _say("bold red", "error", error.message)
        if error.hint:
            _say("cyan", "hint", error.hint)
        # That a gradient is wrong is a result, if not the one that was hoped for.
        is_verdict = isinstance(error, GradientError)
        raise typer.Exit(EXIT_NEGATIVE if is_verdict else _EXIT_USAGE) from None
    except KeyboardInterrupt:
        messages().print("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None
