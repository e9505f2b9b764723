"""The car as a vehicle: it rolls, turns, accelerates and starts where it is told."""

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from diffcar.base.errors import ConfigError, SimulationError
from diffcar.controllers.errors import starts_on_path
from diffcar.controllers.stanley import Stanley
from diffcar.sim.backend import initialise
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import Placement
from diffcar.tasks.tracking.rollout import rollout
from tests.cli.conftest import environment
from tests.samples import road

pytestmark = pytest.mark.genesis
Starts = Callable[..., Placement]


def drive(car: GenesisCar, action: list[list[float]], num_steps: int) -> None:
    """Hold one action a car for some steps."""
    with torch.no_grad():
        for _ in range(num_steps):
            car.apply(torch.tensor(action, dtype=torch.float64))
            car.step()


@pytest.fixture(params=["torque", "pd"])
def car(request: pytest.FixtureRequest, plain_car: GenesisCar) -> GenesisCar:
    """The plain cars under each actuation in turn."""
    plain_car.actuation = request.param
    return plain_car


def farthest_apart(plain: GenesisCar, differentiable: GenesisCar, actuation: str) -> float:
    """Let cars of two scenes drive 200 steps by the same controller; return how far apart [m]."""
    path = road("figure-eight").to(plain.dtype)
    start = starts_on_path(path, plain.tensor([1.0, 4.5, 8.0, 12.0]), cross_track=0.05)
    driven = []
    for car in (plain, differentiable):
        car.actuation = actuation
        with torch.no_grad():
            driven.append(rollout(car, Stanley(car.vehicle), path, start, 200))
    assert float(driven[0].distance[-1].min()) > 5.0
    assert plain.rest_height == pytest.approx(differentiable.rest_height, abs=1e-6)
    return float((driven[0].position - driven[1].position).norm(dim=-1).max())


@pytest.mark.parametrize("actuation", ["torque", "pd"])
def test_a_differentiable_scene_drives_as_a_plain_one(
    actuation: str, plain_car: GenesisCar, differentiable_car: GenesisCar
) -> None:
    """So what is judged in the scene that it was trained in is judged in plain physics."""
    assert farthest_apart(plain_car, differentiable_car, actuation) < 1e-9


_IN_32_BITS = """
from diffcar.sim.build import build_scene
from tests.sim.test_car import farthest_apart
scenes = [build_scene(num_envs=4, differentiable=grad) for grad in (False, True)]
print(*(farthest_apart(*scenes, actuation) for actuation in ("torque", "pd")))
"""


def test_so_it_does_in_the_numbers_that_training_has() -> None:
    """In 32 bits within what they round, to a hundredth of a millimetre; Genesis starts in one."""
    command = [sys.executable, "-c", _IN_32_BITS]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=True, timeout=900
    )
    apart = [float(word) for word in done.stdout.splitlines()[-1].split()]
    assert len(apart) == 2
    assert max(apart) < 1e-5, apart


