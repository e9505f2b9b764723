"""`diffcar check-car`, as the terminal sees it."""

from typing import Annotated

import typer

from diffcar.checks.config import CheckCarConfig
from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import Option, output, setting

__all__ = ["check_car"]

_FILE = typer.Argument(help="car, racer, buggy, sedan, or an MJCF or URDF file.", metavar="FILE")


@with_options(
    car=Option(Annotated[str | None, _FILE], key="model"),
    **{name: own for name, own in options.MODEL_FILE.items() if name != "car"},
    **options.SERVOS,
    certify=setting(bool, "Prove its gradient, too, in about a minute.", "--certify"),
    plot_file=output("Draw it from above and from the side.", "--plot", suffix=".png"),
    **options.common("substeps=4", 64),
)
def check_car(given: Given) -> None:
    """Tell what a car is, what was assumed and changed, and whether it drives as that says.

    Without arguments: the shipped car. Exits with 1 if it drives otherwise, or its gradient is not
    certified where that is asked for.
    """
    config = given.config(CheckCarConfig)
    given.check_files(config)
    from diffcar.checks import driven_car
    from diffcar.cli.progress import Display

    with Display():
        found = driven_car.run(config, plot_file=given.files["plot_file"])
    report, notes = driven_car.car_check_report(found), found.vehicle.assumptions
    given.report(report, found.as_json(), notes=notes, unwritten=found.unwritten)
    if not found.is_right:
        raise typer.Exit(EXIT_NEGATIVE)
