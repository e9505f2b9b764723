"""All settings of a command as YAML with what they mean, from which `configs/` is written."""

import textwrap
from typing import Any

import yaml
from pydantic import BaseModel

from diffcar.base.section import Follows
from diffcar.base.settings_yaml import first_paragraph, inline_yaml, meaning_of

_WIDTH = 100
# What is longer has its comment above it, lest it push those of its neighbours to the right.
_LONGEST = 40


def commented_yaml(schema: type[BaseModel]) -> str:
    """Return all settings of a command with their defaults as YAML, its docstrings as comments."""
    intro = (
        f"Settings of {first_paragraph(schema).removesuffix('.')}; every value shown is the "
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


def _entry(value: Any, indent: str, has_car: bool = False) -> tuple[str, list[str]]:
    """Return what stands behind a key, and the lines below it."""
    if isinstance(value, BaseModel):
        return "", _commented(value, f"{indent}  ", has_car)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(item, BaseModel) for item in items):
        return f" {inline_yaml(value)}", []
    entries = [item.model_dump(mode="json", exclude_defaults=True) for item in items]
    shown = dict(zip(value, entries, strict=True)) if isinstance(value, dict) else entries
    text = yaml.dump(shown, sort_keys=False, allow_unicode=True, width=10_000)
    return "", textwrap.indent(text, f"{indent}  ").splitlines()


def _follows(schema: type[BaseModel], name: str) -> bool:
    """Return whether the default of a field follows from the car."""
    return any(isinstance(own, Follows) for own in schema.model_fields[name].metadata)
