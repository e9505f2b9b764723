"""Trains and tunes what `diffcar compare` compares, each in a run folder of its own."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from diffcar.base.config import read_yaml
from diffcar.base.log import logger
from diffcar.compare.config import CompareConfig
from diffcar.compare.contestants import Driver, network_of
from diffcar.compare.results import Run
from diffcar.compare.tuning import generations_of, is_tuned, tuned
from diffcar.compare.workshop import NUM_JUDGED_CARS, Learner, Workshop, require_same
from diffcar.controllers.checkpoint import load_checkpoint
from diffcar.controllers.choose import ControllerChoice, choose_controller
from diffcar.controllers.config import CONTROLLERS
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.tasks.config import UpdatesConfig
from diffcar.tasks.tracking.config import TrainE2EConfig, TrainingConfig
from diffcar.training.bc.config import TrainBCConfig
from diffcar.training.bc.experts import ExpertCollector
from diffcar.training.bc.trainer import BCTrainer
from diffcar.training.contract import Trainer
from diffcar.training.e2e import E2ETrainer
from diffcar.training.ppo.config import TrainPPOConfig
from diffcar.training.ppo.run import load_ppo_trainer
from diffcar.training.run import Course
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import TrainingSession

__all__ = ["TrainingStopped", "loaded_learner", "prepare"]

ConfigT = TypeVar("ConfigT", bound=TrainingConfig)

_NEVER = 1_000_000


class TrainingStopped(Exception):  # noqa: N818 - it is no error
    """The user has ended a training before its last update."""


def prepare(workshop: Workshop, folder: Path, method: str, seed: int) -> Learner:
    """Train or tune a method, or take up what an earlier session has done of it.

    Args:
        workshop: Scenes and settings.
        folder: Of the comparison; the run lies below it.
        method: One of `METHODS`; those that clone e2e need the run of it beside theirs.
        seed: Of the training.

    Raises:
        TrainingStopped: If the user ended it early.
        DiffcarError: If something in it fails.
    """
    home = folder / run_name(method, seed)
    if method in CONTROLLERS:
        return tuned(workshop, home, method, seed)
    session = _session(workshop, home, method, seed)
    if not session.trainer.is_finished:
        logger.info(f"training {method}, seed {seed}")
        outcome = session.train()
        if outcome.is_interrupted or not session.trainer.is_finished:
            raise TrainingStopped
    return _learner_of(home, method, seed, workshop.judged_cars())


def run_name(method: str, seed: int) -> str:
    """Return the name of a run's folder within that of the comparison."""
    return f"{method}-{seed}"


def loaded_learner(workshop: Workshop, method: str) -> Learner:
    """Return what a run that the user named came to.

    Raises:
        CheckpointError: If it is none.
    """
    scene = workshop.judged_cars()
    return _learner_of(workshop.loaded[method], method, workshop.config.seeds[0], scene)


def _learner_of(run: Path, method: str, seed: int, scene: GenesisCar) -> Learner:
    """Return what a finished run came to, its networks in a scene's number format."""
    last = load_checkpoint(RunFolder.open(run).checkpoints / "last.pt")
    history: list[tuple[int, float, int, Driver]] = []
    for file in sorted((run / "checkpoints").glob("at-*.pt")):
        then = load_checkpoint(file)
        iteration = int(file.stem.removeprefix("at-"))
        driver = network_of(then, scene)
        history.append((iteration, then["train_seconds"], then["num_env_steps"], driver))
    figures = Run(method, seed, str(run), last["train_seconds"], last["num_env_steps"])
    return Learner(figures, network_of(load_checkpoint(run), scene), history)


