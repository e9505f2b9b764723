"""What can be named: those that come with diffcar, one's own, and nobody by accident."""

import textwrap
from pathlib import Path

import pytest

from diffcar.base.errors import CheckpointError, ConfigError, PathError
from diffcar.base.registry import Registry, import_attribute
from diffcar.controllers.choose import choose_controller
from diffcar.controllers.config import CONTROLLERS
from diffcar.path.config import PATHS
from diffcar.sim.build import build_scene
from diffcar.sim.config import CarConfig
from diffcar.tasks.registry import TASKS
from diffcar.training.methods import METHODS
from diffcar.training.run import train
from tests.bicycle import Bicycle
from tests.samples import VEHICLE, road

REGISTRIES = {
    "paths": (PATHS, PathError),
    "controllers": (CONTROLLERS, CheckpointError),
    "tasks": (TASKS, ConfigError),
    "methods": (METHODS, ConfigError),
}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_what_can_be_named_is_there(kind: str) -> None:
    """Every entry can be imported."""
    registry, _ = REGISTRIES[kind]
    assert len(registry) == len(list(registry)) > 2
    assert all(registry[name] is not None for name in registry)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_another_name_is_nobody(kind: str) -> None:
    """An error with the nearest name and all there are, not whoever comes last."""
    registry, error = REGISTRIES[kind]
    name = next(iter(registry))
    with pytest.raises(error, match=f"'{name}x'") as caught:
        registry[f"{name}x"]
    assert f"did you mean '{name}'?" in (caught.value.hint or "")
    for known in registry:
        assert known in (caught.value.hint or "")


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    """A name is checked, listed and counted by itself."""
    registry: Registry[object] = Registry("toy", {"far": "nowhere.at.all:Toy"})
    registry.check("far")
    assert ("far" in registry, list(registry)) == (True, ["far"])
    with pytest.raises(ConfigError, match="there is no module 'nowhere'"):
        registry["far"]


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file in the folder that a command is run in."""
    (tmp_path / "mine_of_test.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            import torch

            from diffcar.path.builtin import Points

            def wave(seed):
                x = np.linspace(0.0, 6.0, 200)
                return Points(np.stack([x, 0.2 * np.sin(x)], -1), closed=False)

            def nothing(seed):
                return None

            def empty(seed):
                return Points(np.zeros((0, 2)), closed=False)

            def solid(seed):
                return Points(np.arange(30.0).reshape(10, 3), closed=False)

            def endless(seed):
                return Points(np.array([[0, 0], [1, 0], [2, 0], [np.inf, 0]]), closed=False)

            def short(seed):
                return Points(np.arange(6.0).reshape(3, 2), closed=False)

            def hasty(seed):
                return Points(wave(seed).xy, closed=False, speed=np.ones(3))

            class Still:
                name = "still"

                def __init__(self, vehicle):
                    self.vehicle = vehicle

                def __call__(self, state, errors):
                    return torch.zeros(len(state.yaw), 2)
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "mine_of_test"


def test_one_s_own_controller_drives(own_module: str) -> None:
    """By `module:Class`, without touching the package."""
    car = Bicycle(2)
    controller = choose_controller(f"{own_module}:Still").build(car)
    assert controller.name == "still"
    assert controller.vehicle is car.vehicle


def test_one_s_own_path_is_followed(own_module: str) -> None:
    """By `module:function`, of a seed."""
    assert road(f"{own_module}:wave").length == pytest.approx(6.06, abs=0.02)


@pytest.mark.parametrize(
    ("name", "told"),
    {
        "math:pi": r"is 3\.14",
        "math:sqrt": "is <built-in",
        "mine_of_test:nothing": "returns None",
    }.items(),
)
def test_what_is_no_path_or_controller_is_told(own_module: str, name: str, told: str) -> None:
    """By what it is, or returns."""
    with pytest.raises(PathError, match=rf"'{name}' is no path: it {told}") as error:
        road(name)
    assert "docs/library.md" in str(error.value.hint)
    with pytest.raises(CheckpointError, match=rf"'{name}' is no controller: it {told}"):
        choose_controller(name).require_knowledge_of(VEHICLE)


def test_what_is_no_method_or_engine_is_told() -> None:
    """Before anything is built."""
    with pytest.raises(ConfigError, match=r"'math:pi' is no method: it is 3\.14"):
        train("math:pi")
    with pytest.raises(ConfigError, match=r"'math:pi' is no engine: it is 3\.14"):
        build_scene(CarConfig(), num_envs=1, engine="math:pi")


@pytest.mark.parametrize("xy", ["empty", "solid", "endless", "short"])
def test_points_of_ones_own_are_four_places_in_a_plane(own_module: str, xy: str) -> None:
    """Not none, not in space, not at infinity; nor have they speeds that are others' or none."""
    with pytest.raises(PathError, match=rf"'mine_of_test:{xy}' has xy of shape \("):
        road(f"mine_of_test:{xy}")
    with pytest.raises(PathError, match=r"has speeds of shape \(3,\); it needs 200 finite ones"):
        road("mine_of_test:hasty")


@pytest.mark.parametrize("where", ["mine_of_test:Missing", "mine_of_no_test:Still"])
def test_what_is_missing_of_one_s_own_is_named(own_module: str, where: str) -> None:
    """The module, or what should be in it."""
    with pytest.raises(ConfigError, match=r"Missing|mine_of_no_test"):
        import_attribute(where)
