"""`diffcar check-grad`, as the terminal sees it."""

import typer

from diffcar.checks.config import CheckGradConfig
from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.options import Entity, Given, option, setting, with_options

__all__ = ["check_grad"]

_Joints = tuple[tuple[str, ...], tuple[str, ...]]
_STEERING = "Its steering joints; found by name by default."
_WHEELS = "Its four wheel joints; found by name by default."


@with_options(
    entity=setting(Entity, "The car, or an elastic body of particles. (default: rigid)"),
    model=setting(str, "Your own car, MJCF or URDF.", metavar="FILE"),
    steering_joints=option(str, _STEERING, metavar="NAME,NAME"),
    wheel_joints=option(str, _WHEELS, metavar="NAME,..."),
    wheels=setting(bool, "Compare six shapes of wheels, too.", "--wheels"),
    no_repairs=option(bool, "Show Genesis as it comes.", "--no-repairs"),
    **options.PATH_SOURCE,
    **options.SERVOS,
    **options.common("certificate.tolerance=1e-5", 64, "; 32 shows its cost"),
)
def check_grad(
    steering_joints: str | None = None,
    wheel_joints: str | None = None,
    no_repairs: bool = False,
    *,
    given: Given,
) -> None:
    """Show where the gradient goes, and prove it against finite differences on this machine.

    Without arguments: the shipped car over 1 to 500 steps, in about a minute. Exits with 1 if the
    gradient that training uses is not certified.
    """
    config = given.config(CheckGradConfig, {"repairs": False if no_repairs else None})
    if (steering_joints or wheel_joints) and config.model is None:
        raise typer.BadParameter("joints are named together with --model")
    joints = _names(steering_joints, 2), _names(wheel_joints, 4)
    given.check_files(config)
    if not _is_certified(config, joints, given):
        raise typer.Exit(EXIT_NEGATIVE)


def _is_certified(config: CheckGradConfig, joints: _Joints, given: Given) -> bool:
    """Check the car, or an elastic body, which has no joints; show what was found."""
    from diffcar.checks import car, soft_body
    from diffcar.checks.car_result import car_report
    from diffcar.cli.progress import Display

    if config.entity == "mpm":
        with Display():
            body = soft_body.run(config)
        given.report(soft_body.soft_body_report(body), body.as_json())
        return body.certified
    with Display():
        found = car.run(config, joints=car.JointNames(*joints))
    given.report(car_report(found), found.as_json(), notes=found.notes)
    return found.certified


def _names(text: str | None, count: int) -> tuple[str, ...]:
    """Split names at commas."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and len(names) != count:
        raise typer.BadParameter(f"{text!r} does not name {count} joints, separated by commas")
    return names
