"""Options of commands, and those that several share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from diffcar.controllers.config import CONTROLLERS, SHIPPED
from diffcar.path.config import PATHS

__all__ = [
    "BACKEND",
    "CAR",
    "JOINTS",
    "JSON",
    "MESSAGES",
    "MODEL",
    "MODEL_FILE",
    "PATH",
    "PATH_SOURCE",
    "SERVOS",
    "VIEWER",
    "Entity",
    "Option",
    "Options",
    "common",
    "controller",
    "engine",
    "files",
    "option",
    "output",
    "run_folder",
    "setting",
]

Entity = Literal["rigid", "mpm"]
"""A car, or a soft body of particles."""


@dataclass(frozen=True)
class Option:
    """An option that need not be given."""

    kind: Any
    """Its type with its help, as Typer reads it."""
    key: str | None = None
    """Of the setting that it is, with dots; empty for its own name, None where it is no setting."""
    suffix: str | None = None
    """How the file's name ends that it asks for; None where it asks for none."""


Options = dict[str, Option]
"""A group of options, by the names of parameters."""


def option(kind: Any, text: str, *names: str, **how: Any) -> Option:  # noqa: ANN401
    """Return an option with its help, its names if not the parameter's, and what Typer takes."""
    return Option(Annotated[kind | None, typer.Option(*names, help=text, **how)])


def setting(kind: Any, text: str, *names: str, key: str = "", **how: Any) -> Option:  # noqa: ANN401
    """Return an option that is a setting."""
    return replace(option(kind, text, *names, **how), key=key)


def output(text: str, *names: str, suffix: str = "", metavar: str = "FILE") -> Option:
    """Return an option that asks for a file beside the JSON."""
    return replace(option(Path, text, *names, metavar=f"{metavar}{suffix}"), suffix=suffix)


_CLOSED = "Whether a file's path is a loop; guessed by default."
_PATH = f"{', '.join(PATHS)}, a CSV or GPX file, or package.module:function."
_COLUMN = "What a path's file calls x, y or speed: speed=v*0.278. May be repeated."
PATH_SOURCE = Options(
    path=setting(str, _PATH, key="path.source"),
    column=option(list[str], _COLUMN, metavar="NAME=THEIRS[*FACTOR]"),
)
PATH = PATH_SOURCE | Options(
    path_scale=setting(float, "Factor on a path's coordinates. (default: 1)", key="path.scale"),
    closed=setting(bool, _CLOSED, "--closed/--open", key="path.closed"),
    lap=setting(bool, "Cut a lap out of the log of a drive.", "--lap", key="path.lap"),
    latlon=setting(bool, "Project latitude and longitude.", "--latlon", key="path.latlon"),
    smooth=setting(bool, "Round corners that are too sharp.", "--smooth", key="path.smooth"),
    grip=setting(
        float, "Share of the car's grip to use, such as 0.9, up to path.top_speed.", key="path.grip"
    ),
)
_SERVOS = "Servos in torch, or Genesis's own. (default: torque)"
SERVOS = Options(actuation=setting(Literal["torque", "pd"], _SERVOS))
MODEL = Options(
    car=setting(
        str, "car, racer, buggy, sedan, or an MJCF or URDF file. (default: car)", key="model"
    ),
    drive=setting(
        Literal["rear", "front", "all"], "Wheels that are driven. (default: as the model says)"
    ),
)
JOINTS = Options(
    steering_joints=setting(
        str,
        "A file's steering joints; found by where they are by default.",
        key="car_reading.steering_joints",
        metavar="NAME,NAME",
    ),
    wheel_joints=setting(
        str,
        "A file's four wheel joints; found by where they are by default.",
        key="car_reading.wheel_joints",
        metavar="NAME,...",
    ),
)
MODEL_FILE = (
    MODEL
    | JOINTS
    | Options(
        wheels=setting(
            Literal["spheres", "as-is"],
            "What a file's wheels collide as. (default: spheres)",
            key="car_reading.wheels",
        )
    )
)
CAR = PATH | MODEL_FILE | SERVOS
JSON = Options(
    json_target=option(str, "Write the result as JSON; - for stdout.", "--json", metavar="FILE")
)
_BACKEND = "Where Genesis runs. (default: cpu)"
BACKEND = Options(backend=setting(Literal["cpu", "gpu", "auto"], _BACKEND))
MESSAGES = Options(
    verbose=setting(bool, "Let Genesis log to the terminal.", "--verbose"),
    debug=option(bool, "Show tracebacks of errors.", "--debug"),
)
VIEWER = Options(viewer=setting(bool, "Watch in Genesis's own window.", "--viewer"))


def controller(text: str, default: str) -> Option:
    """Return an option that names a controller."""
    known = ", ".join([SHIPPED, *CONTROLLERS])
    names = f"a run folder, a checkpoint, {known} or package.module:Class"
    return setting(str, f"{text}: {names}. (default: {default})", metavar="RUN|CHECKPOINT|NAME")


def run_folder(of: str = "") -> Options:
    """Return the options of a run's folder."""
    return Options(
        out=option(Path, f"Run folder{of} to make. (default: one below runs/)"),
        resume=option(Path, f"Run folder{of} to go on with."),
    )


def files(example: str) -> Options:
    """Return the options of settings, with an example of one that the command has."""
    text = f"One setting, such as {example}."
    return Options(
        config_file=option(Path, "YAML file of settings; see configs/.", "--config"),
        overrides=option(list[str], text, "--set", metavar="KEY=VALUE"),
    )


def engine(bits: int = 32, remark: str = "") -> Options:
    """Return the options of how Genesis runs."""
    text = f"Bits of a number{remark}. (default: {bits})"
    return Options(
        seed=setting(int, "Seed of everything random. (default: 0)"),
        **BACKEND,
        precision=setting(Literal["32", "64"], text),
    )


def common(example: str, bits: int = 32, remark: str = "") -> Options:
    """Return the last options of every command that does not train."""
    return JSON | files(example) | engine(bits, remark) | MESSAGES
