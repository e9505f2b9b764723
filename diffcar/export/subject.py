"""What is exported: a trained network, the path that it is to follow, and a car to try it on."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

import torch

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError, ConfigError
from diffcar.base.files import RUNS
from diffcar.base.section import Section, Seed
from diffcar.controllers.checkpoint import config_values
from diffcar.controllers.choose import choose_controller, newest_or_shipped
from diffcar.controllers.config import CONTROLLERS
from diffcar.controllers.contract import Controller
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.export.config import ExportConfig
from diffcar.path.config import ACCELERATIONS, Columns, PathConfig
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.contract import CarScene
from diffcar.sim.model.doubts import notes_of
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.tasks.tracking.drive import Drive, drive
from diffcar.tasks.tracking.grip import load_road

__all__ = ["Subject", "load_subject"]


@dataclass(frozen=True)
class Subject:
    """What is exported, with the car and the road to try it on."""

    spec: str
    """What was named: a run folder, a checkpoint, or what comes with diffcar."""
    network: TrackingMLP
    """What is exported."""
    path: ReferencePath
    """What it is to follow."""
    scene: CarScene
    """One car, in MuJoCo."""

    def lap(self, controller: Controller, on_step: Callable[[float], None]) -> Drive:
        """Drive a lap from rest."""
        return drive(
            self.scene,
            controller,
            self.path,
            is_standing=torch.ones(1, dtype=torch.bool),
            on_step=lambda _, errors: on_step(float(errors.arc_length[0]) / self.path.length),
        )


def load_subject(config: ExportConfig, notes: list[str]) -> Subject:
    """Load the controller and its path, and build its car, in 64 bits.

    Args:
        notes: Takes what the user should know.

    Raises:
        DiffcarError: If the controller, its path or its car is unusable.
    """
    spec = config.controller
    if spec is None:
        spec, reasons = newest_or_shipped(config, "is exported")
        if spec in CONTROLLERS:
            car = config.model or "car"
            raise CheckpointError(
                f"there is no network for the car {car!r} below {RUNS}/",
                f"train one: diffcar train-e2e --car {shlex.quote(car)}; or drop --car",
            )
        notes += reasons
    choice = choose_controller(spec)
    if choice.checkpoint is None:
        raise CheckpointError(f"{spec!r} is no network, and nothing else is exported")
    trained = _trained(config_values(choice.checkpoint))
    config, changes = choice.in_its_physics(config)
    vehicle = car_of(config)
    settings, given = _path_of(config, trained.path), config.path.model_fields_set
    config = suited(config, vehicle)  # only now, lest what suits the car count as given
    seed = config.seed if "seed" in config.model_fields_set else trained.seed
    others: Columns | None = {} if "source" in given and "latlon" not in given else None
    path = load_road(settings, vehicle, seed=seed, nameless=others)
    notes += [*changes, *notes_of(vehicle), *path.warnings]
    exact = config.model_copy(update={"precision": 64})
    scene = build_scene(exact, num_envs=1, engine="mujoco", vehicle=vehicle)
    network = choice.build(scene)
    assert isinstance(network, TrackingMLP)
    return Subject(choice.spec, network, path, scene)


class _Trained(Section):
    """What is read of a training's configuration."""

    path: PathConfig = PathConfig()
    seed: Seed = 0


def _trained(values: dict[str, object]) -> _Trained:
    """Return path and seed of a training."""
    try:
        return load_config(_Trained, base={name: values[name] for name in _Trained.model_fields})
    except (KeyError, ConfigError) as error:
        told = f"the checkpoint's configuration is damaged: {error}"
        raise CheckpointError(told) from None


def _path_of(config: ExportConfig, path: PathConfig) -> PathConfig:
    """Return the path of the training, with what the user has set; its limits for another one."""
    given = config.path.model_fields_set
    if "source" in given:
        path = path.elsewhere(config.path.source, 1.0)
    own = {name: getattr(config.path, name) for name in given}
    replaced = ACCELERATIONS if config.path.grip is not None else ()
    kept = {name: value for name, value in path.model_dump().items() if name not in replaced}
    return PathConfig.model_validate(kept | own)
