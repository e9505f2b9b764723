"""`diffcar check-grad`, as the terminal sees it."""

from typing import TYPE_CHECKING, Annotated

import typer

from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.options import Entity, Given, with_options

if TYPE_CHECKING:
    from diffcar.checks.config import CheckGradConfig

__all__ = ["check_grad"]


@with_options(
    options.PATH_SOURCE,
    options.SERVOS,
    options.JSON,
    options.FILES,
    options.ENGINE | options.precision(64, "; 32 shows its cost"),
    options.MESSAGES,
)
def check_grad(
    entity: Annotated[
        Entity | None,
        typer.Option(help="The car, or an elastic body of particles. (default: rigid)"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="FILE", help="Your own car, MJCF or URDF.")
    ] = None,
    steering_joints: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Its steering joints; found by name by default."),
    ] = None,
    wheel_joints: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Its four wheel joints; found by name by default."),
    ] = None,
    wheels: Annotated[
        bool | None, typer.Option("--wheels", help="Compare six shapes of wheels, too.")
    ] = None,
    no_repairs: Annotated[
        bool, typer.Option("--no-repairs", help="Show Genesis as it comes.")
    ] = False,
    *,
    given: Given,
) -> None:
    """Show where the gradient goes, and prove it against finite differences on this machine.

    Without arguments: the shipped car over 1 to 500 steps, in about a minute. Exits with 1 if the
    gradient that training uses is not certified.
    """
    from diffcar.checks.config import CheckGradConfig

    own = {
        "entity": entity,
        "model": model,
        "wheels": wheels,
        "repairs": False if no_repairs else None,
    }
    config = given.config(CheckGradConfig, own)
    if (steering_joints or wheel_joints) and config.model is None:
        raise typer.BadParameter("joints are named together with --model")
    joints = _names(steering_joints, 2), _names(wheel_joints, 4)
    given.check_files(config)
    check = _check_soft_body if config.entity == "mpm" else _check_car
    if not check(config, joints, given):
        raise typer.Exit(EXIT_NEGATIVE)


_Joints = tuple[tuple[str, ...], tuple[str, ...]]


def _check_car(config: "CheckGradConfig", joints: _Joints, given: Given) -> bool:
    """Check the car and show what was found; returns whether it is certified."""
    from diffcar.checks import car as command
    from diffcar.checks.car_result import as_json
    from diffcar.checks.tables import car_report
    from diffcar.cli.progress import Display

    with Display():
        result = command.run(config, joints=command.JointNames(*joints))
    given.report(car_report(result), as_json(result), notes=result.notes)
    return result.certified


def _check_soft_body(config: "CheckGradConfig", joints: _Joints, given: Given) -> bool:
    """Check an elastic body, which has no joints, likewise."""
    from diffcar.checks import soft_body as command
    from diffcar.checks.tables import soft_body_report
    from diffcar.cli.progress import Display

    with Display():
        result = command.run(config)
    given.report(soft_body_report(result), command.as_json(result))
    return result.certified


def _names(text: str | None, count: int) -> tuple[str, ...]:
    """Split names at commas."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and len(names) != count:
        raise typer.BadParameter(f"{text!r} does not name {count} joints, separated by commas")
    return names
