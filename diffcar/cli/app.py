"""The table of contents of the command line."""

from typing import Annotated

import typer

import diffcar
from diffcar.cli.check_grad import check_grad
from diffcar.cli.compare import compare
from diffcar.cli.franka_test import franka_test
from diffcar.cli.record import record
from diffcar.cli.simulate import simulate
from diffcar.cli.train import train_bc, train_e2e, train_ppo

__all__ = ["app", "main"]

app = typer.Typer(
    name="diffcar",
    help="Train path-tracking controllers by backpropagation through Genesis rigid-body physics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("train-e2e")(train_e2e)
app.command("train-bc")(train_bc)
app.command("train-ppo")(train_ppo)
app.command("simulate")(simulate)
app.command("record")(record)
app.command("compare")(compare)
app.command("check-grad")(check_grad)
app.command("franka-test")(franka_test)


def _print_version(is_wanted: bool) -> None:
    """Print the version and leave."""
    if is_wanted:
        typer.echo(f"diffcar {diffcar.__version__}")
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
    app()
