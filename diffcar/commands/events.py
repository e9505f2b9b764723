"""What every command tells while it runs."""

from dataclasses import dataclass

__all__ = ["Stage", "Warned"]


@dataclass(frozen=True)
class Stage:
    """Something long has begun."""

    description: str
    """What."""


@dataclass(frozen=True)
class Warned:
    """Something the user should know."""

    text: str
    """What."""
