"""The files in configs/, which are written from the schemas: `python -m tests.test_configs`."""

from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field

from diffcar.base.config import dotted_values, load_config
from diffcar.base.files import resource_path
from diffcar.base.section import Section
from diffcar.cli.settings import SCHEMAS
from diffcar.comparison.config import SUITES
from diffcar.training.methods import METHODS
from tests.commented_yaml import commented_yaml


def test_shipped_files_are_what_the_schemas_say() -> None:
    """A setting is described once; `python -m tests.test_configs` writes the files anew."""
    for name, schema in SCHEMAS.items():
        file = resource_path(f"configs/{name.replace('-', '_')}.yaml")
        assert file.read_text() == commented_yaml(schema), f"{name}: run the above"
        assert load_config(schema, file=file) == schema()
        assert "verbose" not in yaml.safe_load(file.read_text())


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_setting_that_is_given_its_default_changes_no_other(name: str) -> None:
    """Also where a command has another default than the section that the setting is in."""
    schema = SCHEMAS[name]
    whole = schema()
    given = dotted_values(whole.model_dump(mode="json"))
    assert given
    for key, value in given.items():
        if key.count(".") == 1 and value is not None:
            section = key.partition(".")[0]
            sections = load_config(schema, overrides=[f"{key}={yaml.safe_dump(value).strip()}"])
            assert getattr(sections, section) == getattr(whole, section), key


def test_a_body_is_pushed_along_a_small_built_in_path_and_a_file_as_it_is(tmp_path: Path) -> None:
    """Unless a scale is asked for; the speed is that of a push, whichever path it is."""
    file = tmp_path / "path.csv"
    file.write_text("x,y\n0,0\n0.2,0\n0.4,0.1\n")
    schema = SCHEMAS["train-push"]
    for source, scale in {"random": 0.8, "slalom": 0.8, str(file): 1.0}.items():
        path = load_config(schema, flags={"path.source": source}).path
        assert (path.scale, path.top_speed) == (scale, 0.3)
        assert (
            load_config(schema, flags={"path.source": source, "path.scale": 0.5}).path.scale == 0.5
        )


def test_quick_comparison_fits_the_schema() -> None:
    """Its values are its own."""
    quick = load_config(SCHEMAS["compare"], file=resource_path("configs/compare_quick.yaml"))
    assert quick.seeds == [0]


def test_the_suite_at_the_limit_is_of_roads_that_nothing_is_trained_on() -> None:
    """Each with all shares of the grip, of which methods are ranked at the one trained at."""
    limit = load_config(SCHEMAS["compare"], file=resource_path(str(SUITES["limit"])))
    assert limit.ranked_grip == limit.path.grip == 0.9
    by_road: dict[int, list[float]] = {}
    for path in limit.suite.paths:
        by_road.setdefault(path.seed, []).append(path.grip)
        own = {"seed": None, "grip": 0.9, "source": limit.path.source}
        assert path.model_copy(update=own) == limit.path
    assert list(by_road.values()) == [[0.7, 0.8, 0.9, 0.95]] * 3
    assert not set(by_road) & set(limit.seeds)
    assert limit.e2e.num_decay_updates == limit.e2e.num_updates


def test_training_for_real_cars_is_the_same_by_both_methods() -> None:
    """Cars differ alike, and the network remembers a command longer than the longest delay."""
    e2e, ppo = (
        load_config(METHODS[name].config["tracking"], file=resource_path(METHODS[name].robust))
        for name in ("e2e", "ppo")
    )
    assert e2e.randomisation == ppo.randomisation
    assert e2e.controller == ppo.controller
    assert e2e.controller.past_commands > e2e.randomisation.ranges["delay_steps"][1]
    assert not e2e.randomisation.is_calm
    suite = load_config(SCHEMAS["compare"], file=resource_path(str(SUITES["robust"]))).suite
    assert {own.delay_steps for own in suite.conditions.values()} == {0, 1, 2, 3}


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


def test_a_comparison_at_the_limit_trains_as_a_training_there_does() -> None:
    """The two files of settings that are written by hand say the same."""
    alone = load_config(SCHEMAS["train-e2e"], file=resource_path("configs/train_e2e_limit.yaml"))
    compared = load_config(SCHEMAS["compare"], file=resource_path("configs/compare_limit.yaml"))
    for name in ("model", "path", "controller", "loss"):
        assert getattr(alone, name) == getattr(compared, name), name
    unchecked = {"gradient_check_interval": 0}
    assert alone.train.model_copy(update=unchecked) == compared.e2e.model_copy(update=unchecked)
