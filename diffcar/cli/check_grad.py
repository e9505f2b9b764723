"""`diffcar check-grad`, as the terminal sees it."""

import typer

from diffcar.checks.config import CheckGradConfig
from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import Entity, option, setting

__all__ = ["check_grad"]


@with_options(
    entity=setting(Entity, "The car, or an elastic body of particles. (default: rigid)"),
    model=option(
        str, "The same, examined as it is: with its own wheels and further joints.", metavar="FILE"
    ),
    **options.MODEL,
    **options.JOINTS,
    wheels=setting(bool, "Compare six shapes of wheels, too.", "--wheels"),
    no_repairs=option(bool, "Show Genesis as it comes.", "--no-repairs"),
    **options.PATH_SOURCE,
    **options.SERVOS,
    **options.common("certificate.tolerance=1e-5", 64, "; 32 shows its cost"),
)
def check_grad(
    car: str | None = None, model: str | None = None, no_repairs: bool = False, *, given: Given
) -> None:
    """Show where the gradient goes, and prove it against finite differences on this machine.

    Without arguments: the shipped car over 1 to 500 steps, in half a minute. Exits with 1 if the
    gradient that training uses is not certified.
    """
    if car is not None and model is not None:
        raise typer.BadParameter("--car and --model name the same thing: drop one")
    own: dict[str, object] = {"repairs": False} if no_repairs else {}
    if model is not None:
        own |= {"model": model, "car_reading.wheels": "as-is"}
    config = given.config(CheckGradConfig, own)
    given.check_files(config)
    if not _is_certified(config, given):
        raise typer.Exit(EXIT_NEGATIVE)


def _is_certified(config: CheckGradConfig, given: Given) -> bool:
    """Check the car, or an elastic body, which has no joints; show what was found."""
    from diffcar.checks import car, soft_body
    from diffcar.checks.car_result import car_report
    from diffcar.cli.progress import Display

    if config.entity == "mpm":
        with Display():
            body = soft_body.run(config)
        given.report(soft_body.soft_body_report(body), body.as_json())
        return body.certificate.is_certified
    with Display():
        found = car.run(config)
    given.report(car_report(found), found.as_json(), notes=found.notes)
    return found.certified
