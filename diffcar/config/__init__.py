"""The configuration of every command."""

from diffcar.config.bc import CloneConfig, CloneEvaluationConfig, TrainBCConfig
from diffcar.config.check_grad import CertificateConfig, CheckGradConfig, DirectionsConfig
from diffcar.config.compare import METHODS, CompareConfig, Method, SuiteConfig, TuningConfig
from diffcar.config.disturbance import DisturbanceConfig
from diffcar.config.franka import (
    FrankaTestConfig,
    ReachConfig,
    ReachLossConfig,
    ReachTrainConfig,
    TorqueGradientConfig,
)
from diffcar.config.load import dump_config, load_config, read_yaml
from diffcar.config.names import (
    BUILTIN_PATH_NAMES,
    CLASSICAL_CONTROLLERS,
    check_controller,
    check_path_source,
)
from diffcar.config.ppo import PPOConfig, PPOEvaluationConfig, TrainPPOConfig
from diffcar.config.push import (
    PushControllerConfig,
    PushEvaluationConfig,
    PushLossConfig,
    PushStartConfig,
    PushTrainConfig,
    TrainPushConfig,
)
from diffcar.config.record import DemonstrationConfig, RecordConfig
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
    TrainingConfig,
    UpdatesConfig,
)
from diffcar.config.soft_body import SoftBodyConfig

__all__ = [
    "BUILTIN_PATH_NAMES",
    "CLASSICAL_CONTROLLERS",
    "METHODS",
    "CertificateConfig",
    "CheckGradConfig",
    "CloneConfig",
    "CloneEvaluationConfig",
    "CompareConfig",
    "ControllerConfig",
    "DemonstrationConfig",
    "DirectionsConfig",
    "DisturbanceConfig",
    "EngineConfig",
    "EvaluationConfig",
    "FrankaTestConfig",
    "LossConfig",
    "Method",
    "PPOConfig",
    "PPOEvaluationConfig",
    "PathConfig",
    "PushControllerConfig",
    "PushEvaluationConfig",
    "PushLossConfig",
    "PushStartConfig",
    "PushTrainConfig",
    "ReachConfig",
    "ReachLossConfig",
    "ReachTrainConfig",
    "RecordConfig",
    "SceneConfig",
    "SimulateConfig",
    "SoftBodyConfig",
    "StartConfig",
    "SuiteConfig",
    "TorqueGradientConfig",
    "TrainBCConfig",
    "TrainConfig",
    "TrainE2EConfig",
    "TrainPPOConfig",
    "TrainPushConfig",
    "TrainingConfig",
    "TuningConfig",
    "UpdatesConfig",
    "check_controller",
    "check_path_source",
    "dump_config",
    "load_config",
    "read_yaml",
]
