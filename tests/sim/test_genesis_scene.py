"""What all Genesis scenes share: the graph begins at a reset, whatever happened before it."""

import pytest
import torch

from diffcar.sim.build import repair
from diffcar.sim.car import GenesisCar
from diffcar.sim.genesis_scene import GenesisScene

pytestmark = pytest.mark.genesis
DRIVES, GIVES_WAY = map(pytest.mark.xdist_group, ("shared cars", "soft body"))


@pytest.fixture(
    params=[
        pytest.param("differentiable_car", marks=DRIVES),
        pytest.param("soft_body", marks=GIVES_WAY),
    ]
)
def scene(request: pytest.FixtureRequest) -> GenesisScene:
    """A differentiable scene of each kind in turn."""
    return request.getfixturevalue(request.param)


def begin(scene: GenesisScene, rolling_start: object) -> torch.Tensor:
    """Reset a scene, and command it what tracks gradients."""
    is_car = isinstance(scene, GenesisCar)
    scene.reset(rolling_start() if is_car else scene.resting_start())
    command = scene.zeros(scene.num_envs, 2 if is_car else 3).requires_grad_()
    scene.apply(command)
    return command


def test_a_reset_clears_what_a_failed_backward_pass_leaves(
    scene: GenesisScene, rolling_start: object
) -> None:
    """Genesis's own leaves the rigid solver in reverse, where steps move nothing."""
    scene.scene.sim.rigid_solver._is_backward = True
    begin(scene, rolling_start)
    assert scene.scene.sim.rigid_solver._is_backward is False


def test_a_state_is_read_once_a_step(scene: GenesisScene, rolling_start: object) -> None:
    """And anew after the next one."""
    begin(scene, rolling_start)
    scene.step()
    state = scene.read()
    assert scene.read() is state
    scene.step()
    assert scene.read() is not state


def test_after_a_step_that_was_not_taped_there_is_no_graph(
    scene: GenesisScene, rolling_start: object
) -> None:
    """Until the next reset; a read that claimed one would end in Genesis's own error."""

    def is_tracked() -> bool:
        scene.step()
        parts = vars(scene.read()).values()
        return any(part.requires_grad for part in parts if part is not None)

    begin(scene, rolling_start)
    assert is_tracked()
    with torch.no_grad():
        scene.step()
    assert not is_tracked()
    begin(scene, rolling_start)
    assert is_tracked()


def test_the_last_command_is_what_genesis_was_handed(
    scene: GenesisScene, rolling_start: object
) -> None:
    """Named for the table of hops, and on the graph."""
    begin(scene, rolling_start)
    assert scene.last_command
    for name, tensor in scene.last_command.items():
        assert name.startswith("command: ")
        assert tensor.requires_grad


@pytest.mark.parametrize(
    ("name", "repairs"),
    [
        pytest.param("differentiable_car", ["control tape"], marks=DRIVES),
        pytest.param("plain_car", [], marks=DRIVES),
        pytest.param("soft_body", ["tool inputs", "corotated stress"], marks=GIVES_WAY),
    ],
)
def test_repairs_are_those_that_a_scene_has_a_use_for(
    name: str, repairs: list[str], request: pytest.FixtureRequest
) -> None:
    """Also where Genesis's own scene is given; a plain one has none."""
    scene = request.getfixturevalue(name)
    assert repair(scene) == repairs
    assert repair(scene.scene) == repairs
