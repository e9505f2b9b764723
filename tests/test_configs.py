"""The files in configs/, which are written from the schemas: `python -m tests.test_configs`."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from diffcar.base.config import Section, commented_yaml, load_config
from diffcar.base.files import resource_path
from diffcar.cli.settings import SCHEMAS


def test_shipped_files_are_what_the_schemas_say() -> None:
    """A setting is described once; `python -m tests.test_configs` writes the files anew."""
    for name, schema in SCHEMAS.items():
        file = resource_path(f"configs/{name.replace('-', '_')}.yaml")
        assert file.read_text() == commented_yaml(schema), f"{name}: run the above"
        assert load_config(schema, file=file) == schema()
        assert "verbose" not in yaml.safe_load(file.read_text())


def test_quick_comparison_fits_the_schema() -> None:
    """Its values are its own."""
    quick = load_config(SCHEMAS["compare"], file=resource_path("configs/compare_quick.yaml"))
    assert quick.seeds == [0]


class Wheel(Section):
    """What touches the road.

    Source:
        Nobody reads this in a file of settings.
    """

    radius: float = 0.05
    """Of the tyre [m]."""


class Cart(Section):
    """`diffcar pull`."""

    front: Wheel = Wheel()
    colour: Literal["red", "blue"] = "red"
    """Of the box."""
    spare: list[Wheel] = Field(default=[Wheel(radius=0.04)])
    """Carried along, since the road is long and nobody lives there who can help."""
    names: list[str] = Field(default=["a name that is long", "and another"])
    """Painted on it."""
    is_loud: bool = Field(default=False, exclude=True)
    """Not written."""


def test_settings_are_written_with_their_meaning() -> None:
    """Values before sections, a comment beside each, in as many lines as it takes."""
    assert commented_yaml(Cart).splitlines()[2:] == [
        "",
        "colour: red  # red | blue: Of the box.",
        "# Painted on it.",
        "names: [a name that is long, and another]",
        "",
        "front:       # What touches the road.",
        "  radius: 0.05  # Of the tyre [m].",
        "",
        "spare:       # Carried along, since the road is long and nobody lives there who can help.",
        "  - radius: 0.04",
    ]


if __name__ == "__main__":
    for name, schema in SCHEMAS.items():
        file = Path("configs", f"{name.replace('-', '_')}.yaml")
        file.write_text(commented_yaml(schema))