def _session(workshop: Workshop, home: Path, method: str, seed: int) -> TrainingSession:
    """Set up the training of a network, from where an earlier session left it."""
    config, course = workshop.config, workshop.course(seed)
    judged = workshop.judged_cars()
    controller = build_tracking_mlp(
        config.controller,
        course.vehicle,
        dtype=judged.dtype,
        device=judged.device,
        seed=seed,
    )
    is_new = not (home / "checkpoints" / "last.pt").is_file()
    # An earlier session may have been ended between making the folder and its first checkpoint.
    folder = RunFolder.make(home) if is_new else RunFolder.open(home)
    trainer, seconds = _trainer(workshop, folder, method, seed, course, controller)
    session = TrainingSession(folder, trainer, judged, course.path, on_update=workshop.on_update)
    session.train_seconds = seconds
    if is_new:
        folder.write_config(trainer.config)
    else:
        require_same(home, read_yaml(home / "config.yaml"), trainer.config.model_dump(mode="json"))
        session.restore(load_checkpoint(home / "checkpoints" / "last.pt"))
    return session


def _trainer(
    workshop: Workshop,
    folder: RunFolder,
    method: str,
    seed: int,
    course: Course,
    controller: TrackingMLP,
) -> tuple[Trainer, float]:
    """Return a method's optimisation, and the wall time that preparing its data took [s]."""
    config = workshop.config
    if method == "e2e":
        e2e = _settings(config, TrainE2EConfig, seed, config.e2e)
        cars = workshop.cars(e2e.train.num_envs, differentiable=True)
        return E2ETrainer(e2e, cars, course.path, controller), 0.0
    if method == "ppo":
        ppo = _settings(config, TrainPPOConfig, seed, config.ppo)
        cars = workshop.cars(ppo.train.num_envs)
        return load_ppo_trainer()(ppo, cars, course.path, controller), 0.0
    style, _, expert = method.partition("-")
    rounds = config.bc.dagger_rounds if style == "dagger" else 0
    clone = config.bc.model_copy(
        # Each round has as many passes as a training without DAgger.
        update={"dagger_rounds": rounds, "num_updates": config.bc.num_updates * (rounds + 1)}
    )
    bc = _settings(config, TrainBCConfig, seed, clone).model_copy(
        update={"expert": expert, "demonstrations": config.demonstrations}
    )
    collect = ExpertCollector(
        bc,
        folder,
        workshop.cars(config.demonstrations.num_episodes),
        course,
        _expert(workshop.loaded, folder.path.parent, expert, seed),
        controller,
    )
    began = time.perf_counter()
    demonstrations = collect(0)
    return BCTrainer(bc, controller, demonstrations, collect), time.perf_counter() - began


def _expert(loaded: Mapping[str, Path], folder: Path, name: str, seed: int) -> ControllerChoice:
    """Return the expert that was loaded, or trained or tuned with the same seed."""
    home = loaded.get(name, folder / run_name(name, seed))
    if name not in CONTROLLERS:
        return choose_controller(str(home))
    if not is_tuned(home):
        return choose_controller(name)
    return ControllerChoice(name, parameters=generations_of(home)[-1].parameters)


def _settings(
    config: CompareConfig, schema: type[ConfigT], seed: int, train: UpdatesConfig
) -> ConfigT:
    """Return a training's configuration: what the comparison shares, and what is its own."""
    shared = {name: getattr(config, name) for name in CarConfig.model_fields}
    shared |= {name: getattr(config, name) for name in ("start", "controller", "loss")}
    evaluation = schema.model_fields["evaluation"].default.model_copy(
        update={
            "interval": _NEVER,
            "also_after": _snapshots(train.num_updates, config.num_snapshots),
            "num_envs": NUM_JUDGED_CARS,
            "unseen_paths": [],
            "keep_snapshots": True,
        }
    )
    return schema.model_construct(
        **shared | {"seed": seed, "train": train, "evaluation": evaluation},
    )


def _snapshots(num_updates: int, num_snapshots: int) -> list[int]:
    """Return updates that are spread evenly over the logarithm of the cost."""
    spread = np.geomspace(1, num_updates, num_snapshots)
    return sorted({int(update) for update in np.rint(spread)})
