"""Tells whether the installed Genesis still is what a repair or a fast path was written for."""

import hashlib
import inspect
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["is_as_known", "is_unchanged"]


def fingerprint(function: Callable[..., Any] | None) -> str:
    """Return a short hash of a function's source, blanks apart; without source raise TypeError."""
    if function is None:
        raise TypeError("no such function")
    source = "".join(inspect.getsource(function).split())
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def is_unchanged(function: Callable[..., Any] | None, known: str) -> bool:
    """Return whether a function still has the fingerprint that is known of it."""
    try:
        return fingerprint(function) == known
    except (OSError, TypeError):
        return False


def is_as_known(function: Callable[..., Any] | None, known: str, *, repair: str) -> bool:
    """Return whether a function of Genesis still has the fingerprint that a repair knows, or warn.

    A repair of something that has changed would be a guess, so it must step aside.
    """
    if is_unchanged(function, known):
        return True
    warnings.warn(
        f"this Genesis differs from 1.4.5 where diffcar repairs {repair}, so the repair "
        "steps aside; `diffcar check-grad` tells whether the gradients are right",
        RuntimeWarning,
        stacklevel=3,
    )
    return False
