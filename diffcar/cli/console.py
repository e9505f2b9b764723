"""Where text goes: results to stdout, everything else to stderr; errors to exit codes."""

import contextlib
import os
import sys
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.markup import escape

from diffcar.base.errors import DiffcarError, GradientError

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_NEGATIVE",
    "EXIT_USAGE",
    "errors",
    "messages",
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


def messages() -> Console:
    """Return the console of hints, warnings and errors."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _PIPED_WIDTH)


def note(text: str) -> None:
    """Tell the user something on stderr."""
    messages().print(f"[yellow]note:[/yellow] {escape(text)}", highlight=False, soft_wrap=True)


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
        console = messages()
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
        messages().print("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
