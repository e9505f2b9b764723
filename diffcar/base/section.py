"""Sections of settings: what they are made of, and what their annotations can say of them."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "Count",
    "Duration",
    "Finite",
    "Follows",
    "NonNegative",
    "Positive",
    "Replaces",
    "Section",
    "Seed",
    "Setting",
    "Settings",
    "Tolerance",
    "first_problem",
    "settings_by_key",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Duration = Annotated[float, Field(gt=0, le=1e5)]
"""A time [s]; about a day at the most, of which steps can be counted."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Tolerance = Annotated[float, Field(gt=0, le=0.5)]
"""A relative error; one of 1 would let a gradient pass that is zero, one of 2 a reversed one."""


class Follows(NamedTuple):
    """Says of a setting that its default follows from the car, as metadata of its annotation."""

    kind: str
    """What kind of quantity it is (see `diffcar.sim.model.suited`)."""


class Replaces(NamedTuple):
    """Says of a setting that it stands in for others of its section, as metadata of its annotation.

    Where it is given on top of a file, those of the file are dropped.
    """

    names: tuple[str, ...]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are not coerced between kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def first_problem(error: Exception) -> str:
    """Return in a line what is wrong, of many things the first and where."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))


class Settings(Protocol):
    """Whatever can be written as nested values."""

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        """Return the settings; in the mode `json` as JSON holds them."""


Setting = tuple[type[BaseModel], str, Any]
"""A section, the name of a field of it, and its default."""


@functools.cache
def settings_by_key(schema: type[BaseModel]) -> Mapping[str, Setting]:
    """Return every setting of a schema by its key in dotted notation."""
    return _settings_in(schema, "")


def _settings_in(section: BaseModel | type[BaseModel], prefix: str) -> dict[str, Setting]:
    """Return every setting of a section by its key, which begins with a prefix."""
    settings: dict[str, Setting] = {}
    schema = section if isinstance(section, type) else type(section)
    for name, field in schema.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        value = getattr(section, name) if isinstance(section, BaseModel) else default
        kinds = (field.annotation, *get_args(field.annotation))
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if inner is None or isinstance(value, list | dict):
            settings[prefix + name] = schema, name, value
        if inner is not None:
            within = value if isinstance(value, BaseModel) else inner
            settings |= _settings_in(within, f"{prefix}{name}.")
    return settings
