"""What a checkpoint holds, how it is loaded safely, and the controller it stands for."""

import itertools
import math
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic
import torch
from pydantic import Field
from torch import Tensor

from diffcar.base.errors import CheckpointError
from diffcar.base.section import NonNegative, Settings, first_problem
from diffcar.base.settings_yaml import dump_config
from diffcar.controllers.config import CONTROLLERS, ControllerConfig
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.tracking_mlp import TrackingMLP, build_network
from diffcar.sim.config import CarConfig
from diffcar.sim.model.carried import car_of_run, origin_of_carried
from diffcar.sim.model.vehicle import Vehicle

__all__ = [
    "CHECKPOINT_FOLDER",
    "CHECKPOINT_NAMES",
    "PHYSICS",
    "as_carried",
    "checkpoint_content",
    "checkpoint_file",
    "config_values",
    "identity",
    "load_checkpoint",
    "restore_network",
    "restore_tracking_mlp",
]

CHECKPOINT_FOLDER, CHECKPOINT_NAMES = "checkpoints", ("best.pt", "last.pt")
"""Where a run keeps its checkpoints, and those of them that drive it, the better one first."""

_FORMAT = 2
PHYSICS = ("dt", "substeps", "actuation", "model", "car_reading", "drive", "torque_split")
"""What a controller must know of the physics."""
# What torch raises for a file that is damaged or holds more than it should.
_UNREADABLE = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError),
    *(LookupError, AttributeError, TypeError, MemoryError),
)
_GIVE_ONE = (
    "give a run folder, or a checkpoint in it, that a diffcar train command wrote; nothing but "
    "tensors, numbers and text is loaded"
)


ConfigT = TypeVar("ConfigT")


class _Content(pydantic.BaseModel):
    """What a checkpoint holds, as far as that can be told without its method."""

    model_config = pydantic.ConfigDict(strict=True)
    method: str
    task: str = "tracking"
    config: str
    network: dict[str, Any]
    trainer: dict[str, Any]
    best_score: float
    train_seconds: NonNegative
    num_env_steps: Annotated[int, Field(ge=0)]


def checkpoint_content(
    method: str,
    task: str,
    config: Settings,
    trainer_state: Mapping[str, Any],
    *,
    inputs: Sequence[tuple[str, str]] = (),
    best_score: float = math.inf,
    train_seconds: float = 0.0,
    num_env_steps: int = 0,
) -> dict[str, Any]:
    """Return the content of a checkpoint: tensors, numbers and text only.

    Args:
        trainer_state: The trainer's `state_dict`, the network's among it.
        inputs: Name and digest of each file that the run must go on with.
        best_score: Smallest score of an evaluation so far.
        train_seconds: Wall time of the updates so far [s].
        num_env_steps: Control steps of all cars that they used.
    """
    controller = getattr(config, "controller", None)
    seen = PathObserver.names(controller) if isinstance(controller, ControllerConfig) else None
    return {
        "format": _FORMAT,
        "method": method,
        "task": task,
        "config": dump_config(config),
        "network": trainer_state["network"],
        "trainer": {name: own for name, own in trainer_state.items() if name != "network"},
        **({} if seen is None else {"observation": list(seen)}),
        "inputs": [list(file) for file in inputs],
        "best_score": best_score,
        "train_seconds": train_seconds,
        "num_env_steps": num_env_steps,
    }


