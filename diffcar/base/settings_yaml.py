"""Writes settings as YAML: those of a run, or all of a command with what they mean."""

import ast
import functools
import inspect
import textwrap
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

from diffcar.base.section import Follows, Section, Setting, Settings
from diffcar.base.yaml_reader import RESOLVERS

__all__ = ["commented_yaml", "default_of", "dump_config", "meaning_of"]


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
            meaning = meaning_of(schema, name, value)
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


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """The safe dumper, in C if there is one, which shows in a list what is no default."""


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


def meaning_of(schema: type[BaseModel], name: str, value: object) -> str:
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


def default_of(setting: Setting) -> str:
    """Return the default of a setting in a line of YAML; nothing where there is none."""
    schema, name, value = setting
    return "" if schema.model_fields[name].is_required() else _entry(value, "")[0].strip()
