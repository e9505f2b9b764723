"""Writes settings as YAML, and says what they mean."""

import ast
import functools
import inspect
import textwrap
from itertools import pairwise
from typing import Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

from diffcar.base.section import Section, Setting, Settings
from diffcar.base.yaml_reader import RESOLVERS

__all__ = ["default_of", "dump_config", "first_paragraph", "inline_yaml", "meaning_of"]


def dump_config(config: Settings) -> str:
    """Return the configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """The safe dumper, in C if there is one, which shows in a list what is no default."""


_Dumper.add_multi_representer(
    BaseModel,
    lambda dumper, item: dumper.represent_dict(item.model_dump(mode="json", exclude_defaults=True)),
)
for _resolver in RESOLVERS:
    # So that a text which looks like a number to YAML 1.1 or 1.2 is written in quotes.
    _Dumper.add_implicit_resolver(*_resolver)


def meaning_of(schema: type[BaseModel], name: str, value: object) -> str:
    """Return what a field, or else the section that it holds, says about itself."""
    text = next((said[name] for said in map(_docstrings, schema.__mro__) if name in said), None)
    if text is None:
        return first_paragraph(type(value)) if isinstance(value, BaseModel) else ""
    kind = schema.model_fields[name].annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if not all(str(choice) in text for choice in choices):
        text = f"{' | '.join(map(str, choices))}: {text}"
    return " ".join(text.split())


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


def first_paragraph(schema: type[BaseModel]) -> str:
    """Return the beginning of a section's docstring, in one line."""
    return " ".join(inspect.cleandoc(schema.__doc__ or "").split("\n\n")[0].split())


def inline_yaml(value: object) -> str:
    """Return a value that is no section, and holds none, as a line of YAML."""
    how = {"default_flow_style": True, "sort_keys": False, "allow_unicode": True, "width": 10_000}
    return str(yaml.dump(value, Dumper=_Dumper, **how).removesuffix("...\n").rstrip())


def default_of(setting: Setting) -> str:
    """Return the default of a setting in a line of YAML; nothing of a section, or without one."""
    schema, name, value = setting
    is_required = schema.model_fields[name].is_required()
    return "" if is_required or isinstance(value, BaseModel) else inline_yaml(value)
