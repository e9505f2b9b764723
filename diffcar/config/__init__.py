"""The configuration of every command."""

from diffcar.config.check_grad import CertificateConfig, CheckGradConfig, DirectionsConfig
from diffcar.config.franka import (
    FrankaTestConfig,
    ReachConfig,
    ReachLossConfig,
    ReachTrainConfig,
    TorqueGradientConfig,
)
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
from diffcar.config.soft_body import SoftBodyConfig

__all__ = [
    "BUILTIN_PATH_NAMES",
    "CLASSICAL_CONTROLLERS",
    "CertificateConfig",
    "CheckGradConfig",
    "ControllerConfig",
    "DirectionsConfig",
    "EngineConfig",
    "EvaluationConfig",
    "FrankaTestConfig",
    "LossConfig",
    "PathConfig",
    "ReachConfig",
    "ReachLossConfig",
    "ReachTrainConfig",
    "SceneConfig",
    "SimulateConfig",
    "SoftBodyConfig",
    "StartConfig",
    "TorqueGradientConfig",
    "TrainConfig",
    "TrainE2EConfig",
    "check_controller",
    "check_path_source",
    "dump_config",
    "load_config",
]