@pytest.mark.parametrize("actuation", ["torque", "pd"])
def test_a_push_in_a_differentiable_scene_is_that_in_a_plain_one(
    actuation: str, plain_car: GenesisCar, differentiable_car: GenesisCar, rolling_start: Starts
) -> None:
    """Two that add up, for one step and no longer, and not after a reset; gradients replay it."""
    force = torch.tensor([[8.0, 0.0], [0.0, 8.0], [-8.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    ends = []
    for car in (plain_car, differentiable_car):
        car.actuation = actuation
        for pushes in (2, 0):
            car.reset(rolling_start(speed=1.5, yaw=0.7))
            if pushes:
                car.apply_force(0 * force)
            drive(car, [[0.2, 1.7]] * 4, 3)
            for _ in range(pushes):
                car.apply_force(force / 2)
            drive(car, [[0.2, 1.7]] * 4, 4)
            ends.append(car.read())
    assert torch.allclose(ends[1].qpos, ends[3].qpos, atol=1e-9)
    (moved, also), turned = (
        [(ends[first].position - ends[first + 1].position)[:3] for first in (0, 2)],
        [ends[first].yaw - ends[first + 1].yaw for first in (0, 2)],
    )
    # Where the chassis rolls and pitches they part a little.
    assert float((moved - also).norm(dim=-1).max()) < 0.1 * float(moved.norm(dim=-1).min())
    assert torch.allclose(*turned, atol=1e-4)
    assert float(moved.norm(dim=-1).min()) > 1e-4
    with pytest.raises(SimulationError, match="from their first step on"):
        car.apply_force(force)
    leaf = torch.tensor([0.2, 1.7], dtype=torch.float64, requires_grad=True)

    def sideways(action: torch.Tensor) -> torch.Tensor:
        car.reset(rolling_start(speed=1.5, yaw=0.7))
        for number in range(4):
            car.apply(action.expand(4, 2))
            car.apply_force(force if number == 1 else 0 * force)
            car.step()
        return car.read().position[:, 1].sum()

    car.backward(sideways(leaf))
    with torch.no_grad():
        steps = torch.tensor([1e-5, 0.0], dtype=torch.float64)
        slope = (sideways(leaf + steps) - sideways(leaf - steps)) / 2e-5
    assert float(leaf.grad[0]) == pytest.approx(float(slope), rel=1e-6)


def test_reset_puts_the_cars_where_they_were_asked_to_be(
    car: GenesisCar, rolling_start: Starts
) -> None:
    """Position, heading and velocity are read back as set."""
    car.reset(rolling_start(speed=1.5, yaw=2.0))
    state = car.read()
    assert torch.allclose(state.yaw, torch.tensor(2.0, dtype=torch.float64))
    assert torch.allclose(state.speed, torch.tensor(1.5, dtype=torch.float64))
    assert torch.allclose(state.lateral_velocity, torch.zeros(4, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(state.position, torch.zeros(4, 2, dtype=torch.float64))


def test_car_at_rest_stays_at_rest(car: GenesisCar, rolling_start: Starts) -> None:
    """Settled on its contacts, it neither sinks nor creeps."""
    car.reset(rolling_start(speed=0.0))
    drive(car, [[0.0, 0.0]] * 4, 100)
    state = car.read()
    assert float(state.position.norm(dim=-1).max()) < 1e-4
    assert float((state.qpos[:, 2] - car.rest_height).abs().max()) < 1e-4


def test_car_reaches_speed_and_lateral_acceleration(car: GenesisCar, rolling_start: Starts) -> None:
    """4 m/s straight ahead, and 4 m/s² in a curve at 2 m/s, as the design asks."""
    car.reset(rolling_start(speed=0.0))
    drive(car, [[0.0, 4.3]] * 4, 200)
    assert float(car.read().speed.min()) > 4.0
    car.reset(rolling_start(speed=2.0))
    drive(car, [[0.35, 2.2]] * 4, 150)
    state = car.read()
    assert float((state.speed * state.yaw_rate).min()) > 4.0


def test_radius_is_that_of_the_steering_angle(car: GenesisCar, rolling_start: Starts) -> None:
    """At walking pace the yaw rate is v tan(steering) / wheelbase to five percent; left is plus."""
    car.reset(rolling_start(speed=0.5))
    drive(car, [[0.2, 0.5], [-0.2, 0.5], [0.1, 0.5], [-0.1, 0.5]], 100)
    state = car.read()
    steering = torch.tensor([0.2, -0.2, 0.1, -0.1], dtype=torch.float64)
    expected = state.speed * torch.tan(steering) / car.vehicle.wheelbase
    assert torch.allclose(state.yaw_rate, expected, rtol=0.05)


def test_reported_velocities_are_those_of_the_reported_pose(
    car: GenesisCar, rolling_start: Starts
) -> None:
    """The difference of two poses is the velocity in between, in the car's own axes."""
    car.reset(rolling_start(speed=2.0))
    drive(car, [[0.3, 2.0]] * 4, 60)
    before = car.read()
    drive(car, [[0.3, 2.0]] * 4, 1)
    after = car.read()
    moved = (after.position - before.position) / car.dt
    forward = moved[:, 0] * torch.cos(after.yaw) + moved[:, 1] * torch.sin(after.yaw)
    assert torch.allclose(forward, after.speed, atol=1e-9)
    turned = torch.remainder(after.yaw - before.yaw + math.pi, 2 * math.pi) - math.pi
    assert torch.allclose(turned / car.dt, after.yaw_rate, rtol=1e-3)


def test_reset_continues_from_a_state(
    differentiable_car: GenesisCar, rolling_start: Starts
) -> None:
    """Cut in two by a reset, a drive ends where the uncut one ends, to solver tolerance."""
    car = differentiable_car
    car.actuation = "torque"
    action = [[0.2, 2.2]] * 4
    car.reset(rolling_start())
    drive(car, action, 30)
    whole = car.read().qpos
    car.reset(rolling_start())
    drive(car, action, 15)
    car.reset(car.read())
    drive(car, action, 15)
    assert torch.dist(car.read().qpos, whole) < 1e-5


def test_second_initialisation_with_other_settings_is_refused(
    scene_config: CarConfig, plain_car: GenesisCar
) -> None:
    """Genesis cannot be restarted in a process; that is said, not discovered."""
    initialise(scene_config)
    with pytest.raises(ConfigError, match="cannot be restarted"):
        initialise(scene_config.model_copy(update={"precision": 32}))
