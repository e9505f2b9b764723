"""The configuration of every command."""

from diffcar.config.load import dump_config, load_config
from diffcar.config.names import (
    BUILTIN_PATH_NAMES,
    CLASSICAL_CONTROLLERS,
    check_controller,
    check_path_source,
)
from diffcar.config.schema import (
    ControllerConfig,
    EngineConfig,
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
    "BUILTIN_PATH_NAMES",
    "CLASSICAL_CONTROLLERS",
    "ControllerConfig",
    "EngineConfig",
    "EvaluationConfig",
    "LossConfig",
    "PathConfig",
    "SceneConfig",
    "SimulateConfig",
    "StartConfig",
    "TrainConfig",
    "TrainE2EConfig",
    "check_controller",
    "check_path_source",
    "dump_config",
    "load_config",
]
