"""What drives for the runs of a comparison, and how many of it share the cars of a scene."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch

from diffcar.controllers.batch import ControllerBatch
from diffcar.controllers.config import CONTROLLERS, ControllerConfig
from diffcar.controllers.contract import Controller
from diffcar.controllers.mlp import MLPController, with_weights
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.sim.contract import CarScene

__all__ = ["RunController", "batch_controllers"]


@dataclass(frozen=True)
class RunController:
    """What drives for a run: a network, or a classical controller with parameters of its own."""

    kind: str
    """What controllers must have in common to be computed together."""
    network: MLPController | None = None
    """The weights of a network."""
    config: ControllerConfig | None = None
    """What a network sees."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Those of a classical controller, whose name is the kind."""


def batch_controllers(
    controllers: Sequence[RunController], scene: CarScene, cars_each: int
) -> ControllerBatch:
    """Let controllers share the cars of a scene; neighbours of a kind are computed together.

    Args:
        controllers: What drives, one after the other.
        scene: Whose cars they drive.
        cars_each: Cars of each controller.
    """
    members = []
    for _, group in groupby(controllers, key=lambda controller: controller.kind):
        alike = list(group)
        members.append((_together(alike, scene, cars_each), len(alike) * cars_each))
    return ControllerBatch(members)


def _together(controllers: Sequence[RunController], scene: CarScene, cars_each: int) -> Controller:
    """Return one controller for controllers of a kind."""
    first = controllers[0]
    networks = [controller.network for controller in controllers if controller.network is not None]
    if first.config is not None:
        ensemble = TrackingMLP(networks[0], PathObserver(first.config), scene.vehicle, "ensemble")
        weights = zip(*(network.parameters() for network in networks), strict=True)
        return with_weights(ensemble, [torch.stack(own) for own in weights], envs_each=cars_each)
    own = {
        name: torch.tensor([controller.parameters[name] for controller in controllers])
        .repeat_interleave(cars_each)
        .to(dtype=scene.dtype, device=scene.device)
        for name in first.parameters
    }
    return CONTROLLERS[first.kind](scene.vehicle, **own)
