"""Keeps how a suite was driven, so that a comparison that is interrupted goes on from there."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from diffcar.base.errors import CheckpointError
from diffcar.base.files import make_folder, write_atomically
from diffcar.base.version import VERSION
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.runs import RunController
from diffcar.path.reference import ReferencePath
from diffcar.sim.config import CarConfig
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.metrics import SuiteFigures

__all__ = ["Driven", "KeptDrives"]


class Driven(NamedTuple):
    """How a controller drove a path."""

    figures: SuiteFigures
    points: list[list[float]]
    """Of its car that started from rest, as in `TRACK_COLUMNS`; none if it broke the physics."""


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
        self._always = (VERSION, physics, json.dumps(vehicle.files))

    def recall(
        self,
        controllers: Sequence[RunController],
        engine: str,
        path: ReferencePath,
        disturbance: DisturbanceConfig,
        drive: Callable[[], list[Driven]],
    ) -> list[Driven]:
        """Return what was driven before, or drive and keep it.

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
            return _read(file)
        driven = drive()
        make_folder(self._folder)
        text = json.dumps([(asdict(each.figures), each.points) for each in driven])
        write_atomically(file, lambda target: target.write_text(text))
        return driven


def _read(file: Path) -> list[Driven]:
    """Read what was kept.

    Raises:
        CheckpointError: If it is damaged.
    """
    try:
        kept = json.loads(file.read_bytes())
        return [Driven(SuiteFigures(**figures), points) for figures, points in kept]
    except (OSError, ValueError, TypeError) as error:
        told = f"{str(file)!r} is damaged: {error}"
        raise CheckpointError(told, hint="remove it; it is driven again") from None
