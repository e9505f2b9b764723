"""What every car promises, whatever moves it: Genesis, MuJoCo, or the bicycle of these tests."""

import pytest
import torch

from diffcar.sim.build import build_scene
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarScene, CarState, Placement
from tests.bicycle import Bicycle

IN_GENESIS = pytest.mark.genesis, pytest.mark.xdist_group("shared cars")


@pytest.fixture(params=["bicycle", "mujoco", pytest.param("genesis", marks=IN_GENESIS)])
def cars(request: pytest.FixtureRequest) -> CarScene:
    """Four plain cars."""
    if request.param == "bicycle":
        return Bicycle(4)
    if request.param == "mujoco":
        return build_scene(CarConfig(precision=64), num_envs=4, engine="mujoco")
    plain = request.getfixturevalue("plain_car")
    plain.actuation = "torque"
    return plain


def placed(num_cars: int, x: float) -> Placement:
    ones = torch.ones(num_cars, dtype=torch.float64)
    return Placement(torch.stack([x * ones, 0 * ones], -1), 0.3 * ones, 1.5 * ones, 0 * ones)


def hold(cars: CarScene, num_steps: int) -> CarState:
    for _ in range(num_steps):
        cars.apply(torch.tensor([[0.1, 2.0]] * 4, dtype=torch.float64))
        cars.step()
    return cars.read()


def test_cars_are_in_the_state_of_their_placement(cars: CarScene) -> None:
    """Known before anybody is placed so; where they are told, as fast as they are told."""
    known = cars.state_of(placed(4, 3.0))
    cars.reset(placed(4, 3.0))
    found = cars.read()
    for name, value in vars(known).items():
        told = getattr(found, name)
        is_same = told is None if value is None else torch.allclose(told, value, atol=1e-9)
        assert is_same, name
    assert found.position.tolist() == [[3.0, 0.0]] * 4
    assert torch.allclose(found.speed, torch.full((4,), 1.5, dtype=torch.float64))
    assert cars.state_of(placed(2, 3.0)).qpos.shape == (2, 13)


def test_a_drive_goes_on_from_a_state(cars: CarScene) -> None:
    """Cut in two, it ends where the uncut one ends."""
    cars.reset(placed(4, 0.0))
    whole = hold(cars, 10)
    cars.reset(placed(4, 0.0))
    cars.reset(hold(cars, 5))
    assert torch.dist(hold(cars, 5).qpos, whole.qpos) < 1e-5


def test_restart_moves_only_the_cars_named(cars: CarScene) -> None:
    """The others drive on as if nothing had happened, the named ones as after a reset."""
    cars.reset(placed(4, 7.0))
    fresh = hold(cars, 5)
    cars.reset(placed(4, 0.0))
    undisturbed = hold(cars, 15)
    cars.reset(placed(4, 0.0))
    before = hold(cars, 10)
    cars.restart(torch.tensor([1, 3]), placed(2, 7.0))
    after = cars.read()
    assert torch.equal(after.qpos[::2], before.qpos[::2])
    assert torch.equal(after.dofs_velocity[::2], before.dofs_velocity[::2])
    assert after.position[1::2].tolist() == [[7.0, 0.0]] * 2
    assert torch.allclose(after.speed[1::2], torch.full((2,), 1.5, dtype=torch.float64))
    end = hold(cars, 5)
    assert torch.allclose(end.qpos[::2], undisturbed.qpos[::2], atol=1e-9)
    assert torch.allclose(end.qpos[1::2], fresh.qpos[1::2], atol=1e-6)
