"""The network as a controller: bounded outputs, seeded weights, symmetry."""

import pytest
import torch

from diffcar.controllers.choose import make_controller
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.tracking_mlp import build_network, build_tracking_mlp, output_for
from diffcar.sim.config import CarConfig
from diffcar.sim.model.read import load_vehicle
from tests.bicycle import bicycles
from tests.samples import VEHICLE, car_at, road

LINE = road("line")


def test_network_output_is_bounded_and_small_before_training() -> None:
    """Within [-1, 1] for absurd observations, near zero for ordinary ones."""
    network = MLPController(5, 2, (16,), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert float(network(1e6 * torch.randn(8, 5)).abs().max()) <= 1.0
        assert float(network(torch.randn(100, 5)).abs().max()) < 0.5


def test_what_heads_say_is_weighed_by_the_last_entries_of_the_observation() -> None:
    """A share of one is that head alone, with weights given from outside as with its own."""
    torch.manual_seed(0)
    network = MLPController(5, 2, (16,), num_heads=3).double()
    errors = torch.randn(7, 2, dtype=torch.float64)
    for head, share in ((0, (1.0, 0.0, 0.0)), (2, (0.0, 0.0, 1.0)), (None, (0.5, 0.2, 0.3))):
        shares = torch.tensor(share, dtype=torch.float64)
        seen = torch.cat([errors, shares.expand(7, 3)], -1)
        with torch.no_grad():
            heads = network.network(seen).reshape(7, 3, 2)
            said = network(seen)
            outside = network.forward_with([own[None] for own in network.parameters()], seen[None])
        expected = (shares[:, None] * heads).sum(1) if head is None else heads[:, head]
        assert torch.allclose(said, expected, atol=1e-15)
        assert torch.allclose(outside[0], said, atol=1e-15)
    assert not torch.allclose(heads[:, 0], heads[:, 2], atol=1e-2)


@pytest.mark.parametrize(("past_commands", "heads"), [(0, 1), (1, 1), (8, 1), (9, 3), (12, 4)])
def test_a_network_has_a_head_for_each_delay_it_is_told_of(past_commands: int, heads: int) -> None:
    """And one where it is told of none."""
    network = build_network(ControllerConfig(past_commands=past_commands))
    assert network.num_heads == heads
    assert network.network[-2].out_features == 2 * heads


def test_network_depends_on_its_seed_alone() -> None:
    """Same seed, same weights, whatever happened to torch's global generator."""
    config = ControllerConfig()
    networks = []
    for seed in (7, 7, 8):
        torch.rand(3)
        networks.append(build_tracking_mlp(config, VEHICLE, dtype=torch.float32, seed=seed).network)
    first, again, other = (n.network[0].weight for n in networks)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_full_scale_output_is_full_lock_and_full_torque() -> None:
    """One in each output: the steering limit, and the speed excess of the motor's limit."""
    driver = build_tracking_mlp(ControllerConfig(), VEHICLE, dtype=torch.float64)
    command = driver.command(torch.ones(1, 2, dtype=torch.float64), car_at(0, 0, 0, speed=1.0))
    assert float(command[0, 0]) == pytest.approx(VEHICLE.max_steering)
    excess = float(command[0, 1]) - 1.0
    torque = VEHICLE.drive_gain * excess / VEHICLE.wheel_radius
    assert torque == pytest.approx(VEHICLE.max_drive_torque)


def test_steering_falls_with_the_square_of_the_speed() -> None:
    """To the angle whose turn takes the acceleration; at low speed all of it is left."""
    config = ControllerConfig(steering_acceleration=20.0)
    driver = build_tracking_mlp(config, VEHICLE, dtype=torch.float64)
    speeds = torch.tensor([0.5, 20.0], dtype=torch.float64)
    ones = torch.ones(2, 2, dtype=torch.float64)
    states = [car_at(0, 0, 0, speed=float(speed)) for speed in speeds]
    commands = torch.cat([driver.command(ones[:1], state) for state in states])
    slow, fast = commands[:, 0].tolist()
    assert slow == pytest.approx(VEHICLE.max_steering, rel=1e-3)
    assert fast == pytest.approx(
        VEHICLE.max_steering * 20.0 / (20.0**2 * VEHICLE.max_curvature), 0.01
    )
    assert torch.allclose(output_for(commands, speeds, VEHICLE, config), ones)


def test_trained_controller_is_left_right_symmetric() -> None:
    """Mirrored situations get mirrored steering and the same speed; a straight road none at all."""
    driver = build_tracking_mlp(ControllerConfig(), VEHICLE, dtype=torch.float64, seed=2)
    observation = torch.randn(6, 15, dtype=torch.float64)
    assert torch.equal(driver.observer.mirror(driver.observer.mirror(observation)), observation)
    straight = build_tracking_mlp(ControllerConfig(), VEHICLE, dtype=torch.float64, seed=2)
    left, right = car_at(5.0, 0.1, 0.05), car_at(5.0, -0.1, -0.05)
    to_right = straight(left, compute_error_state(LINE, left))
    to_left = straight(right, compute_error_state(LINE, right))
    assert torch.allclose(to_right[:, 0], -to_left[:, 0], atol=1e-9)
    assert torch.allclose(to_right[:, 1], to_left[:, 1])
    centred = car_at(5.0, 0.0, 0.0)
    action = straight(centred, compute_error_state(LINE, centred)).detach()
    assert abs(float(action[0, 0])) < 1e-12


def test_network_has_right_derivatives() -> None:
    """Autograd agrees with differences."""
    network = MLPController(4, 2, (8,), generator=torch.Generator().manual_seed(1)).double()
    observation = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (observation,))


def test_an_untrained_network_of_the_library_suits_the_car() -> None:
    """It looks as far ahead as the car is large; settings that were given stay."""
    sedan = load_vehicle("sedan")
    scene = bicycles(CarConfig(), num_envs=1, vehicle=sedan)
    for config, size in ((None, sedan.size), (ControllerConfig(car_size=1.0), 1.0)):
        made = make_controller("mlp", scene, config=config)
        assert made.observer.config.car_size == size
    assert make_controller("mlp", bicycles(CarConfig(), num_envs=1)).observer.config.car_size == 1
