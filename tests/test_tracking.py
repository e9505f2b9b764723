"""Signs and derivatives of the error state."""

import math

import torch

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state, starts_on_path
from diffcar.controllers.observation import PathObserver
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.contract import CarState


def car_at(x: float, y: float, yaw: float, speed: float = 2.0) -> CarState:
    """Return a car's state with everything else at rest."""
    zero = torch.zeros(1, dtype=torch.float64)
    return CarState(
        position=torch.tensor([[x, y]], dtype=torch.float64),
        yaw=zero + yaw,
        speed=zero + speed,
        lateral_velocity=zero,
        yaw_rate=zero,
        steering_angles=torch.zeros(1, 2, dtype=torch.float64),
        wheel_speeds=torch.zeros(1, 2, dtype=torch.float64),
        qpos=torch.zeros(1, 13, dtype=torch.float64),
        dofs_velocity=torch.zeros(1, 12, dtype=torch.float64),
    )


def test_signs_are_positive_to_the_left_and_counter_clockwise() -> None:
    """Left of a straight path, turned left, slower than asked."""
    line = load_path(PathConfig(source="line"))
    errors = compute_error_state(line, car_at(5.0, 0.2, 0.1, speed=2.5))
    assert math.isclose(float(errors.arc_length), 5.0, abs_tol=1e-9)
    assert math.isclose(float(errors.cross_track_error), 0.2, abs_tol=1e-9)
    assert math.isclose(float(errors.heading_error), 0.1, abs_tol=1e-9)
    assert math.isclose(float(errors.speed_error), -0.5, abs_tol=1e-9)


def test_inside_of_a_left_turn_is_left() -> None:
    """On a left-hand circle of 2 m radius about (0, 2), a car 0.5 m inside is 0.5 m to the left."""
    circle = load_path(PathConfig(source="circle"))
    errors = compute_error_state(circle, car_at(1.5, 2.0, math.pi / 2))
    assert math.isclose(float(errors.cross_track_error), 0.5, abs_tol=1e-6)
    assert math.isclose(float(errors.curvature), 0.5, abs_tol=1e-4)
    assert abs(float(errors.heading_error)) < 1e-5


def test_heading_error_is_wrapped_on_later_laps() -> None:
    """The path's heading counts on over laps, the error does not."""
    circle = load_path(PathConfig(source="circle"))
    state = car_at(2.0, 2.0, math.pi / 2)
    hint = torch.tensor([math.pi + 3 * circle.length], dtype=torch.float64)
    errors = compute_error_state(circle, state, hint)
    assert abs(float(errors.heading_error)) < 1e-5
    assert float(errors.arc_length) > 3 * circle.length


def test_error_state_has_right_derivatives() -> None:
    """Autograd agrees with differences in position and yaw."""
    path = load_path(PathConfig(source="figure-eight"))
    hint = torch.tensor([3.0], dtype=torch.float64)
    point = path.sample(hint)

    def errors(position: torch.Tensor, yaw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        base = car_at(0, 0, 0)
        state = CarState(**{**vars(base), "position": position, "yaw": yaw})
        found = compute_error_state(path, state, hint)
        return found.cross_track_error, found.heading_error, found.curvature, found.speed_error

    position = (point.position + 0.05).detach().requires_grad_()
    yaw = (point.heading + 0.1).detach().requires_grad_()
    assert torch.autograd.gradcheck(errors, (position, yaw))


def test_start_states_have_the_errors_they_were_asked_for() -> None:
    """Offsets in, errors out."""
    path = load_path(PathConfig(source="figure-eight"))
    arc_length = torch.tensor([2.0], dtype=torch.float64)
    start = starts_on_path(path, arc_length, cross_track=0.1, heading=-0.2)
    x, y = start.position[0].tolist()
    errors = compute_error_state(path, car_at(x, y, float(start.yaw), float(start.speed)))
    assert math.isclose(float(errors.cross_track_error), 0.1, abs_tol=1e-6)
    assert math.isclose(float(errors.heading_error), -0.2, abs_tol=1e-5)
    assert abs(float(errors.speed_error)) < 1e-6


def test_observation_is_of_order_one_and_complete() -> None:
    """Seven entries of state, then the previews; the observer's size says so."""
    config = ControllerConfig(curvature_preview=[0.0, 0.5], speed_preview=[0.3])
    path = load_path(PathConfig(source="circle"))
    state = car_at(2.0, 2.0, math.pi / 2)
    observation = PathObserver(config).observe(state, compute_error_state(path, state))
    assert observation.shape == (1, PathObserver.size(config)) == (1, 10)
    assert float(observation.abs().max()) < 5.0
    # The curvature of 1/2 is seen at both distances, in units of 0.8 1/m.
    assert torch.allclose(observation[0, 7:9], torch.tensor(0.625, dtype=torch.float64), atol=1e-4)
