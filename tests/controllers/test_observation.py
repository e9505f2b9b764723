"""What the tracking network sees."""

import math

import torch

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.observation import PathObserver
from tests.samples import car_at, road


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
