"""How files, overrides and flags become one configuration.

Later wins: default, YAML file, `--set key=value`, flag. Everything is checked at once, before
torch or Genesis is imported.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, get_args

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from diffcar.base.errors import ConfigError

__all__ = [
    "Count",
    "Finite",
    "NonNegative",
    "Positive",
    "Section",
    "Seed",
    "dump_config",
    "load_config",
    "read_yaml",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are not coerced between kinds."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(
    schema: type[ConfigT],
    *,
    file: Path | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
) -> ConfigT:
    """Resolve a configuration from its sources and check it.

    Args:
        schema: The configuration model of the command.
        file: YAML file, if one was given.
        overrides: `--set` arguments, `dotted.key=value`, the value in YAML notation.
        flags: Values of command-line flags by dotted key; None stands for "not given".
        base: Values below the file, such as the configuration of a run that is resumed.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: With every problem found, and the nearest name for each unknown key.
    """
    values: dict[str, Any] = {}
    _merge(values, dict(base or {}))
    if file is not None:
        _merge(values, read_yaml(file))
    for override in overrides:
        key, value = _parse_override(override)
        _assign(values, key, value)
    for key, value in (flags or {}).items():
        if value is not None:
            _assign(values, key, value)
    try:
        return schema.model_validate(values)
    except pydantic.ValidationError as error:
        raise _explain(error, schema) from None


class Settings(Protocol):
    """Whatever can be written as nested values."""

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        """Return the settings; in the mode `json` as JSON holds them."""


def dump_config(config: Settings) -> str:
    """Return the configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


class _Loader(yaml.SafeLoader):
    """The safe loader, which reads `1e-3` as a number as everybody outside YAML 1.1 does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _parse_yaml(text: str) -> Any:  # noqa: ANN401
    """Parse YAML without running anything that it may contain."""
    return yaml.load(text, _Loader)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Args:
        file: Its name.

    Returns:
        The keys and values, empty for an empty file.

    Raises:
        ConfigError: If it cannot be read, or holds something else.
    """
    try:
        content = _parse_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the configuration file {str(file)!r} cannot be read: {error.strerror or error}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{str(file)!r} is not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"{str(file)!r} holds a {type(content).__name__} where keys and values are expected",
            hint="write `key: value` lines; configs/train_e2e.yaml shows all keys",
        )
    return content


def _parse_override(text: str) -> tuple[str, Any]:
    """Split `key=value` and read the value as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {text!r} is not of the form key=value", "--set train.horizon=64")
    try:
        return key.strip(), _parse_yaml(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--set {text!r}: the value is not valid YAML: {error}") from None


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Write nested `source` values over those of `target`, in place."""
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value


def _assign(values: dict[str, Any], dotted_key: str, value: object) -> None:
    """Set a nested value by its dotted key."""
    *sections, name = dotted_key.split(".")
    for depth, section in enumerate(sections):
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{'.'.join(sections[: depth + 1])} is a value, not a section")
        values = inner
    values[name] = value


def _explain(error: pydantic.ValidationError, schema: type[BaseModel]) -> ConfigError:
    """Turn all validation problems into one message with suggestions."""
    keys = _dotted_keys(schema)
    lines, hints = [], []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}")
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5) or [
                name for name in keys if name.split(".")[-1] == key.split(".")[-1]
            ]
            hints.append(f"did you mean {near[0]!r}?" if near else f"keys are: {', '.join(keys)}")
        else:
            value = problem["input"]
            shown = key if isinstance(value, Mapping | BaseModel) else f"{key} = {value!r}"
            given = f"{shown}: " if key else ""
            lines.append(f"{given}{problem['msg'].removeprefix('Value error, ')}")
    return ConfigError("; ".join(lines), hint="; ".join(dict.fromkeys(hints)) or None)


def _dotted_keys(schema: type[BaseModel], prefix: str = "") -> list[str]:
    """List every key of a schema in dotted notation."""
    keys = []
    for name, field in schema.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        section = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        keys += _dotted_keys(section, f"{prefix}{name}.") if section else [prefix + name]
    return keys
