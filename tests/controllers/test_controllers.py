"""Controllers: literature formulas by hand, bounded outputs, seeded weights."""

import math

import pytest
import torch

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.controllers.zero import Zero
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.model.vehicle import load_vehicle
from tests.test_tracking import car_at

VEHICLE = load_vehicle()
LINE = load_path(PathConfig(source="line"))


def test_pure_pursuit_steers_along_the_arc_to_its_target() -> None:
    """Rear axle 0.1 m left of a straight road, target 0.5 m ahead: curvature 2 (-0.1) / L²."""
    controller = PurePursuit(VEHICLE, lookahead_time=0.0, min_lookahead=0.5)
    state = car_at(5.0, 0.1, 0.0)
    steering = float(controller(state, compute_error_state(LINE, state))[0, 0])
    expected = math.atan(VEHICLE.wheelbase * 2 * (-0.1) / (0.5**2 + 0.1**2))
    assert steering == pytest.approx(expected, rel=1e-6)


def test_stanley_sums_heading_and_cross_track() -> None:
    """Parallel to the road at 0.1 m to its left and 2 m/s: -atan(k 0.1 / (k_soft + 2))."""
    controller = Stanley(VEHICLE, gain=3.0, softening=1.0, yaw_damping=0.0, slip_gain=0.0)
    state = car_at(5.0, 0.1, 0.0)
    steering = float(controller(state, compute_error_state(LINE, state))[0, 0])
    assert steering == pytest.approx(-math.atan(3.0 * 0.1 / 3.0), rel=1e-6)
    turned = car_at(5.0, 0.0, 0.1)
    front = (VEHICLE.wheelbase + VEHICLE.rear_axle_x) * math.sin(0.1)
    steering = float(controller(turned, compute_error_state(LINE, turned))[0, 0])
    assert steering == pytest.approx(-0.1 - math.atan(3.0 * front / 3.0), rel=1e-6)


@pytest.mark.parametrize("kind", [PurePursuit, Stanley])
def test_classical_steering_is_bounded_and_towards_the_path(
    kind: type[PurePursuit] | type[Stanley],
) -> None:
    """Far to the left it steers right, at its limit."""
    state = car_at(5.0, 0.9, 0.5)
    action = kind(VEHICLE)(state, compute_error_state(LINE, state))
    assert float(action[0, 0]) == pytest.approx(-VEHICLE.max_steering)
    assert float(action[0, 1]) == pytest.approx(3.0)


def test_zero_asks_for_nothing() -> None:
    """Steering and speed are zero."""
    state = car_at(5.0, 0.9, 0.5)
    assert torch.count_nonzero(Zero()(state, compute_error_state(LINE, state))) == 0


def test_network_output_is_bounded_and_small_before_training() -> None:
    """Within [-1, 1] for absurd observations, near zero for ordinary ones."""
    network = MLPController(5, 2, (16,), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert float(network(1e6 * torch.randn(8, 5)).abs().max()) <= 1.0
        assert float(network(torch.randn(100, 5)).abs().max()) < 0.5


def test_network_depends_on_its_seed_alone() -> None:
    """Same seed, same weights, whatever happened to torch's global generator."""
    config = ControllerConfig()
    networks = []
    for seed in (7, 7, 8):
        torch.rand(3)
        networks.append(
            build_tracking_mlp(config, VEHICLE, dtype=torch.float32, seed=seed).network
        )
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


def test_trained_controller_is_left_right_symmetric() -> None:
    """Mirrored situations get mirrored steering and the same speed; a straight road none at all."""
    circle = load_path(PathConfig(source="circle"))
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
