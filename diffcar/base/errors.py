"""What can go wrong, as exceptions that carry their remedy."""

from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DemonstrationError",
    "DiffcarError",
    "GradientError",
    "ModelError",
    "OutputError",
    "PathError",
    "SimulationError",
    "did_you_mean",
    "shortened",
]


class DiffcarError(Exception):
    """Base of every error that a user can act on: what is wrong, and a hint at what mends it."""

    remedy: ClassVar[str | None] = None
    """What helps against errors of the kind, where nothing better is known of one."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.remedy


class ConfigError(DiffcarError):
    """A configuration file, a flag or a `--set` override is wrong."""

    remedy = "configs/ has every setting with its meaning, --help every option"


class PathError(DiffcarError):
    """A reference path cannot be read, built or driven."""

    remedy = "compare the file with what docs/paths.md tells of path files"


class ModelError(DiffcarError):
    """A vehicle model lacks what the car needs, or cannot be read."""

    remedy = "compare the model with assets/car.xml"


class CheckpointError(DiffcarError):
    """A run folder or a checkpoint is missing, damaged or of another kind."""

    remedy = "give the run folder that a diffcar train command printed"


class DemonstrationError(DiffcarError):
    """A file of demonstrations cannot be read, or lacks what cloning needs."""

    remedy = "compare the file with the table of docs/demonstrations.md"


class OutputError(DiffcarError):
    """A result cannot be written where it was asked for."""

    remedy = "name another place for it, or make room there"


class SimulationError(DiffcarError):
    """The simulator refused the scene or left its valid range."""


class GradientError(DiffcarError):
    """A gradient is not finite, or does not agree with finite differences."""


def did_you_mean(near: Iterable[str]) -> str:
    """Return the beginning of a hint that asks for near names; nothing if there are none."""
    names = " or ".join(map(repr, near))
    return f"did you mean {names}? " if names else ""


def shortened(text: str, limit: int = 200) -> str:
    """Return a text without its middle if it has more characters than `limit`."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} [{len(text) - 2 * half:,} characters left out] {text[-half:]}"
