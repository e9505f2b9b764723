"""Tells whether the installed Genesis still is what a repair or a fast path was written for."""

import functools
import hashlib
import inspect
import logging
import operator
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from diffcar.base.errors import SimulationError
from diffcar.base.log import logger

__all__ = ["are_unchanged", "aside", "is_as_known", "lacking", "note", "refuse_lacking"]


def fingerprint(function: Callable[..., Any]) -> str:
    """Return a short hash of a function's source, blanks apart; without source raise TypeError."""
    source = "".join(inspect.getsource(function).split())
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def is_unchanged(function: Callable[..., Any] | None, known: str) -> bool:
    """Return whether a function still has the fingerprint that is known of it."""
    try:
        return function is not None and fingerprint(function) == known
    except (OSError, TypeError):
        return False


def is_as_known(function: Callable[..., Any] | None, known: str, *, repair: str) -> bool:
    """Return whether a function of Genesis still has the fingerprint that a repair knows, or note.

    A repair of something that has changed would be a guess, so it must step aside.
    """
    if is_unchanged(function, known):
        return True
    note(
        f"this Genesis differs from 1.4.5 where diffcar repairs {repair}, so the repair steps "
        "aside: `diffcar check-grad` tells whether the gradients are right"
    )
    return False


def lacking(thing: object, names: Iterable[str]) -> list[str]:
    """Return those of some names, dotted or not, by which there is nothing in a thing, or None."""

    def is_there(name: str) -> bool:
        try:
            return operator.attrgetter(name)(thing) is not None
        except AttributeError:
            return False

    return [name for name in names if not is_there(name)]


def refuse_lacking(missing: Sequence[str], where: str) -> None:
    """Refuse a Genesis that lacks some of the names that a repair rests on, and say where."""
    if missing:
        told = f"the installed Genesis lacks {', '.join(missing)}{where}"
        raise SimulationError(told, hint="install genesis-world 1.4.5")


def are_unchanged(known: Mapping[str, str], name: str, *, of: str = "Genesis") -> bool:
    """Return whether functions, by `module:name`, have the fingerprints known of them, or note."""
    for where, fingerprint in known.items():
        try:
            function = pkgutil.resolve_name(where)
        except (ImportError, AttributeError):
            function = None
        if not is_unchanged(function, fingerprint):
            note(f"this {of} differs in {where.partition(':')[2]}, {aside(name)}")
            return False
    return True


@functools.cache
def note(text: str, level: int = logging.WARNING) -> None:
    """Tell something once in a process."""
    logger.log(level, text)


def aside(name: str) -> str:
    """Return what follows from a difference."""
    return f"where diffcar has a fast path for {name}: so it is as slow as Genesis is"
