"""From a name, a run folder or a checkpoint to a controller, and to the physics that it knows."""

import functools
import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from diffcar.base.errors import CheckpointError, shortened
from diffcar.base.files import RUNS, digests, is_there, resource_path
from diffcar.base.registry import is_own
from diffcar.controllers.checkpoint import (
    CHECKPOINT_FOLDER,
    CHECKPOINT_NAMES,
    PHYSICS,
    as_carried,
    checkpoint_file,
    config_values,
    identity,
    load_checkpoint,
    restore_tracking_mlp,
)
from diffcar.controllers.config import CONTROLLERS, SHIPPED, ControllerConfig, check_controller
from diffcar.controllers.contract import Controller
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarScene
from diffcar.sim.model.carried import origin_of_carried
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle

__all__ = [
    "ControllerChoice",
    "choose_controller",
    "make_controller",
    "newest_or_shipped",
    "newest_run",
]

_SHIPPED_FILE = "assets/controller.pt"
# How much larger or smaller than the car of its training one may be for a network to know it.
_LIKE = 2.0
ConfigT = TypeVar("ConfigT", bound=CarConfig)


@dataclass(frozen=True)
class ControllerChoice:
    """A controller before there is a car for it."""

    spec: str
    """What the user calls it."""
    checkpoint: dict[str, Any] | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Those of a classical one that are not its defaults."""
    files: tuple[tuple[str, str], ...] = ()
    """Name and digest of its checkpoint."""

    def in_its_physics(self, config: ConfigT) -> tuple[ConfigT, list[str]]:
        """Take from a controller's training what the user has not set, and note what differs."""
        if self.checkpoint is not None:
            trained, config = _physics(self.checkpoint), as_carried(self.checkpoint, config)
            theirs = set(config.model_fields_set)
            # The names of joints are those of its own car.
            theirs |= {"car_reading"} if config.model not in (None, trained.model) else set()
            adopted = {key: getattr(trained, key) for key in PHYSICS if key not in theirs}
            config = config.model_copy(update=adopted)
        return config, self.differences(config)

    def differences(self, config: CarConfig) -> list[str]:
        """Tell in what the physics to drive in differs from that of the controller's training."""
        if self.checkpoint is None:
            return []
        trained, config = _physics(self.checkpoint), as_carried(self.checkpoint, config)
        pairs = [(key, getattr(trained, key), getattr(config, key)) for key in PHYSICS]
        told = [
            f"the controller was trained with {key} = {theirs}, it drives with {own}"
            for key, theirs, own in pairs
            if own != theirs and key != "model"
        ]
        if (theirs := _called(trained.model)) != (own := _called(config.model)):
            times = car_of(config).size / _known_size(self.checkpoint)
            train = f"`diffcar train-e2e --car {shlex.quote(own)}` trains one"
            advice = "" if _is_like(times) else f", {times:.2g} times as large; {train}"
            told.append(f"the controller, trained with {theirs}, drives {own}{advice}")
        return told

    def require_knowledge_of(self, vehicle: Vehicle) -> None:
        """Refuse, before a scene is built, a car of which a classical controller lacks something.

        Raises:
            ModelError: If so.
        """
        if self.checkpoint is None:
            self._made(vehicle)

    def _made(self, vehicle: Vehicle) -> Controller:
        """Return a classical controller of a car, or one's own."""
        made = CONTROLLERS[self.spec](vehicle, **self.parameters)
        if not callable(made):
            raise CONTROLLERS.refusal(self.spec, made, "returns")
        return made

    def build(self, scene: CarScene) -> Controller:
        """Return the controller of the cars of a scene."""
        if self.checkpoint is None:
            return self._made(scene.vehicle)
        return restore_tracking_mlp(
            self.checkpoint, scene.vehicle, dtype=scene.dtype, device=scene.device
        )


def _physics(checkpoint: Mapping[str, Any]) -> CarConfig:
    """Return the physics that a checkpoint's controller was trained in."""
    values = config_values(checkpoint)
    return CarConfig.model_validate({key: values[key] for key in PHYSICS})


def _called(model: str | None) -> str:
    """Return what the user calls a car, one that a run carries included."""
    return "car" if model is None else origin_of_carried(Path(model)) or model


def _known_size(checkpoint: Mapping[str, Any]) -> float:
    """Return how large the car was that a network was trained with, beside the shipped one."""
    return float(config_values(checkpoint)["controller"]["car_size"])


