"""What `diffcar compare` compares: trained networks and tuned classical controllers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from diffcar.compare.suite import Entrants
from diffcar.controllers.batch import TrackingEnsemble
from diffcar.controllers.checkpoint import config_values, restore_network
from diffcar.controllers.config import CONTROLLERS, ControllerConfig
from diffcar.controllers.contract import Controller
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.observation import PathObserver
from diffcar.sim.contract import CarScene

__all__ = ["Driver", "NetworkDriver", "TunedDriver", "entrants_of", "network_of"]


@dataclass(frozen=True)
class NetworkDriver:
    """A trained network."""

    network: MLPController
    """Its weights."""
    config: ControllerConfig
    """What it sees."""


@dataclass(frozen=True)
class TunedDriver:
    """A classical controller with parameters of its own."""

    kind: str
    """Its name."""
    parameters: dict[str, float]
    """Its parameters."""


Driver = NetworkDriver | TunedDriver


def network_of(checkpoint: Mapping[str, Any], scene: CarScene) -> NetworkDriver:
    """Return the network of a loaded checkpoint, in the number format of a scene.

    Raises:
        CheckpointError: If its weights do not fit its configuration.
    """
    config = ControllerConfig.model_validate(config_values(checkpoint)["controller"])
    network = restore_network(checkpoint, config).to(dtype=scene.dtype, device=scene.device)
    return NetworkDriver(network, config)


def entrants_of(drivers: Sequence[Driver], scene: CarScene) -> Entrants:
    """Let drivers share the cars of a scene; neighbours of a kind are computed together.

    Args:
        drivers: Who drives, one after the other.
        scene: Whose cars they drive.
    """

    def build(cars_each: int) -> list[tuple[Controller, int]]:
        members = []
        for _, group in groupby(drivers, key=_kind):
            alike = list(group)
            controller = _together(alike, scene, cars_each)
            members.append((controller, len(alike) * cars_each))
        return members

    return build


def _kind(driver: Driver) -> object:
    """Return what drivers must have in common to be computed together."""
    if isinstance(driver, TunedDriver):
        return driver.kind
    return driver.config.model_dump_json()


def _together(drivers: Sequence[Driver], scene: CarScene, cars_each: int) -> Controller:
    """Return one controller for drivers of a kind."""
    first = drivers[0]
    if isinstance(first, NetworkDriver):
        networks = [driver.network for driver in drivers if isinstance(driver, NetworkDriver)]
        return TrackingEnsemble(networks, PathObserver(first.config), scene.vehicle)
    tuned = [driver.parameters for driver in drivers if isinstance(driver, TunedDriver)]
    own = {
        name: torch.tensor([parameters[name] for parameters in tuned])
        .repeat_interleave(cars_each)
        .to(dtype=scene.dtype, device=scene.device)
        for name in first.parameters
    }
    controller: Controller = CONTROLLERS[first.kind](scene.vehicle, **own)
    return controller
