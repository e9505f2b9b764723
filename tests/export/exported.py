"""Networks, situations and what the controller that drives does in them."""

import dataclasses
import functools
from pathlib import Path

import torch
from torch import Tensor

from diffcar.controllers.checkpoint import load_checkpoint, restore_tracking_mlp
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.export.driver import Driver, state_of
from diffcar.path.reference import ReferencePath
from tests.samples import VEHICLE, seeded

RUN = Path(__file__).parents[1] / "fixtures" / "saved" / "e2e-0"
DT = 0.02
FULL_SCALE = torch.tensor([VEHICLE.max_steering, VEHICLE.speed_increment], dtype=torch.float64)
DTYPES = {32: torch.float32, 64: torch.float64}
TOLERANCE = {32: 1e-5, 64: 1e-9}
"""Share of full scale."""


@functools.cache
def trained() -> TrackingMLP:
    """Return a network that was trained for a while, with previews in metres."""
    return restore_tracking_mlp(load_checkpoint(RUN), VEHICLE, dtype=torch.float64)


@functools.cache
def untrained(past_commands: int = 0, steering_acceleration: float | None = None) -> TrackingMLP:
    """Return one of three layers whose previews are in seconds, with strong weights."""
    config = ControllerConfig(
        hidden_sizes=[9, 7, 8],
        preview_unit="s",
        curvature_preview=[0.0, 0.3],
        speed_preview=[0.5],
        past_commands=past_commands,
        steering_acceleration=steering_acceleration,
    )
    driver = build_tracking_mlp(config, VEHICLE, dtype=torch.float64, seed=1)
    with torch.no_grad():
        for weight in driver.network.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=seeded(), dtype=torch.float64))
    return driver


NETWORKS = {
    "trained": trained,
    "untrained": untrained,
    "remembering": functools.partial(untrained, past_commands=9, steering_acceleration=4.0),
}


def situations(
    path: ReferencePath, num_cars: int = 200, precision: int = 64, past_commands: int = 0
) -> tuple[Tensor, Tensor]:
    """Return what cars measure, all over a path and beyond its ends, and what they remember.

    Some are far off it, some have come to a stop or go backwards, some have turned over and over.
    """

    def normal(seed: int, *shape: int) -> Tensor:
        return torch.randn(num_cars, *shape, generator=seeded(seed), dtype=torch.float64)

    uniform = torch.rand(num_cars, generator=seeded(), dtype=torch.float64)
    arc_length = path.length * (1.2 * uniform - 0.1)
    here = path.sample(arc_length)
    aside = 0.1 * normal(1)
    aside[::7] *= 5
    aside = aside.clamp(-0.5, 0.5)  # beyond lie centres of curvature, where nothing is nearest
    left = torch.stack([-here.heading.sin(), here.heading.cos()], -1)
    position = here.position + aside[:, None] * left
    yaw = here.heading + 0.3 * normal(2) + 2 * torch.pi * (2 * normal(3)).round()
    motion = [2 + normal(4), 0.1 * normal(5), 2 * normal(6), 0.2 * normal(7)]
    rows = torch.stack([*position.unbind(-1), yaw, *motion], -1)
    before = arc_length + 0.03 * normal(8)
    if path.closed:
        before = before % path.length
    past = normal(9, past_commands, 4)
    memory = torch.cat([before[:, None], past.flatten(1)], -1)
    return tuple(own.to(DTYPES[precision]).double() for own in (rows, memory))  # type: ignore[return-value]


def commands(
    network: TrackingMLP, path: ReferencePath, rows: Tensor, memory: Tensor | None = None
) -> Tensor:
    """Return what the controller that drives commands, as shares of full scale, shape (T, 2)."""
    state, hint = state_of(rows), None
    if memory is not None:
        hint = memory[:, 0] + DT * state.speed
        past = memory[:, 1:].reshape(len(rows), -1, 4)
        state = dataclasses.replace(state, commands=past) if past.numel() else state
    state = state.remembering(network.past_commands)
    with torch.no_grad():
        return network(state, compute_error_state(path, state, hint)) / FULL_SCALE


def driver_of(name: str, path: ReferencePath, precision: int = 64) -> Driver:
    """Return the driver that is exported of a network."""
    return Driver(NETWORKS[name](), path, DT, DTYPES[precision])
