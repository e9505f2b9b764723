"""What can be named: paths, controllers, methods and so on, and whoever a user adds to them."""

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar, cast

from diffcar.base.errors import ConfigError, DiffcarError, did_you_mean, shortened

__all__ = ["Registry", "import_attribute", "is_callable", "is_own"]

T = TypeVar("T")


@dataclass(eq=False, repr=False)
class Registry(Mapping[str, T], Generic[T]):
    """What can be named, by name; imported when asked for.

    `package.module:Attribute` names one's own, from the folder that the command is run in or from
    what is installed.
    """

    kind: str
    """What the entries are, in the singular."""
    entries: dict[str, T | str]
    """By name: the thing itself, or where it is as `package.module:Attribute`."""
    _: KW_ONLY
    error: type[DiffcarError] = ConfigError
    """Raised for a name that there is not."""
    nor: str = ""
    """Behind the message: what else could have been meant, and is not there either."""
    known: str = "there are"
    """Before the names there are, in the hint."""
    accepts: Callable[[Any], bool] = lambda found: True
    """Whether what somebody names of one's own can be one."""
    others: Callable[[str], list[str]] = lambda name: []
    """Which of what else could be meant is called nearly so."""

    def __getitem__(self, name: str) -> T:
        """Return what is called so.

        Raises:
            DiffcarError: If nothing is, with the nearest name and all there are; or if it is none.
        """
        self.check(name)
        entry = self.entries.get(name, name)
        found = import_attribute(entry) if isinstance(entry, str) else entry
        if not self.accepts(found):
            raise self.refusal(name, found)
        return cast(T, found)

    def __contains__(self, name: object) -> bool:
        """Tell whether it is one of the names."""
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self.entries)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self.entries)

    def check(self, name: str) -> None:
        """Refuse a name that there is not, without importing anything.

        Raises:
            DiffcarError: With the nearest name and all there are.
        """
        if name in self.entries or is_own(name):
            return
        near = [*difflib.get_close_matches(name, self.entries, n=1), *self.others(name)]
        raise self.error(
            f"no {self.kind} is called {name!r}{self.nor}",
            hint=f"{did_you_mean(near)}{self.known} {', '.join(self.entries)}",
        )

    def refusal(self, name: str, found: object, verb: str = "is") -> DiffcarError:
        """Return the error that something is, or returns, what no entry is or returns."""
        told = f"{name!r} is no {self.kind}: it {verb} {shortened(repr(found))}"
        return self.error(told, f"docs/library.md says what a {self.kind} of one's own is")


def is_callable(found: object) -> bool:
    """Tell whether something is a function or a class that was written in Python."""
    return callable(found) and not inspect.isbuiltin(found)


def is_own(name: str) -> bool:
    """Tell whether a name has the form `package.module:Attribute`."""
    module, colon, attribute = name.partition(":")
    return (
        bool(colon) and attribute.isidentifier() and all(map(str.isidentifier, module.split(".")))
    )


def import_attribute(where: str) -> Any:  # noqa: ANN401
    """Return what `package.module:Attribute` names.

    Raises:
        ConfigError: If there is no such module, or nothing of that name in it.
    """
    module, _, attribute = where.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:  # a command's own search path does not hold the user's folder
        sys.path.append(folder)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # the module is there, and lacks something that it needs
        raise ConfigError(
            f"{where!r}: there is no module {error.name!r}",
            hint="give package.module:Attribute of what is installed or lies in this folder",
        ) from None
    if not hasattr(found, attribute):
        names = [name for name in vars(found) if not name.startswith("_")] or ["nothing"]
        near = difflib.get_close_matches(attribute, names, n=1)
        raise ConfigError(
            f"{where!r}: the module has no {attribute!r}",
            hint=f"did you mean {module}:{near[0]}?" if near else f"it has {', '.join(names)}",
        )
    return getattr(found, attribute)
