"""Options that several commands share, declared once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from diffcar.path.config import PATHS

__all__ = [
    "Actuation",
    "ActuationOption",
    "Backend",
    "BackendOption",
    "Closed",
    "ConfigFile",
    "Debug",
    "Engine",
    "JsonTarget",
    "Overrides",
    "PathScale",
    "PathSource",
    "Precision",
    "PrecisionOption",
    "Resume",
    "RunOut",
    "Seed",
    "Start",
    "StopAfter",
    "Verbose",
    "config_flags",
    "engine_flags",
]


class Backend(StrEnum):
    """Where Genesis runs."""

    cpu = "cpu"
    gpu = "gpu"
    auto = "auto"


class Precision(StrEnum):
    """Bits of a floating-point number."""

    single = "32"
    double = "64"


class Start(StrEnum):
    """How a drive begins."""

    standing = "standing"
    flying = "flying"


class Engine(StrEnum):
    """Physics engines."""

    genesis = "genesis"
    mujoco = "mujoco"


class Actuation(StrEnum):
    """How commands reach the joints."""

    torque = "torque"
    pd = "pd"


ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings; see configs/.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as train.horizon=64."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random. (default: 0)")]
BackendOption = Annotated[
    Backend | None, typer.Option("--backend", help="Where Genesis runs. (default: cpu)")
]
PrecisionOption = Annotated[
    Precision | None, typer.Option("--precision", help="Bits of a number. (default: 32)")
]
ActuationOption = Annotated[
    Actuation | None,
    typer.Option("--actuation", help="Servos in torch, or Genesis's own. (default: torque)"),
]
PathSource = Annotated[
    str | None,
    typer.Option(
        "--path",
        help=f"{', '.join(PATHS)}, or a CSV file.",
    ),
]
PathScale = Annotated[
    float | None,
    typer.Option("--path-scale", help="Factor on a path's coordinates. (default: 1)"),
]
Closed = Annotated[
    bool | None,
    typer.Option("--closed/--open", help="Whether a file's path is a loop; guessed by default."),
]
RunOut = Annotated[
    Path | None, typer.Option("--out", help="Run folder to make. (default: one below runs/)")
]
Resume = Annotated[Path | None, typer.Option("--resume", help="Run folder to go on with.")]
StopAfter = Annotated[
    int | None,
    typer.Option("--stop-after", min=1, help="Stop this session after so many updates."),
]
JsonTarget = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for stdout."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Let Genesis log to the terminal.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]


def config_flags(
    path: str | None,
    path_scale: float | None,
    closed: bool | None,
    actuation: Actuation | None,
    *,
    seed: int | None,
    backend: Backend | None,
    precision: Precision | None,
    verbose: bool,
) -> dict[str, object]:
    """Return the flags that all scenes share by their configuration keys; None is "not given"."""
    return {
        "path.source": path,
        "path.scale": path_scale,
        "path.closed": closed,
        "actuation": actuation and actuation.value,
        **engine_flags(seed=seed, backend=backend, precision=precision, verbose=verbose),
    }


def engine_flags(
    *, seed: int | None, backend: Backend | None, precision: Precision | None, verbose: bool
) -> dict[str, object]:
    """Return the flags of every command that simulates; None is "not given"."""
    return {
        "seed": seed,
        "backend": backend and backend.value,
        "precision": precision and int(precision.value),
        "verbose": verbose or None,
    }
