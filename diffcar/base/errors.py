"""What can go wrong, as exceptions that carry their remedy."""

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
    "shortened",
]


class DiffcarError(Exception):
    """Base of every error that a user can act on: what is wrong, and a hint at what mends it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(DiffcarError):
    """A configuration file, a flag or a `--set` override is wrong."""


class PathError(DiffcarError):
    """A reference path cannot be read, built or driven."""


class ModelError(DiffcarError):
    """A vehicle model lacks what the car needs, or cannot be read."""


class CheckpointError(DiffcarError):
    """A run folder or a checkpoint is missing, damaged or of another kind."""


class DemonstrationError(DiffcarError):
    """A file of demonstrations cannot be read, or lacks what cloning needs."""


class OutputError(DiffcarError):
    """A result cannot be written where it was asked for."""


class SimulationError(DiffcarError):
    """The simulator refused the scene or left its valid range."""


class GradientError(DiffcarError):
    """A gradient is not finite, or does not agree with finite differences."""


def shortened(text: str, limit: int = 200) -> str:
    """Return a text without its middle if it has more characters than `limit`."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} [{len(text) - 2 * half:,} characters left out] {text[-half:]}"
