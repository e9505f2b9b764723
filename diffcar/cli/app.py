"""The table of contents of the command line."""

import logging
import sys
import warnings
from typing import Annotated

import typer

from diffcar.base.version import VERSION
from diffcar.cli import train
from diffcar.cli.check_car import check_car
from diffcar.cli.check_grad import check_grad
from diffcar.cli.compare import compare
from diffcar.cli.console import note
from diffcar.cli.export import export
from diffcar.cli.franka_test import franka_test
from diffcar.cli.measure_grip import measure_grip
from diffcar.cli.record import record
from diffcar.cli.simulate import simulate
from diffcar.cli.streams import lost_output

__all__ = ["app", "main"]

app = typer.Typer(
    name="diffcar",
    help="Train path-tracking controllers by backpropagation through Genesis rigid-body physics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS = train.commands() | {
    "simulate": simulate,
    "export": export,
    "measure-grip": measure_grip,
    "record": record,
    "compare": compare,
    "check-car": check_car,
    "check-grad": check_grad,
    "franka-test": franka_test,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)


def _print_version(is_wanted: bool) -> None:
    """Print the version and leave."""
    if is_wanted:
        typer.echo(f"diffcar {VERSION}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options before the subcommand."""


def main() -> None:
    """Run the command line."""
    if not sys.warnoptions:  # what libraries say to whoever programs with them
        warnings.simplefilter("ignore")
        if logging.lastResort is not None:
            logging.lastResort.setLevel(logging.ERROR)
    try:
        app()
    finally:
        if reason := lost_output():
            note(f"not all that was written to stdout arrived there: {reason}")
