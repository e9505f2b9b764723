"""What the tracking network sees."""

import dataclasses
import math

import pytest
import torch

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.observation import PathObserver
from tests.samples import car_at, doubles, road, seeded


def test_observation_is_of_order_one_and_complete() -> None:
    """Seven entries of state, then the previews; the observer's size says so."""
    config = ControllerConfig(curvature_preview=[0.0, 0.5], speed_preview=[0.3])
    path = road("circle")
    state = car_at(2.0, 2.0, math.pi / 2)
    observation = PathObserver(config).observe(state, compute_error_state(path, state))
    assert observation.shape == (1, PathObserver.size(config)) == (1, 10)
    assert float(observation.abs().max()) < 5.0
    # The curvature of 1/2 is seen at both distances, in units of 0.8 1/m.
    assert torch.allclose(observation[0, 7:9], torch.tensor(0.625, dtype=torch.float64), atol=1e-4)


def test_mirrored_observation_is_that_of_the_mirrored_car() -> None:
    """Every row's sign is right: on a straight road, left and right are exchanged exactly."""
    config = ControllerConfig()
    path, observer = road("line"), PathObserver(config)
    left, right = car_at(3.0, 0.2, 0.3), car_at(3.0, -0.2, -0.3)
    seen = [observer.observe(car, compute_error_state(path, car)) for car in (left, right)]
    assert torch.allclose(observer.mirror(seen[0]), seen[1], atol=1e-12)
    assert len(PathObserver.names(config)) == observer.mirror(seen[0]).shape[-1]


def test_past_commands_are_seen_newest_first_and_mirrored() -> None:
    """Steering turns over, the speed is told from the present one; nothing else changes."""
    config = ControllerConfig(past_commands=2)
    path, observer = road("line"), PathObserver(config)
    left, right = car_at(3.0, 0.2, 0.3), car_at(3.0, -0.2, -0.3)
    rows = [[0.3, 2.5, 0.15, 2.0], [-0.15, 1.0, -0.3, 1.5], [9.0, 9.0, 9.0, 9.0]]
    commands = torch.tensor([rows], dtype=torch.float64)
    mirrored = commands * doubles(-1.0, 1.0, -1.0, 1.0)
    seen = [
        observer.observe(dataclasses.replace(car, commands=own), compute_error_state(path, car))
        for car, own in ((left, commands), (right, mirrored))
    ]
    assert torch.allclose(observer.mirror(seen[0]), seen[1], atol=1e-12)
    names = PathObserver.names(config)
    values = dict(zip(names, seen[0][0].tolist(), strict=True))
    past = {name: own for name, own in values.items() if name.endswith(("_1", "_2", "_0"))}
    assert past == pytest.approx(
        {
            "steering_command_1": 1.0,
            "speed_command_1": 1.0,
            "steering_angle_1": 0.5,
            "speed_1": 0.0,
            "steering_command_2": -0.5,
            "speed_command_2": -2.0,
            "steering_angle_2": -1.0,
            "speed_2": -1.0,
        }
    )
    plain = PathObserver(ControllerConfig()).observe(left, compute_error_state(path, left))
    kept = [number for number, name in enumerate(names) if name not in past]
    assert torch.equal(seen[0][:, kept], plain)


def test_past_commands_tell_how_late_they_take_effect() -> None:
    """A servo with inertia, gain and offset, whatever they are, answers commands of so long ago."""
    num_commands, num_cars = 12, 4
    given = torch.randn(40, generator=seeded(), dtype=torch.float64) / 10
    for late in range(num_cars):
        angles = [0.0, 0.0]
        for step in range(19, 20 + num_commands):
            missing = 0.9 * float(given[step - late]) + 0.03 - angles[-1]
            angles.append(angles[-1] + missing / 3 + (angles[-1] - angles[-2]) / 4)
        angles = angles[2:]
        # Newest first: what was commanded in a step, and where the steering was before it.
        rows = zip(reversed(given[20:32].tolist()), reversed(angles[:-1]), strict=True)
        commands = torch.tensor([[[own, 2.0, angle, 2.0] for own, angle in rows]])
        car = dataclasses.replace(
            car_at(3.0, 0.0, 0.0),
            steering_angles=doubles(angles[-1], angles[-1])[None],
            commands=commands.double(),
        )
        path, config = road("line"), ControllerConfig(past_commands=num_commands)
        row = PathObserver(config).observe(car, compute_error_state(path, car))[0].tolist()
        seen = dict(zip(PathObserver.names(config), row, strict=True))
        told = [seen[f"lateness_{number}"] for number in range(num_cars)]
        assert sum(told) == pytest.approx(1.0)
        assert told[late] == max(told) > 0.98


