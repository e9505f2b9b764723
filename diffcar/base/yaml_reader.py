"""Reads YAML as version 1.2 has it, with nothing that could surprise a reader."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.composer import ComposerError

from diffcar.base.errors import ConfigError, shortened

__all__ = ["RESOLVERS", "parse_yaml", "read_yaml"]

_TAG = "tag:yaml.org,2002:"
# What a value without quotes means in the core schema of YAML 1.2. YAML 1.1, which PyYAML reads,
# takes 010 for eight, 1:30 for ninety, 1_000 for a thousand, and no for false.
_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
_MAX_VALUES = 100_000
_MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """The safe loader with the values of YAML 1.2; it refuses tags and keys that come twice."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        """Refuse a tag, which could only turn a value into something that it does not look like."""
        event = self.peek_event()
        if tag := getattr(event, "tag", None):
            raise ComposerError(None, None, f"{tag!r}: tags have no place here", event.start_mark)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Refuse a key that is given twice, of which one would be lost."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    told = f"the key {shortened(key.value)!r} is given twice"
                    raise ComposerError(None, None, told, key.start_mark)
                seen.add(key.value)
        return node

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        """Refuse a character that no name can hold."""
        text = super().construct_scalar(node)
        if "\0" in text:
            raise ComposerError(None, None, "a text holds a NUL", node.start_mark)
        return text

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return a whole number of 64 bits at the most, which no leading zero makes octal."""
        text = self.construct_scalar(node)
        value = int(text, 0 if text[:2] in ("0o", "0x") else 10)
        if value.bit_length() > 64:  # Python may refuse to write it
            told = f"{shortened(text)} is a whole number of more than 64 bits"
            raise ComposerError(None, None, told, node.start_mark)
        return value


_Loader.add_constructor(f"{_TAG}int", _Loader.construct_yaml_int)
RESOLVERS = [
    (f"{_TAG}{kind}", re.compile(rf"^(?:{pattern})$"), first)
    for kind, (pattern, first) in _CORE.items()
]
"""Kinds of values without quotes: tag, pattern, and the characters one may begin with."""
for _resolver in RESOLVERS:
    _Loader.add_implicit_resolver(*_resolver)


def parse_yaml(text: str | bytes, what: str) -> Any:  # noqa: ANN401
    """Parse YAML without running anything that it may contain.

    Args:
        text: In UTF-8 if it is bytes.
        what: What holds it, in the complaint.

    Raises:
        ConfigError: If it is none, or more than any settings.
    """
    try:
        return _unshared(yaml.load(text, _Loader), iter(range(_MAX_VALUES)))
    except RecursionError:
        raise ConfigError(f"{what} is not usable: its values are nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{what} is not valid YAML: {_in_a_line(error)}") from None


def _in_a_line(error: Exception) -> str:
    """Return what a parser complains of, without the text around it."""
    if not (isinstance(error, yaml.MarkedYAMLError) and error.problem_mark):
        return str(error).partition("\n")[0]
    mark = error.problem_mark
    return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"


def _unshared(value: Any, room: Iterator[int]) -> Any:  # noqa: ANN401
    """Return values of which aliases have copies, as many as there is room for."""
    if next(room, None) is None:
        raise ValueError(f"with its aliases it holds more than {_MAX_VALUES:,} values")
    if isinstance(value, dict):
        return {key: _unshared(inner, room) for key, inner in value.items()}
    return [_unshared(inner, room) for inner in value] if isinstance(value, list) else value


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the keys and values of a YAML file, none for an empty one.

    Raises:
        ConfigError: If it cannot be read, or holds something else.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"the configuration file {str(file)!r} cannot be read: {reason}"
        ) from None
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{str(file)!r} is larger than any file of settings")
    content = parse_yaml(text, repr(str(file)))
    if not isinstance(content, dict | None):
        raise ConfigError(
            f"{str(file)!r} holds a {type(content).__name__} where keys and values are expected",
            hint="write `key: value` lines; configs/train_e2e.yaml shows all keys",
        )
    return content or {}
