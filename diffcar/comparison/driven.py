"""Keeps how a suite was driven, so that a comparison that is interrupted goes on from there."""

import hashlib
import importlib.metadata
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from diffcar.base.errors import CheckpointError
from diffcar.base.files import digests, make_folder, write_text
from diffcar.base.log import logger
from diffcar.base.registry import is_own
from diffcar.base.section import first_problem
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.runs import RunController
from diffcar.controllers.config import CONTROLLERS
from diffcar.controllers.steering_table import STEERING
from diffcar.path.reference import ReferencePath
from diffcar.sim.config import CarConfig
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.metrics import SuiteFigures
from diffcar.training.methods import is_method

__all__ = ["Driven", "KeptDrives"]


class Driven(NamedTuple):
    """How a controller drove a path."""

    figures: SuiteFigures
    points: list[list[float]]
    """Of its car that started from rest, as in `TRACK_COLUMNS`; none if it broke the physics."""


_DRIVES = TypeAdapter(list[Driven])
_SIMULATED_BY = ("genesis-world", "quadrants", "mujoco", "torch")


class KeptDrives:
    """Drives by all that they depend on, each in a file of its own.

    Args:
        folder: Where they lie; made when the first is kept.
        config: Settings of the physics, and the seed of disturbances.
        vehicle: The car, with the digests of its files.
    """

    def __init__(self, folder: Path, config: CompareConfig, vehicle: Vehicle) -> None:
        physics = config.model_dump_json(include={*CarConfig.model_fields, "seed"})
        self._folder = folder
        self._always = (physics, json.dumps(vehicle.files), *_driven_by(config, vehicle))

    def drives(
        self,
        controllers: Sequence[RunController],
        engine: str,
        path: ReferencePath,
        disturbance: DisturbanceConfig,
        drive: Callable[[], list[Driven]],
    ) -> list[Driven]:
        """Return how each of some controllers drove before, or let them drive and keep it.

        Raises:
            CheckpointError: If what was kept is damaged.
        """
        own = (engine, disturbance.model_dump_json(), str(path.closed), str(path.origin))
        digest = hashlib.sha256("\0".join((*self._always, *own)).encode())
        digest.update(path.grid.tobytes() + path.samples.tobytes())
        for controller in controllers:
            digest.update(json.dumps([controller.kind, dict(controller.parameters)]).encode())
            if controller.network is not None:
                for weights in controller.network.parameters():
                    digest.update(weights.numpy(force=True).tobytes())
        file = self._folder / f"{digest.hexdigest()[:24]}.json"
        if file.is_file():
            logger.info(f"{path.name}: as driven before, in {self._folder}")
            return _read(file, len(controllers))
        driven = drive()
        make_folder(self._folder)
        text = json.dumps([(asdict(each.figures), each.points) for each in driven])
        write_text(file, text)
        return driven


def _driven_by(config: CompareConfig, vehicle: Vehicle) -> list[str]:
    """Return versions and digests of the programs and tables that drives depend on."""
    own = [CONTROLLERS[name] for name in config.methods if is_own(name) and not is_method(name)]
    sources = [Path(inspect.getfile(controller)) for controller in own]
    sources += sorted(Path(__file__).parents[1].rglob("*.py"))
    files = filter(Path.is_file, [*sources, vehicle.file, STEERING.file(vehicle)])
    versions = [importlib.metadata.version(name) for name in _SIMULATED_BY]
    return versions + [digest for _, digest in digests(files)]


def _read(file: Path, count: int) -> list[Driven]:
    """Read how so many controllers drove.

    Raises:
        CheckpointError: If it is damaged.
    """
    try:
        driven = _DRIVES.validate_json(file.read_bytes())
        if len(driven) != count:
            raise ValueError(f"it has {len(driven)} drives instead of {count}")
    except (OSError, ValueError) as error:
        told = f"{str(file)!r} is damaged: {first_problem(error)}"
        raise CheckpointError(told, hint="remove it; it is driven again") from None
    return driven
