"""Fixtures that tests share; scenes are built once, since each new kind compiles for minutes."""

import gc
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# What loads torch is imported where it is used: the process that starts pytest-xdist's workers
# reads this file, too, before they begin.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from diffcar.path.reference import ReferencePath
    from diffcar.sim.car import GenesisCar
    from diffcar.sim.config import CarConfig
    from diffcar.sim.contract import Placement
    from diffcar.sim.soft_body import GenesisSoftBody

_PROCESS_PRECISION = 64
_LONGEST = ("test_kills", "test_hostile", "test_sizes", "test_streams")


def pytest_configure(config: pytest.Config) -> None:
    """Know the mark below without pytest-xdist, too."""
    config.addinivalue_line("markers", "xdist_group(name): stays in one worker with its like")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `pytest -n 2 --dist loadgroup` build each shared scene in one worker alone.

    A test that asks for a shared scene by its name only, at run time, says itself where it belongs.
    """
    import torch

    # Matrices so small are slower where threads wait for each other on busy cores.
    torch.set_num_threads(1)
    # What takes longest begins first, so that no worker is left alone with it at the end.
    items.sort(key=lambda item: not any(name in item.nodeid for name in _LONGEST))
    for item in items:
        if item.get_closest_marker("genesis") and not item.get_closest_marker("xdist_group"):
            scenes = set(getattr(item, "fixturenames", ()))
            where = item.nodeid.partition("::")[0]
            if scenes & {"differentiable_car", "plain_car"}:
                where = "shared cars"
            elif "soft_body" in scenes:
                where = "soft body"
            item.add_marker(pytest.mark.xdist_group(where))


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of every later collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def scene_config() -> "CarConfig":
    """The configuration of all scenes of this process: float64, for finite differences."""
    from diffcar.sim.config import CarConfig

    return CarConfig(precision=_PROCESS_PRECISION)


@pytest.fixture(scope="session")
def differentiable_car(scene_config: "CarConfig") -> "GenesisCar":
    """Four differentiable cars."""
    from diffcar.sim.build import build_scene

    return build_scene(scene_config, num_envs=4, differentiable=True)


@pytest.fixture(scope="session")
def plain_car(scene_config: "CarConfig") -> "GenesisCar":
    """Four plain cars."""
    from diffcar.sim.build import build_scene

    return build_scene(scene_config, num_envs=4, differentiable=False)


@pytest.fixture(scope="session")
def soft_body() -> "GenesisSoftBody":
    """Four differentiable soft bodies with muscles; relaxed, they are the elastic ones."""
    from diffcar.sim.build import build_scene
    from diffcar.sim.config import SoftBodyConfig

    config = SoftBodyConfig(precision=_PROCESS_PRECISION, material="muscle")
    return build_scene(config, num_envs=4, differentiable=True)


@pytest.fixture
def figure_eight() -> "ReferencePath":
    """A closed path with curves to both sides."""
    from tests.samples import road

    return road("figure-eight")


@pytest.fixture
def rolling_start() -> "Callable[..., Placement]":
    """Make start states at the origin."""
    import torch

    from diffcar.sim.contract import Placement

    def make(num_envs: int = 4, speed: float = 2.0, yaw: float = 0.3) -> Placement:
        ones = torch.ones(num_envs, dtype=torch.float64)
        return Placement(
            position=torch.zeros(num_envs, 2, dtype=torch.float64),
            yaw=yaw * ones,
            speed=speed * ones,
            yaw_rate=0.0 * ones,
        )

    return make


@pytest.fixture
def _unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures out, which take longer than such small trainings, and drives for them."""
    monkeypatch.setattr("diffcar.tasks.tracking.unseen._DRAWN_TIME", 0.1)
    for where in ("diffcar.training.run.plot_training", "diffcar.tasks.tracking.unseen.plot_drive"):
        monkeypatch.setattr(where, lambda *args: None)


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pictures, and write them without having drawn them, where they are not what is asked."""
    from matplotlib.figure import Figure

    def save(figure: "Figure", target: Path | io.StringIO, **how: object) -> None:
        if isinstance(target, Path):
            target.write_bytes(b"\x89PNG")
        else:
            target.write('<svg viewBox="0 0 1 1"></svg>')

    monkeypatch.setattr(Figure, "savefig", save)