def checkpoint_file(path: Path) -> Path:
    """Return a checkpoint, or the best of a run folder, or its last.

    Raises:
        CheckpointError: If there is none.
    """
    best, last = (path / CHECKPOINT_FOLDER / name for name in CHECKPOINT_NAMES)
    file = path if not path.is_dir() else last if last.is_file() and not best.is_file() else best
    if not file.is_file():
        raise CheckpointError(
            f"there is no checkpoint at {str(file)!r}",
            hint="train one with `diffcar train-e2e`, or name one of " + ", ".join(CONTROLLERS),
        )
    return file


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load what `checkpoint_file` finds, without running code in it; `car` is that of its run.

    Raises:
        CheckpointError: If there is none, or it is damaged or of another kind.
    """
    file = checkpoint_file(path)
    try:
        _require_intact(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # What torch says of other files is about torch.
        told = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise CheckpointError(
            f"{str(file)!r} is no checkpoint, or is damaged{told}", hint=_GIVE_ONE
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(
            f"{str(file)!r} is not a diffcar checkpoint of format {_FORMAT}", hint=_GIVE_ONE
        )
    try:
        _Content.model_validate(content)
    except pydantic.ValidationError as error:
        raise CheckpointError(
            f"{str(file)!r} is not a complete checkpoint: {first_problem(error)}", _GIVE_ONE
        ) from None
    if not all(
        torch.isfinite(own).all() for own in _tensors([content["network"], content["trainer"]])
    ):
        raise CheckpointError(f"{str(file)!r} holds weights that are not numbers", _GIVE_ONE)
    run = file.parent.parent if len(file.parts) > 1 else file.parent / ".."
    model = car_of_run(run) if file.absolute().parent.name == CHECKPOINT_FOLDER else None
    return content | {"car": model and str(model)}


def _require_intact(file: Path) -> None:
    """Refuse an archive whose content is not what was written; torch does not look at checksums.

    Raises:
        BadZipFile: If so.
    """
    with zipfile.ZipFile(file) as archive:
        # torch never compresses, so what does may swell to any size.
        if any(own.compress_type != zipfile.ZIP_STORED for own in archive.infolist()):
            raise zipfile.BadZipFile("it is compressed, which no checkpoint is")
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged!r} does not fit")


def _tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors at any depth."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for own in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(own)


def config_values(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration stored in a checkpoint as nested values, with the car of its run.

    Raises:
        CheckpointError: If it does not read as a configuration.
    """
    import yaml

    try:
        values = yaml.load(content["config"], getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if identity(content)[1] == "tracking":
            ControllerConfig.model_validate(values["controller"])
            # Checkpoints of earlier releases know nothing of which wheels are driven.
            unsaid = CarConfig().model_dump(include={"car_reading", "drive", "torque_split"})
            values = unsaid | values
            # Nor of the car's size, by which what is observed is scaled since then.
            values["controller"] = {"car_size": 1.0} | values["controller"]
            if content.get("car") is not None:
                values["model"] = content["car"]
            CarConfig.model_validate({name: values[name] for name in PHYSICS})
    except (LookupError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise CheckpointError(
            f"the checkpoint's configuration is damaged: {str(error)[:200]}", _GIVE_ONE
        ) from None
    return values


def as_carried(content: Mapping[str, Any], config: ConfigT) -> ConfigT:
    """Return settings with the car that a run carries in place of the file that it came from."""
    model, car = getattr(config, "model", None), content.get("car")
    if model is None or car is None or model != origin_of_carried(Path(car)):
        return config
    return config.model_copy(update={"model": car})  # type: ignore[attr-defined]


def identity(content: Mapping[str, Any]) -> tuple[str, str]:
    """Return the method and the task of a checkpoint.

    Those written before tasks had names say `push` of a soft body that was pushed by `e2e`.
    """
    if content["method"] == "push":
        return "e2e", "pushing"
    return content["method"], content.get("task", "tracking")


def restore_tracking_mlp(
    content: Mapping[str, Any],
    vehicle: Vehicle,
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
) -> TrackingMLP:
    """Return the trained controller of a checkpoint.

    Raises:
        CheckpointError: If the weights do not fit the configuration stored with them.
    """
    config = ControllerConfig.model_validate(config_values(content)["controller"])
    network = restore_network(content, config).to(dtype=dtype, device=device)
    return TrackingMLP(network, PathObserver(config), vehicle)


def restore_network(content: Mapping[str, Any], config: ControllerConfig) -> MLPController:
    """Return the network of a checkpoint.

    Raises:
        CheckpointError: If the weights are not of the configured sizes, or what they were trained
            to see is not what this version would show them.
    """
    weights, seen = content["network"], PathObserver.names(config)
    # Checkpoints of earlier releases do not tell; they saw what is seen now.
    if content.get("observation", list(seen)) != list(seen):
        raise CheckpointError(
            "the checkpoint's network was trained to see other things, or in another order",
            hint="use it with the version of diffcar that trained it, or train anew",
        )
    sizes = [len(seen), *config.hidden_sizes, 2 * max(1, config.num_delays)]
    found = [tuple(own.shape) for own in _tensors(weights) if own.dim() == 2]
    # Before a network is made of whatever size the settings tell.
    if found != [(wide, narrow) for narrow, wide in itertools.pairwise(sizes)]:
        raise CheckpointError(
            f"the checkpoint's weights do not fit its settings: layers of {found}", _GIVE_ONE
        )
    network = build_network(config)
    try:
        # In the precision of the training, or loading would round to 32 bits.
        network.to(next(iter(weights.values())).dtype).load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError, StopIteration) as error:
        first_line = str(error).partition("\n")[0]
        told = f"the checkpoint's weights do not fit: {first_line}"
        raise CheckpointError(told, hint=_GIVE_ONE) from None
    return network
