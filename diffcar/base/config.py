"""How files, overrides and flags become one configuration.

Later wins: default, YAML file, `--set key=value`, flag. Everything is checked at once, before
torch or Genesis is imported.
"""

import ast
import difflib
import functools
import inspect
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypeVar, get_args, get_origin

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from diffcar.base.errors import ConfigError, shortened
from diffcar.base.yaml_reader import RESOLVERS, parse_yaml, read_yaml

__all__ = [
    "Count",
    "Finite",
    "Follows",
    "NonNegative",
    "Positive",
    "Replaces",
    "Section",
    "Seed",
    "Tolerance",
    "commented_yaml",
    "dotted_values",
    "dump_config",
    "load_config",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
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
    values = _own_defaults(schema.model_construct())
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


class Settings(Protocol):
    """Whatever can be written as nested values."""

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        """Return the settings; in the mode `json` as JSON holds them."""


def dump_config(config: Settings) -> str:
    """Return the configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False)


_WIDTH = 100
# What is longer has its comment above it, lest it push those of its neighbours to the right.
_LONGEST = 40


def commented_yaml(schema: type[BaseModel]) -> str:
    """Return all settings of a command with their defaults as YAML, its docstrings as comments."""
    intro = (
        f"Settings of {_first_paragraph(schema).removesuffix('.')}; every value shown is the "
        "default. Any of them can be given as `--set key=value`, nested keys with dots."
    )
    has_car = any(_follows(schema, name) for name in schema.model_fields)
    if has_car:
        intro += " What follows from the car is shown as the shipped one has it (docs/cars.md)."
    return "\n".join([*_comment(intro, "# "), "", *_commented(schema(), "", has_car), ""])


def _comment(text: str, lead: str) -> list[str]:
    """Return a text as lines that begin with `lead`."""
    return textwrap.wrap(
        text, _WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False
    )


def _commented(section: BaseModel, indent: str, has_car: bool = False) -> list[str]:
    """Return a section's settings as lines: its values, then the sections in it."""
    entries = []
    schema = type(section)
    for name, field in schema.model_fields.items():
        if not field.exclude:
            value = getattr(section, name)
            text, below = _entry(value, indent, has_car)
            meaning = _meaning(schema, name, value)
            if has_car and _follows(schema, name):
                meaning += " Follows from the car."
            entries.append((f"{indent}{name}:{text}", meaning, below))
    column = 2 + max((len(text) for text, *_ in entries if len(text) <= _LONGEST), default=0)
    lines: list[str] = []
    for text, meaning, below in sorted(entries, key=lambda entry: bool(entry[-1])):
        is_beside = len(text) <= _LONGEST
        comment = _comment(meaning, " " * (column if is_beside else len(indent)) + "# ")
        if comment and is_beside:
            comment[0] = text + comment[0][len(text) :]
        else:
            comment.append(text)
        lines += [*([""] if below and not indent else []), *comment, *below]
    return lines


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which shows of a section in a list what is not its default."""


_Dumper.add_multi_representer(
    BaseModel,
    lambda dumper, item: dumper.represent_dict(item.model_dump(mode="json", exclude_defaults=True)),
)
for _resolver in RESOLVERS:
    # So that a text which looks like a number to YAML 1.1 or 1.2 is written in quotes.
    _Dumper.add_implicit_resolver(*_resolver)


def _entry(value: Any, indent: str, has_car: bool = False) -> tuple[str, list[str]]:  # noqa: ANN401
    """Return what stands behind a key, and the lines below it."""
    if isinstance(value, BaseModel):
        return "", _commented(value, f"{indent}  ", has_car)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    is_plain = not any(isinstance(item, BaseModel) for item in items)
    how = {"default_flow_style": is_plain, "sort_keys": False, "allow_unicode": True}
    text = yaml.dump(value, Dumper=_Dumper, width=10_000, **how).removesuffix("...\n")
    if is_plain:
        return f" {text.rstrip()}", []
    return "", textwrap.indent(text, f"{indent}  ").splitlines()


def _meaning(schema: type[BaseModel], name: str, value: object) -> str:
    """Return what a field, or else the section that it holds, says about itself."""
    text = next((said[name] for said in map(_docstrings, schema.__mro__) if name in said), None)
    if text is None:
        return _first_paragraph(type(value)) if isinstance(value, BaseModel) else ""
    kind = schema.model_fields[name].annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if not all(str(choice) in text for choice in choices):
        text = f"{' | '.join(map(str, choices))}: {text}"
    return " ".join(text.split())


def _follows(schema: type[BaseModel], name: str) -> bool:
    """Return whether the default of a field follows from the car."""
    return any(isinstance(own, Follows) for own in schema.model_fields[name].metadata)


@functools.cache
def _docstrings(owner: type) -> dict[str, str]:
    """Return the strings under a section's own fields, looked up late since that takes its time."""
    if not issubclass(owner, Section):
        return {}
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    said = {}
    for field, below in pairwise(getattr(tree, "body", ())):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                said[name] = inspect.cleandoc(text)
    return said


def _first_paragraph(schema: type[BaseModel]) -> str:
    """Return the beginning of a docstring."""
    return " ".join(inspect.cleandoc(schema.__doc__ or "").split("\n\n")[0].split())


def _parse_override(text: str, schema: type[BaseModel]) -> tuple[str, Any]:
    """Split `key=value` and read the value as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        settings = _settings(schema)
        near = difflib.get_close_matches(key, settings, n=1, cutoff=0.0)[0]
        example = shlex.quote(f"{near}={_default(settings[near])}")
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
    settings = _settings(schema)
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
    settings = _settings(schema)
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


Setting = tuple[type[BaseModel], str, Any]
"""A section, the name of a field of it, and its default."""


def _expected(place: tuple[int | str, ...], settings: Mapping[str, Setting]) -> str:
    """Say what belongs where a value is wrong: a setting, or one of those in a section."""
    key = str(place[0]) if place else ""
    for part in place[1:]:  # what is wrong may be an item of the setting
        key = key if key in settings else f"{key}.{part}"
    if key in settings:
        text = _default(settings[key])
        return f"{key}{text and f' (default: {text})'}: {_meaning(*settings[key])}"
    inside = ", ".join(name for name in settings if name.startswith(f"{key}."))
    return inside and f"{key} is a section: set {inside}"


def _default(setting: Setting) -> str:
    """Return the default of a setting in a line of YAML; nothing where there is none."""
    schema, name, value = setting
    return "" if schema.model_fields[name].is_required() else _entry(value, "")[0].strip()


def _settings(section: BaseModel | type[BaseModel], prefix: str = "") -> dict[str, Setting]:
    """Return every setting of a section by its key in dotted notation."""
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
            settings |= _settings(within, f"{prefix}{name}.")
    return settings
