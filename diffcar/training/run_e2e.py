"""`diffcar train-e2e`: train an MLP through the physics, judge it in plain physics."""

import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from diffcar.base.files import write_atomically
from diffcar.base.log import logger
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.gradients.hops import Hop
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.tasks.tracking.problem import trace_hops
from diffcar.training.config import TrainE2EConfig
from diffcar.training.e2e import E2ETrainer
from diffcar.training.optimiser import TrainStep
from diffcar.training.run import (
    Course,
    TrainingResult,
    build_plain_scene,
    complete,
    load_course,
    open_checkpoint,
)
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import OnUpdate, SessionOutcome, TrainingSession
from diffcar.training.short_certificate import ShortCertificate, certify_before_training

__all__ = ["TrainE2EResult", "run"]


@dataclass
class TrainE2EResult(TrainingResult):
    """What training through the physics came to."""

    certificate: ShortCertificate | None = None
    """The check of the gradients before training; None where it was left out."""
    worst_gradient_error: float | None = None
    """Largest error of the spot checks during training; None without any."""
    hops: list[Hop] = field(default_factory=list)
    """Gradient status from the network's output to the loss and its weights."""


def run(
    config: TrainE2EConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    stop_after: int | None = None,
    certify: bool = True,
    on_update: OnUpdate = lambda event: None,
) -> TrainE2EResult:
    """Train a controller and leave a run folder behind.

    Args:
        config: The resolved configuration.
        out: The run folder; None names one below `runs/`.
        resume: A run folder to go on with instead.
        stop_after: Updates after which this session stops, as if interrupted.
        certify: Whether to check the gradients against finite differences first.
        on_update: Called after each update and evaluation.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If configuration, path, model or checkpoint is unusable, the simulator
            refuses, the gradient is wrong, or it stays non-finite.
    """
    began = time.perf_counter()
    checkpoint = open_checkpoint(resume, "e2e")
    if resume is None and out is not None:
        RunFolder.require_free(out)
    course = load_course(config)
    scene = _build_differentiable_scene(config, course)
    plain = build_plain_scene(config, course, num_envs=config.evaluation.num_envs)
    course = course.to(plain)
    controller = build_tracking_mlp(
        config.controller,
        course.vehicle,
        dtype=scene.dtype,
        device=scene.device,
        seed=config.seed,
    )
    trainer = E2ETrainer(config, scene, course.path, controller)
    certificate = None
    if certify and checkpoint is None:
        certificate = certify_before_training(config, scene, controller, course.path)
    # Made only now, so that a scene that cannot be built leaves no folder in the way.
    folder = RunFolder.open(resume) if resume else RunFolder.create(out, "train-e2e")
    session = TrainingSession(folder, trainer, plain, course.path, on_update=on_update)
    if checkpoint is not None:
        session.restore(checkpoint)
        if certify:  # with the weights that training goes on with
            certificate = certify_before_training(config, scene, controller, course.path)
    folder.write_config(config)
    if certificate is not None:
        text = json.dumps(asdict(certificate), indent=2) + "\n"
        write_atomically(folder.path / "certificate.json", lambda file: file.write_text(text))
    result = TrainE2EResult(folder.path, warnings=course.path.warnings, certificate=certificate)
    outcome = session.train(stop_after)
    complete(result, session, outcome, course)
    result.worst_gradient_error = _worst_gradient_error(outcome)
    result.hops = _trace(trainer)
    result.wall_seconds = time.perf_counter() - began
    return result


def _build_differentiable_scene(
    config: TrainE2EConfig,
    course: Course,
) -> GenesisCar:
    """Build the cars to train with."""
    logger.info("building the differentiable scene (a minute or two the first time)")
    return build_scene(
        config,
        num_envs=config.train.num_envs,
        differentiable=True,
        vehicle=course.vehicle,
    )


def _worst_gradient_error(outcome: SessionOutcome) -> float | None:
    """Return the largest error that the spot checks of the updates found, if there were any."""
    steps = (step for step in outcome.steps if isinstance(step, TrainStep))
    errors = (step.gradient_error for step in steps)
    return max((error for error in errors if not math.isnan(error)), default=None)


def _trace(trainer: E2ETrainer) -> list[Hop]:
    """Report the gradient's way through one short rollout with the final weights."""
    return trace_hops(
        trainer.scene,
        trainer.controller,
        trainer.path,
        trainer.draw_starts(seed=0),
        loss_of=lambda trajectory: trainer.config.loss.costs(trajectory).total,
    )
