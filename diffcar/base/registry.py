"""Names that users give to paths and controllers, checked before anything heavy is imported."""

import difflib
from collections.abc import Callable
from pathlib import Path

from diffcar.base.errors import CheckpointError, PathError

__all__ = ["BUILTIN_PATH_NAMES", "CLASSICAL_CONTROLLERS", "check_controller", "check_path_source"]

BUILTIN_PATH_NAMES = (
    "line",
    "circle",
    "sine",
    "figure-eight",
    "slalom",
    "double-lane-change",
    "obstacle-avoidance",
    "random",
)
"""Paths that need no file."""

CLASSICAL_CONTROLLERS = ("pure-pursuit", "stanley", "zero")
"""Controllers that need no training."""


def check_path_source(source: str) -> None:
    """Refuse a path that is neither built in nor a file.

    Raises:
        PathError: With the nearest name.
    """
    if source in BUILTIN_PATH_NAMES or _is(source, Path.is_file):
        return
    near = difflib.get_close_matches(source, BUILTIN_PATH_NAMES, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise PathError(
        f"no path is called {source!r} and no such file exists",
        hint=f"{hint}built in are {', '.join(BUILTIN_PATH_NAMES)}",
    )


def check_controller(spec: str) -> None:
    """Refuse a controller that is neither classical nor a file or folder.

    Raises:
        CheckpointError: With the names there are.
    """
    if spec not in CLASSICAL_CONTROLLERS and not _is(spec, Path.exists):
        near = difflib.get_close_matches(spec, CLASSICAL_CONTROLLERS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise CheckpointError(
            f"no controller is called {spec!r} and no such run or checkpoint exists",
            hint=f"{hint}give a run folder, a checkpoint, or one of "
            + ", ".join(CLASSICAL_CONTROLLERS),
        )


def _is(name: str, predicate: Callable[[Path], bool]) -> bool:
    """Apply a predicate to a file name that may be no possible one."""
    try:
        return predicate(Path(name))
    except (OSError, ValueError):
        return False
