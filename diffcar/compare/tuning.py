"""Tunes the classical controllers that `diffcar compare` compares."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from diffcar.base.errors import CheckpointError
from diffcar.base.files import make_folder, write_atomically
from diffcar.base.log import logger
from diffcar.compare.contestants import Driver, TunedDriver
from diffcar.compare.results import Run
from diffcar.compare.workshop import Learner, Workshop, require_same
from diffcar.sim.config import CarConfig
from diffcar.tasks.tracking.metrics import CARS_EACH
from diffcar.training.tuning import Generation, tune

__all__ = ["generations_of", "is_tuned", "tuned"]

_TUNING_FILE = "tuning.json"


def is_tuned(home: Path) -> bool:
    """Tell whether there is an earlier search in a folder."""
    return (home / _TUNING_FILE).is_file()


def tuned(workshop: Workshop, home: Path, method: str, seed: int) -> Learner:
    """Search a classical controller's parameters, or read those that were found earlier.

    Args:
        workshop: Scenes and settings.
        home: Where they are kept.
        method: A key of `CLASSICAL`.
        seed: Of the search and of the road.

    Raises:
        ConfigError: If they were found with other settings.
        CheckpointError: If the file is damaged.
    """
    file = home / _TUNING_FILE
    config = workshop.config
    settings = {
        "tuning": config.tuning.model_dump(mode="json"),
        **{name: config.model_dump(mode="json")[name] for name in CarConfig.model_fields},
        "seed": seed,
    }
    if is_tuned(home):
        require_same(home, _read(home)["settings"], settings)
    else:
        logger.info(f"tuning {method}, seed {seed}")
        path = workshop.course(seed).path
        scene = workshop.cars(CARS_EACH * config.tuning.num_candidates)
        found = [asdict(g) for g in tune(method, scene, path, config.tuning, seed=seed)]
        make_folder(home)
        text = json.dumps({"settings": settings, "generations": found}, indent=2) + "\n"
        write_atomically(file, lambda target: target.write_text(text))
    generations = generations_of(home)
    history: list[tuple[int, float, int, Driver]] = [
        (g.number, g.seconds, g.num_env_steps, TunedDriver(method, g.parameters))
        for g in generations
    ]
    last = generations[-1]
    told = ", ".join(f"{name} {value:.4g}" for name, value in last.parameters.items())
    run = Run(method, seed, told, last.seconds, last.num_env_steps)
    return Learner(run, TunedDriver(method, last.parameters), history)


def generations_of(home: Path) -> list[Generation]:
    """Return what an earlier search has found, round by round.

    Raises:
        CheckpointError: If the file is damaged.
    """
    return [Generation(**values) for values in _read(home)["generations"]]


def _read(home: Path) -> dict[str, Any]:
    """Read the file of an earlier search."""
    file = home / _TUNING_FILE
    try:
        content = json.loads(file.read_text())
        return {"settings": content["settings"], "generations": content["generations"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{str(file)!r} is damaged: {error}", hint="remove it to search anew"
        ) from None