def test_an_observation_is_its_entries_side_by_side() -> None:
    """Values and gradients, with any number of previews at any distances."""
    config = ControllerConfig(curvature_preview=[0.0, 0.5, 1.7], speed_preview=[0.3])
    path, car = road("figure-eight"), car_at(0.0, 0.0, 0.0)
    point = path.sample(doubles(3.0))
    inputs = [
        (point.position + 0.05).detach(),
        *(torch.randn(1, generator=seeded(number), dtype=torch.float64) for number in range(4)),
        torch.randn(1, 2, generator=seeded(5), dtype=torch.float64),
    ]
    names = ("position", "yaw", "speed", "yaw_rate", "lateral_velocity", "steering_angles")

    def seen(*inputs: torch.Tensor, plainly: bool = False) -> torch.Tensor:
        state = dataclasses.replace(car, **dict(zip(names, inputs, strict=True)))
        errors = compute_error_state(path, state, doubles(3.0))
        if not plainly:
            return PathObserver(config).observe(state, errors)
        bends, speeds = (
            path.preview(errors.arc_length, doubles(*distances))
            for distances in (config.curvature_preview, config.speed_preview)
        )
        here = [
            errors.cross_track_error / 0.1,
            errors.heading_error / 0.2,
            errors.speed_error,
            state.speed / 2,
            state.yaw_rate / 2,
            state.lateral_velocity / 0.2,
            state.steering_angles.mean(-1) / 0.3,
        ]
        ahead = [bends.curvature / 0.8, speeds.speed - state.speed[:, None]]
        return torch.cat([torch.stack(here, -1), *ahead], -1)

    for value in inputs:
        value.requires_grad_()
    found, expected = seen(*inputs), seen(*inputs, plainly=True)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn(found.shape, generator=seeded(9), dtype=torch.float64)
    gradients = [
        torch.autograd.grad((values * weights).sum(), inputs) for values in (found, expected)
    ]
    for own, other in zip(*gradients, strict=True):
        assert torch.allclose(own, other, rtol=0, atol=1e-9)
    assert torch.autograd.gradcheck(seen, inputs)


def test_previews_in_seconds_reach_as_far_as_the_reference_speed() -> None:
    """At a reference of 2.8 m/s half a second is hypot(2.8, 1) / 2 m; gradients are exact."""
    config = ControllerConfig(preview_unit="s", curvature_preview=[0.5], speed_preview=[0.5, 1.0])
    path = road("sine")
    position, car = doubles(4.0, 0.1)[None].requires_grad_(), car_at(4.0, 0.1, 0.2)
    speed = doubles(3.3).requires_grad_()

    def seen(position: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
        state = dataclasses.replace(car, position=position, speed=speed)
        errors = compute_error_state(path, state, doubles(4.0))
        return PathObserver(config).observe(state, errors)

    errors = compute_error_state(path, dataclasses.replace(car, position=position.detach()))
    reference = float(path.sample(errors.arc_length).speed)
    pace = math.hypot(reference, 1.0)
    ahead = path.sample(errors.arc_length + pace * doubles(0.5, 0.5, 1.0))
    row = seen(position, speed)[0]
    assert torch.allclose(row[7], ahead.curvature[0] * (1 + 3.3 / 2) / 1.6)
    assert torch.allclose(row[8:], ahead.speed[1:] - 3.3)
    assert PathObserver.names(config)[-3:] == ("curvature_0.5s", "speed_0.5s", "speed_1s")
    assert torch.autograd.gradcheck(seen, (position, speed))
