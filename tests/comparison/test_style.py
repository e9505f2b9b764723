"""How methods are called and drawn."""

import importlib.util
import sys
from pathlib import Path
from subprocess import run

import pytest

from diffcar.comparison.config import CompareConfig
from diffcar.comparison.style import styles_of
from diffcar.controllers.classical import CLASSICAL
from diffcar.controllers.config import CONTROLLERS
from diffcar.training.methods import METHODS, expert_of

COMPARED = tuple(CompareConfig().methods)


def test_a_method_looks_the_same_whoever_else_is_compared() -> None:
    """Colours do not depend on the company, and one's own method gets one, too."""
    assert styles_of(["ppo"])["ppo"] == styles_of(["e2e", "mine", "ppo"])["ppo"]
    colours = {style.colour for style in styles_of(["e2e", "ppo", "mine", "other"]).values()}
    assert len(colours) == 4


def test_all_that_can_be_compared_is_registered() -> None:
    """In the order in which it is listed, each with looks of its own."""
    trained = [name for name, method in METHODS.items() if method.is_compared]
    classical = [name for name, kind in CLASSICAL.items() if kind.by_default]
    assert (*trained, *classical) == COMPARED
    assert {n for n, kind in CONTROLLERS.items() if hasattr(kind, "SEARCH")} == set(CLASSICAL)
    styles = styles_of([*trained, *CLASSICAL]).values()
    assert all(style.label for style in styles)
    assert len({style.colour for style in styles}) == len({s.marker for s in styles}) == 8


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_names_is_there(name: str) -> None:
    """Its trainer, its settings within a comparison with its own of them, and its expert."""
    method = METHODS[name]
    module, _, attribute = method.trainer.partition(":")
    # Not imported: what it needs may not be installed.
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert f"def {attribute}(" in Path(str(spec.origin)).read_text()
    section = type(getattr(CompareConfig(), method.section, None))
    assert not method.is_compared or method.overrides.keys() <= section.model_fields.keys()
    assert expert_of(name) in (None, *COMPARED)
    assert expert_of("somebody's own") is None


def test_methods_are_known_without_loading_anything_heavy() -> None:
    """Neither torch nor an engine is imported to say what can be trained."""
    code = (
        "import sys; import diffcar.training.methods, diffcar.controllers.classical; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'genesis', 'mujoco', 'pandas')))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
