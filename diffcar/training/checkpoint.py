"""What a checkpoint holds, how it is loaded safely, and the controller it stands for."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import torch

from diffcar.config import ControllerConfig, TrainE2EConfig, dump_config
from diffcar.controllers import TrackingMLP, build_tracking_mlp
from diffcar.errors import CheckpointError
from diffcar.path import ReferencePath
from diffcar.sim.vehicle import Vehicle

__all__ = [
    "checkpoint_content",
    "config_values",
    "load_checkpoint",
    "restore_tracking_mlp",
]

_FORMAT = 1
_KEYS = ("format", "config", "network", "trainer", "best_score")


def checkpoint_content(
    config: TrainE2EConfig, trainer_state: Mapping[str, Any], best_score: float
) -> dict[str, Any]:
    """Return the content of a checkpoint: tensors, numbers and text only.

    Args:
        config: The resolved configuration of the run.
        trainer_state: The trainer's `state_dict`, the network's among it.
        best_score: Smallest score of an evaluation so far.
    """
    trainer = dict(trainer_state)
    return {
        "format": _FORMAT,
        "config": dump_config(config),
        "network": trainer.pop("network"),
        "trainer": trainer,
        "best_score": best_score,
    }


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint without running code that it may contain.

    Args:
        path: A checkpoint file, or a run folder, whose best checkpoint is taken, or its last.

    Returns:
        Its content.

    Raises:
        CheckpointError: If there is none, or it is damaged or of another kind.
    """
    file = path
    if path.is_dir():
        candidates = [path / "checkpoints" / name for name in ("best.pt", "last.pt")]
        file = next((c for c in candidates if c.is_file()), candidates[0])
    if not file.is_file():
        raise CheckpointError(
            f"there is no checkpoint at {str(file)!r}",
            hint="train one with `diffcar train-e2e`, or name pure-pursuit, stanley or zero",
        )
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{str(file)!r} is not a readable checkpoint: {first_line[:160]}",
            hint="it may be damaged, or hold more than tensors and numbers, which is not loaded",
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(
            f"{str(file)!r} is not a diffcar checkpoint of format {_FORMAT}",
            hint="give a checkpoint that a diffcar train command wrote",
        )
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise CheckpointError(f"{str(file)!r} lacks {', '.join(missing)}")
    return content


def config_values(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration stored in a checkpoint as nested values.

    Raises:
        CheckpointError: If it does not read as a configuration.
    """
    import yaml

    try:
        values = yaml.safe_load(content["config"])
        TrainE2EConfig.model_validate(values)
    except (yaml.YAMLError, AttributeError, pydantic.ValidationError) as error:
        raise CheckpointError(f"the checkpoint's configuration is damaged: {error}") from None
    return values


def restore_tracking_mlp(
    content: Mapping[str, Any],
    path: ReferencePath,
    vehicle: Vehicle,
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    name: str = "mlp",
) -> TrackingMLP:
    """Return the trained controller of a checkpoint.

    Args:
        content: A loaded checkpoint.
        path: What it observes.
        vehicle: Limits of its commands.
        dtype: Precision of the weights.
        device: Where they lie.
        name: What to call it in tables.

    Raises:
        CheckpointError: If the weights do not fit the configuration stored with them.
    """
    config = ControllerConfig.model_validate(config_values(content)["controller"])
    controller = build_tracking_mlp(config, path, vehicle, dtype=dtype, device=device, name=name)
    try:
        controller.network.load_state_dict(content["network"])
    except (RuntimeError, TypeError, AttributeError) as error:
        first_line = str(error).partition("\n")[0]
        raise CheckpointError(f"the checkpoint's weights do not fit: {first_line}") from None
    return controller
