"""`diffcar check-grad`, as the terminal sees it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from diffcar.base.config import load_config
from diffcar.base.files import check_outputs
from diffcar.checks.config import CheckGradConfig
from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE, JsonSink, errors, note
from diffcar.path.config import check_path_source

__all__ = ["check_grad"]


class Entity(StrEnum):
    """What is differentiated."""

    rigid = "rigid"
    mpm = "mpm"


def check_grad(
    entity: Annotated[
        Entity | None,
        typer.Option("--entity", help="The car, or an elastic body of particles. (default: rigid)"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="FILE", help="Your own car, MJCF or URDF."),
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
    path: options.PathSource = None,
    actuation: options.ActuationOption = None,
    json_target: options.JsonTarget = None,
    config_file: options.ConfigFile = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    backend: options.BackendOption = None,
    precision: Annotated[
        options.Precision | None,
        typer.Option("--precision", help="Bits of a number; 32 shows its cost. (default: 64)"),
    ] = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show where the gradient goes, and prove it against finite differences on this machine.

    Without arguments: the shipped car over 1 to 500 steps, in about a minute. Exits with 1 if the
    gradient that training uses is not certified.
    """
    with errors(debug):
        shared = options.config_flags(
            path,
            None,
            None,
            actuation,
            seed=seed,
            backend=backend,
            precision=precision,
            verbose=verbose,
        )
        config = load_config(
            CheckGradConfig,
            file=config_file,
            overrides=overrides or (),
            flags={
                **shared,
                "entity": entity and entity.value,
                "model": model,
                "wheels": wheels,
                "repairs": False if no_repairs else None,
            },
        )
        check_path_source(config.path.source)
        if (steering_joints or wheel_joints) and config.model is None:
            raise typer.BadParameter("joints are named together with --model")
        steering, wheel_names = _names(steering_joints, 2), _names(wheel_joints, 4)
        sink = JsonSink(json_target)
        inputs = (config.path.source, config.model, config_file)
        check_outputs(
            [sink.file] if sink.file else [], inputs=[Path(given) for given in inputs if given]
        )
        if config.entity == "mpm":
            is_certified = _check_soft_body(config, sink)
        else:
            is_certified = _check_car(config, (steering, wheel_names), sink)
        if not is_certified:
            raise typer.Exit(EXIT_NEGATIVE)


def _check_car(
    config: CheckGradConfig,
    joints: tuple[tuple[str, ...], tuple[str, ...]],
    sink: JsonSink,
) -> bool:
    """Check the car and show what was found; returns whether it is certified."""
    from diffcar.checks import car as command
    from diffcar.checks.car_result import as_json
    from diffcar.cli.progress import StageDisplay
    from diffcar.cli.render_check_grad import show_check_grad

    with StageDisplay():
        result = command.run(
            config,
            joints=command.JointNames(*joints),
        )
    for line in result.notes:
        note(line)
    show_check_grad(result, sink.console())
    sink.write(as_json(result))
    return result.certified


def _check_soft_body(config: CheckGradConfig, sink: JsonSink) -> bool:
    """Check an elastic body and show what was found; returns whether it is certified."""
    from diffcar.checks import soft_body as command
    from diffcar.cli.progress import StageDisplay
    from diffcar.cli.render_soft_body import show_soft_body

    with StageDisplay():
        result = command.run(
            config,
        )
    show_soft_body(result, sink.console())
    sink.write(command.as_json(result))
    return result.certified


def _names(text: str | None, count: int) -> tuple[str, ...]:
    """Split names at commas."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and len(names) != count:
        raise typer.BadParameter(f"{text!r} does not name {count} joints, separated by commas")
    return names
