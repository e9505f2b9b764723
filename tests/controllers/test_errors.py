"""Signs and derivatives of the error state, and starts beside the path."""

import math

import torch

from diffcar.controllers.errors import compute_error_state, starts_on_path
from diffcar.sim.contract import CarState, map_tensors
from tests.samples import car_at, road


def test_signs_are_positive_to_the_left_and_counter_clockwise() -> None:
    """Left of a straight path, turned left, slower than asked."""
    line = road("line")
    errors = compute_error_state(line, car_at(5.0, 0.2, 0.1, speed=2.5))
    assert math.isclose(float(errors.arc_length), 5.0, abs_tol=1e-9)
    assert math.isclose(float(errors.cross_track_error), 0.2, abs_tol=1e-9)
    assert math.isclose(float(errors.heading_error), 0.1, abs_tol=1e-9)
    assert math.isclose(float(errors.speed_error), -0.5, abs_tol=1e-9)


def test_inside_of_a_left_turn_is_left() -> None:
    """On a left-hand circle of 2 m radius about (0, 2), a car 0.5 m inside is 0.5 m to the left."""
    circle = road("circle")
    errors = compute_error_state(circle, car_at(1.5, 2.0, math.pi / 2))
    assert math.isclose(float(errors.cross_track_error), 0.5, abs_tol=1e-6)
    assert math.isclose(float(errors.curvature), 0.5, abs_tol=1e-4)
    assert abs(float(errors.heading_error)) < 1e-5


def test_heading_error_is_wrapped_on_later_laps() -> None:
    """The path's heading counts on over laps, the error does not."""
    circle = road("circle")
    state = car_at(2.0, 2.0, math.pi / 2)
    hint = torch.tensor([math.pi + 3 * circle.length], dtype=torch.float64)
    errors = compute_error_state(circle, state, hint)
    assert abs(float(errors.heading_error)) < 1e-5
    assert float(errors.arc_length) > 3 * circle.length


def test_error_state_has_right_derivatives() -> None:
    """Autograd agrees with differences in position and yaw."""
    path = road("figure-eight")
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
    path = road("figure-eight")
    arc_length = torch.tensor([2.0], dtype=torch.float64)
    start = starts_on_path(path, arc_length, cross_track=0.1, heading=-0.2)
    x, y = start.position[0].tolist()
    errors = compute_error_state(path, car_at(x, y, float(start.yaw), float(start.speed)))
    assert math.isclose(float(errors.cross_track_error), 0.1, abs_tol=1e-6)
    assert math.isclose(float(errors.heading_error), -0.2, abs_tol=1e-5)
    assert abs(float(errors.speed_error)) < 1e-6


def test_errors_know_the_path_and_some_of_the_cars_are_selected() -> None:
    """So a controller needs none of its own; what is no tensor is everybody's."""
    path = road("circle")
    both = map_tensors(car_at(1, 0, 0), lambda value: torch.cat([value, value]))
    errors = compute_error_state(path, both)
    assert errors.path is path
    one = errors.select(torch.tensor([False, True]))
    assert one.path is path
    assert one.arc_length.shape == both.select(slice(0, 1)).yaw.shape == (1,)
