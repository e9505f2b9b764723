"""The configuration of every command."""

from diffcar.config.load import dump_config, load_config
from diffcar.config.schema import (
    ControllerConfig,
    EvaluationConfig,
    LossConfig,
    PathConfig,
    SceneConfig,
    SimulateConfig,
    StartConfig,
    TrainConfig,
    TrainE2EConfig,
)

__all__ = [
    "ControllerConfig",
    "EvaluationConfig",
    "LossConfig",
    "PathConfig",
    "SceneConfig",
    "SimulateConfig",
    "StartConfig",
    "TrainConfig",
    "TrainE2EConfig",
    "dump_config",
    "load_config",
]
