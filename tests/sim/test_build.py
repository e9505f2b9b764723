"""Scenes are built by the config's type and the engine's name, or refused with a reason."""

from types import SimpleNamespace

import pytest
import torch

from diffcar.base.errors import ConfigError, SimulationError
from diffcar.sim.build import Engine, build_scene, repair
from diffcar.sim.config import ENGINES, ArmConfig, CarConfig, EngineConfig, SoftBodyConfig
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.mujoco_car import MuJoCoCar


def test_the_engine_is_chosen_by_name() -> None:
    """An unknown one is answered with the nearest."""
    scene = build_scene(num_envs=2, engine="mujoco")
    assert isinstance(scene, MuJoCoCar)
    assert scene.dtype == torch.float32
    with pytest.raises(ConfigError, match="no engine is called 'mujocco'") as caught:
        build_scene(num_envs=2, engine="mujocco")
    assert "did you mean 'mujoco'" in (caught.value.hint or "")


def build_own(config: CarConfig, num_envs: int) -> SimpleNamespace:
    return SimpleNamespace(dt=config.dt, num_envs=num_envs)


OWN = Engine("own", {CarConfig: build_own})


def test_an_engine_of_ones_own_is_named_by_where_it_is() -> None:
    """It need not know options that nobody asks for."""
    scene = build_scene(CarConfig(dt=0.05), num_envs=3, engine=f"{__name__}:OWN")
    assert (scene.dt, scene.num_envs) == (0.05, 3)


def test_the_precision_is_that_of_the_config() -> None:
    """In MuJoCo of what is reported; it computes in 64 bits."""
    scene = build_scene(CarConfig(precision=64), num_envs=1, engine="mujoco")
    assert scene.read().qpos.dtype == scene.dtype == torch.float64


def test_engines_write_themselves() -> None:
    """As tables show them."""
    assert [engine.label for engine in ENGINES.values()] == ["Genesis", "MuJoCo"]


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (CarConfig(), {"engine": "mujoco", "differentiable": True}, "CarConfig with different"),
        (CarConfig(), {"engine": "mujoco", "with_camera": True}, "CarConfig with with_camera"),
        (ArmConfig(), {"engine": "mujoco"}, "MuJoCo builds no scene of ArmConfig"),
        (EngineConfig(), {}, "Genesis builds no scene of EngineConfig"),
        (ArmConfig(), {"vehicle": load_vehicle()}, "Genesis builds no scene of ArmConfig with veh"),
        (SoftBodyConfig(), {"with_grond": True}, "Genesis builds no scene of SoftBodyConfig with"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(
    config: EngineConfig, options: dict[str, object], message: str
) -> None:
    """Before Genesis is started, and not silently left out."""
    with pytest.raises(ConfigError, match=message):
        build_scene(config, num_envs=1, **options)


def test_only_a_built_scene_is_repaired() -> None:
    """Repairs rest on what the build makes."""
    with pytest.raises(SimulationError, match="not built yet"):
        repair(SimpleNamespace(is_built=False))
