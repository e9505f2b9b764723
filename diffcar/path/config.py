"""The settings of a reference path, and the paths that need no file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypeVar

import pydantic
from pydantic import Field

from diffcar.base.errors import ConfigError, PathError
from diffcar.base.files import is_there
from diffcar.base.registry import Registry, is_callable, is_own
from diffcar.base.section import Follows, Positive, Replaces, Section, Seed

if TYPE_CHECKING:
    from diffcar.path.builtin import Points

__all__ = [
    "ACCELERATIONS",
    "COLUMNS",
    "DRAWN",
    "PATHS",
    "Columns",
    "PathConfig",
    "check_path_source",
    "refuse_idle_columns",
    "require_files",
]

PATHS: Registry[Callable[[int], "Points"]] = Registry(
    "path",
    {
        "line": "diffcar.path.builtin:line",
        "circle": "diffcar.path.builtin:circle",
        "sine": "diffcar.path.builtin:sine",
        "figure-eight": "diffcar.path.builtin:figure_eight",
        "slalom": "diffcar.path.builtin:slalom",
        "double-lane-change": "diffcar.path.builtin:double_lane_change",
        "obstacle-avoidance": "diffcar.path.builtin:obstacle_avoidance",
        "random": "diffcar.path.builtin:random",
        "stage": "diffcar.path.builtin:stage",
    },
    error=PathError,
    nor=" and no such file exists",
    known="built in are",
    accepts=is_callable,
)
"""Functions of a seed that return the points of a path, by its name."""

DRAWN = ("random", "stage")
"""Those of them that differ by seed."""

ACCELERATIONS = ("lateral_acceleration", "longitudinal_acceleration")
"""The limits that a share of the car's grip stands in for."""

COLUMNS = ("x", "y", "speed")
"""What is read of a file; with `latlon` x is the longitude and y the latitude."""
Columns = list[Literal["x", "y", "speed", "ignore"]] | dict[Literal["x", "y", "speed"], str]
"""What the columns of a file are, one by one, or what it calls those that are read."""

_Acceleration = Annotated[float, Field(ge=1e-3, le=1e4)]


class PathConfig(Section):
    """The reference path and the speed to drive it with."""

    source: str = "random"
    """Name of a built-in path, a CSV or GPX file, or package.module:function of one's own."""
    scale: Positive = 1.0
    """Factor on all coordinates; 0.1 turns a race track into one for a 1:10 car. Built-in paths are
    as large as the car asks for without it."""
    closed: bool | None = None
    """Whether a file's path is a loop; null decides by the gap between its ends."""
    lap: bool = False
    """Whether a file is the log of a drive, of which a lap is cut out, cleaned and smoothed."""
    latlon: bool = False
    """Whether a file's latitudes and longitudes are projected to metres around its first point."""
    smooth: bool = False
    """Whether the path is rounded where it bends more sharply than the car can steer."""
    tolerance: Positive | None = None
    """How far `lap` and `smooth` may move the path [m]; null is the car's least turning radius."""
    columns: Columns | None = None
    """What the columns of a file are, in order, whatever its header says, or what the header calls
    x, y and speed, as `{x: name, speed: name*factor}`; null goes by the header, or by the numbers
    where they leave no doubt. Unseen paths without a header, of as many columns, are read so, too,
    and those with columns of such names."""
    seed: Seed | None = None
    """Seed of `random`, `stage` and functions of one's own; null takes the run's."""
    top_speed: Annotated[float, Field(ge=1e-3, le=1000), Follows("top speed")] = 3.0
    """Upper limit of the reference speed [m/s]."""
    grip: Annotated[Annotated[float, Field(ge=1e-3, le=1)] | None, Replaces(ACCELERATIONS)] = None
    """Share of the grip measured of the car that the reference speed uses; null goes by the two
    accelerations instead."""
    lateral_acceleration: Annotated[_Acceleration, Follows("lateral acceleration")] = 4.0
    """Limit on speed² times curvature along the path [m/s²]."""
    longitudinal_acceleration: Annotated[_Acceleration, Follows("longitudinal acceleration")] = 3.0
    """Limit on speeding up and braking along the path [m/s²]."""

    @property
    def file(self) -> Path | None:
        """The file that it is read from, if it is one."""
        is_file = self.source not in PATHS and is_there(self.source, Path.is_file)
        return Path(self.source) if is_file else None

    @pydantic.model_validator(mode="after")
    def _is_effective(self) -> "PathConfig":
        """Refuse what would change nothing; a `ConfigError` keeps its hint on the way out."""
        changed = self.model_dump(exclude_defaults=True)
        is_fixed = self.file is not None or (self.source in PATHS and self.source not in DRAWN)
        flags = {"closed": "--closed and --open", "lap": "--lap", "latlon": "--latlon"}
        for name, flag in flags.items():
            if name in changed and _is_made(self.source):
                raise _idle(name, self.source, flag)
        if self.tolerance is not None and not (self.lap or self.smooth):
            told = "path.tolerance has no effect without path.lap and path.smooth"
            raise ConfigError(told, "add --lap or --smooth, or leave it out")
        if self.closed is False and self.lap:
            raise ConfigError("path.lap makes a loop, path.closed says open", "leave out --open")
        if self.seed is not None and is_fixed:
            raise _idle("seed", self.source, "path.seed")
        for name in ACCELERATIONS:
            if self.grip is not None and name in changed:
                told = f"path.{name} has no effect beside path.grip, which stands in for it"
                raise ConfigError(told, "leave out one of them")
        return self

    def elsewhere(self, source: str, scale: float) -> "PathConfig":
        """Return the limits of this path for another one."""
        seed = self.seed if source in DRAWN or is_own(source) else None
        own = {"source": source, "scale": scale, "closed": None, "columns": None, "seed": seed}
        own |= {"lap": False, "latlon": self.latlon and not _is_made(source)}
        own |= {"tolerance": self.tolerance if self.smooth else None}
        return self.model_copy(update=own)


def _is_made(source: str) -> bool:
    """Tell whether a path comes from a function, not from a file, which may be missing."""
    return source in PATHS or (not is_there(source, Path.is_file) and is_own(source))


def _idle(name: str, source: str, flag: str) -> ConfigError:
    """Return the error that a setting would change nothing."""
    return ConfigError(f"path.{name} has no effect on the path {source!r}", f"leave out {flag}")


def refuse_idle_columns(path: PathConfig, unseen: Sequence[str] = ()) -> None:
    """Refuse columns where no path is a file that could have them, which GPX has not.

    Args:
        unseen: The other paths of the same command.

    Raises:
        ConfigError: If so.
    """
    sources = [own for own in (path.source, *unseen) if not own.lower().endswith(".gpx")]
    if path.columns is not None and all(map(_is_made, sources)):
        raise _idle("columns", path.source, "--column and path.columns")


class _Driving(Protocol):
    """Settings with a path."""

    path: PathConfig


DrivingT = TypeVar("DrivingT", bound=_Driving)


def require_files(config: DrivingT) -> DrivingT:
    """Refuse `path.columns` where no path of the settings is a file, as a validator of a schema.

    Raises:
        ConfigError: If so.
    """
    evaluation = getattr(config, "evaluation", None)
    refuse_idle_columns(config.path, getattr(evaluation, "unseen_paths", ()))
    return config


def check_path_source(source: str) -> None:
    """Refuse a path that is neither built in nor a file nor somebody's own.

    Raises:
        PathError: With the nearest name.
    """
    if not is_there(source, Path.is_file):
        PATHS.check(source)