def _is_like(times: float) -> bool:
    """Tell whether a network knows a car that is so many times as large as that of its training."""
    return 1 / _LIKE <= times <= _LIKE


def choose_controller(spec: str) -> ControllerChoice:
    """Find what a user means by a run folder, a checkpoint or a name, and load a checkpoint.

    Raises:
        CheckpointError: If there is no such controller, or its checkpoint is not usable, or of
            something that drives no car.
    """
    check_controller(spec)
    if spec in CONTROLLERS or (is_own(spec) and not is_there(spec)):
        CONTROLLERS[spec]  # imported now: a slip in one's own is told before a scene is built
        return ControllerChoice(spec)
    file = resource_path(_SHIPPED_FILE) if spec == SHIPPED else checkpoint_file(Path(spec))
    checkpoint = load_checkpoint(file)
    if (task := identity(checkpoint)[1]) != "tracking":
        raise CheckpointError(
            f"this controller was trained for the task {task!r} and cannot drive a car",
            hint="give a run of train-e2e, train-bc or train-ppo",
        )
    return ControllerChoice(spec, checkpoint, files=digests([file]))


def make_controller(
    spec: str, scene: CarScene, *, config: ControllerConfig | None = None, seed: int = 0
) -> Controller:
    """Return a controller of the cars of a scene.

    Args:
        spec: `mlp` for an untrained network, `shipped` for a trained one, a run folder, a
            checkpoint, a name such as `stanley`, or `package.module:Class`.
        config: Of the untrained network, as the seed is; what is not set follows from the car.

    Raises:
        CheckpointError: If there is no such controller, or its checkpoint is not usable.
    """
    if spec != "mlp":
        return choose_controller(spec).build(scene)
    config = suited(config or ControllerConfig(), scene.vehicle)
    return build_tracking_mlp(
        config, scene.vehicle, dtype=scene.dtype, device=scene.device, seed=seed
    )


def newest_or_shipped(config: CarConfig, verb: str = "drives") -> tuple[str, list[str]]:
    """Return the newest run, or else what comes with diffcar, and what to tell the user.

    That is a trained controller of the shipped car, and pure pursuit for every other one. Where a
    car is named, runs count that were trained with one of about its size.
    """
    size = functools.cache(lambda: car_of(config).size)

    def fits(checkpoint: dict[str, Any]) -> bool:
        own, theirs = config.model, _physics(checkpoint).model
        is_same = own is None or _called(own) == _called(theirs)
        return is_same or _is_like(size() / _known_size(checkpoint))

    newest = newest_run(fits)
    lost = ", ".join(map(str, _lost_runs(newest)))
    notes = [f"left out, since there is no checkpoint in it: {shortened(lost)}"] if lost else []
    where = f"{'' if config.model is None else 'for such a car '}below {RUNS}/"
    if newest:
        car = _called(_physics(load_checkpoint(newest)).model)
        told = f"the newest run {where} {verb}: {newest}, trained with {car}"
        return str(newest), [told, *notes]
    name, spec = "the controller that comes with diffcar", SHIPPED
    if config.model not in (None, "car") or config.drive not in (None, "rear"):
        name, spec = "pure pursuit", "pure-pursuit"
    car = "" if config.model is None else f" --car {shlex.quote(config.model)}"
    told = f"nothing trained {where}, so {name} {verb}; `diffcar train-e2e{car}` trains one"
    return spec, [told, *notes]


def newest_run(fits: Callable[[dict[str, Any]], bool] = lambda content: True) -> Path | None:
    """Return the run below `RUNS` whose checkpoint was written last, of those that drive a car.

    Args:
        fits: Whether a checkpoint is one of those that are wanted.

    Raises:
        CheckpointError: If one that was written later is damaged.
    """
    files = [own for name in CHECKPOINT_NAMES for own in RUNS.glob(f"*/{CHECKPOINT_FOLDER}/{name}")]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        content = load_checkpoint(file)
        if identity(content)[1] == "tracking" and fits(content):
            return file.parents[1]
    return None


def _lost_runs(newest: Path | None) -> list[Path]:
    """Return the runs below `RUNS` that have no checkpoint, only those newer than another run."""
    folders = [own for own in RUNS.glob(f"*/{CHECKPOINT_FOLDER}") if not any(own.glob("*.pt"))]
    least = -math.inf if newest is None else (newest / CHECKPOINT_FOLDER).lstat().st_mtime
    # Of a link, which may lead nowhere, its own time.
    return sorted(own.parent for own in folders if own.lstat().st_mtime > least)
