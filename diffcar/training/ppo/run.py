"""`diffcar train-ppo`: train the same MLP by reinforcement learning, for comparison."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.errors import ConfigError
from diffcar.base.log import logger
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.sim.build import build_scene
from diffcar.training.ppo.config import TrainPPOConfig
from diffcar.training.run import (
    TrainingResult,
    build_plain_scene,
    complete,
    load_course,
    open_checkpoint,
)
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import OnUpdate, TrainingSession

if TYPE_CHECKING:
    from diffcar.training.ppo.trainer import PPOTrainer

__all__ = ["load_ppo_trainer", "run"]


def load_ppo_trainer() -> type["PPOTrainer"]:
    """Return the trainer, which is imported only where it is needed.

    Raises:
        ConfigError: If rsl-rl-lib is missing.
    """
    try:
        from diffcar.training.ppo.trainer import PPOTrainer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"PPO needs rsl-rl-lib, and {error.name!r} is not installed",
            hint="pip install 'rsl-rl-lib>=5,<6', or leave PPO out of a comparison: "
            "--set 'methods=[e2e, stanley]'",
        ) from None
    return PPOTrainer


def run(
    config: TrainPPOConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    stop_after: int | None = None,
    on_update: OnUpdate = lambda event: None,
) -> TrainingResult:
    """Train a controller and leave a run folder behind.

    Args:
        config: The resolved configuration.
        out: The run folder; None names one below `runs/`.
        resume: A run folder to go on with instead.
        stop_after: Updates after which this session stops, as if interrupted.
        on_update: Called after each update and evaluation.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If rsl-rl-lib is missing, configuration, path, model or checkpoint is
            unusable, or the simulator refuses.
    """
    began = time.perf_counter()
    trainer_type = load_ppo_trainer()
    checkpoint = open_checkpoint(resume, "ppo")
    if resume is None and out is not None:
        RunFolder.require_free(out)
    course = load_course(config)
    plain = build_plain_scene(config, course, num_envs=config.evaluation.num_envs)
    course = course.to(plain)
    logger.info(f"building the scene of the {config.train.num_envs} cars to train with")
    scene = build_scene(
        config,
        num_envs=config.train.num_envs,
        differentiable=False,
        vehicle=course.vehicle,
    )
    controller = build_tracking_mlp(
        config.controller,
        course.vehicle,
        dtype=scene.dtype,
        device=scene.device,
        seed=config.seed,
    )
    trainer = trainer_type(config, scene, course.path, controller)
    folder = RunFolder.open(resume) if resume else RunFolder.create(out, "train-ppo")
    session = TrainingSession(folder, trainer, plain, course.path, on_update=on_update)
    if checkpoint is not None:
        session.restore(checkpoint)
    folder.write_config(config)
    result = TrainingResult(folder.path, warnings=course.path.warnings)
    outcome = session.train(stop_after)
    complete(result, session, outcome, course)
    result.wall_seconds = time.perf_counter() - began
    return result
