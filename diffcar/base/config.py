"""How files, overrides and flags become one configuration.

Later wins: default, YAML file, `--set key=value`, flag. Everything is checked at once, before
torch or Genesis is imported.
"""

import copy
import difflib
import functools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic import BaseModel

from diffcar.base.errors import ConfigError, shortened
from diffcar.base.section import Replaces, Setting, settings_by_key
from diffcar.base.settings_yaml import default_of, meaning_of
from diffcar.base.yaml_reader import parse_yaml, read_yaml

__all__ = ["dotted_values", "load_config"]

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(
    schema: type[ConfigT],
    *,
    file: Path | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    preset: Mapping[str, Any] | None = None,
) -> ConfigT:
    """Resolve a configuration from its sources and check it.

    Args:
        schema: The model of the command.
        file: In YAML.
        overrides: `--set` arguments, `dotted.key=value`, the value in YAML notation.
        flags: By dotted key; None stands for "not given".
        base: Values below the file, such as the configuration of a run that is resumed.
        preset: Values below those that count as defaults: they are made for the shipped car, too.

    Raises:
        ConfigError: With every problem found, and the nearest name for each unknown key.
    """
    values = copy.deepcopy(_defaults_of(schema))
    _merge(values, preset or {})
    theirs: dict[str, Any] = {}
    in_file = {} if file is None else read_yaml(file)
    given = [(key, value) for key, value in (flags or {}).items() if value is not None]
    given = [*(_parse_override(text, schema) for text in overrides), *given]
    for target in (values, theirs):
        _merge(target, base or {})
        _merge(target, in_file)
        _drop_replaced(target, given, schema)
        for key, value in given:
            _assign(target, key, value)
    try:
        config = schema.model_validate(values)
    except pydantic.ValidationError as error:
        raise _explain(error, schema) from None
    _unset(config, preset or {}, theirs)
    return config


def _unset(section: Any, preset: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Let the values of a preset count as not set, in place, but for those that a user gave."""
    for key, value in preset.items():
        is_section = isinstance(section, BaseModel)
        if is_section and key not in theirs:
            section.model_fields_set.discard(key)
        inner = getattr(section, key) if is_section else section.get(key)
        if isinstance(value, Mapping) and isinstance(inner, BaseModel | dict):
            _unset(inner, value, theirs.get(key) or {})


@functools.cache
def _defaults_of(schema: type[BaseModel]) -> dict[str, Any]:
    """Return the own defaults of a command, always the same: they must not be changed."""
    return _own_defaults(schema.model_construct())


def _own_defaults(section: BaseModel) -> dict[str, Any]:
    """Return what a command has otherwise than its sections have by themselves.

    Without it, whoever sets one key of a section would change those others, too.
    """
    own: dict[str, Any] = {}
    for name, value in section:
        if isinstance(value, BaseModel):
            own |= {name: inner} if (inner := _own_defaults(value)) else {}
        elif name in section.model_fields_set:
            own[name] = value
    return own


def dotted_values(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by their dotted keys."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        found |= dotted_values(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return found


def _parse_override(text: str, schema: type[BaseModel]) -> tuple[str, Any]:
    """Split `key=value` and read the value as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        settings = settings_by_key(schema)
        near = difflib.get_close_matches(key, settings, n=1, cutoff=0.0)[0]
        example = shlex.quote(f"{near}={default_of(settings[near])}")
        told = f"--set {shortened(text)!r} is not of the form key=value"
        raise ConfigError(told, hint=f"such as --set {example}")
    return key.strip(), parse_yaml(value, f"--set {shortened(text)!r}: the value")


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Write nested `source` values over those of `target`, in place."""
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value


def _drop_replaced(
    values: dict[str, Any], given: Sequence[tuple[str, Any]], schema: type[BaseModel]
) -> None:
    """Drop, in place, the nested values that something which is given stands in for."""
    settings = settings_by_key(schema)
    for key, value in given:
        section, name, _ = settings.get(key, (schema, "", None))
        own = section.model_fields[name].metadata if name and value is not None else ()
        replaced = [each for kind in own if isinstance(kind, Replaces) for each in kind.names]
        inner: Any = values
        for part in key.split(".")[:-1] if replaced else ():
            inner = inner.get(part) if isinstance(inner, dict) else None
        for each in replaced if isinstance(inner, dict) else ():
            inner.pop(each, None)


def _assign(values: dict[str, Any], dotted_key: str, value: object) -> None:
    """Set a nested value by its dotted key."""
    *sections, name = dotted_key.split(".")
    for depth, section in enumerate(sections):
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{'.'.join(sections[: depth + 1])} is a value, not a section")
        values = inner
    values[name] = value


_MAX_PROBLEMS = 20


def _explain(error: pydantic.ValidationError, schema: type[BaseModel]) -> ConfigError:
    """Turn all validation problems into one message with suggestions."""
    settings = settings_by_key(schema)
    lines, hints = [], []
    for problem in error.errors(include_url=False)[:_MAX_PROBLEMS]:
        key = shortened(".".join(str(part) for part in problem["loc"]))
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}")
            sections = {name.rpartition(".")[0] for name in settings}
            near = difflib.get_close_matches(key, [*settings, *sections], n=1, cutoff=0.5) or [
                name for name in settings if name.split(".")[-1] == key.split(".")[-1]
            ]
            known = f"keys are: {', '.join(settings)}"
            hints.append(f"did you mean {near[0]!r}?" if near else known)
        else:
            value = problem["input"]
            is_section = isinstance(value, Mapping | BaseModel)
            shown = key if is_section else f"{key} = {shortened(repr(value))}"
            given = f"{shown}: " if key else ""
            lines.append(f"{given}{problem['msg'].removeprefix('Value error, ')}")
            if problem["type"].startswith("bool_"):
                hints.append("write true or false")
            # What a schema refuses in its own words says what it expects.
            elif problem["type"] != "value_error":
                hints.append(_expected(problem["loc"], settings))
    if (more := error.error_count() - len(lines)) > 0:
        lines.append(f"and {more:,} more")
    return ConfigError("; ".join(lines), hint="; ".join(filter(None, dict.fromkeys(hints))) or None)


def _expected(place: tuple[int | str, ...], settings: Mapping[str, Setting]) -> str:
    """Say what belongs where a value is wrong: a setting, or one of those in a section."""
    key = str(place[0]) if place else ""
    for part in place[1:]:  # what is wrong may be an item of the setting
        key = key if key in settings else f"{key}.{part}"
    if key in settings:
        text = default_of(settings[key])
        return f"{key}{text and f' (default: {text})'}: {meaning_of(*settings[key])}"
    inside = ", ".join(name for name in settings if name.startswith(f"{key}."))
    return inside and f"{key} is a section: set {inside}"
