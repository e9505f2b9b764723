"""Behaviour cloning as a run: experts are recorded, then cloned."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from diffcar.base.log import logger
from diffcar.controllers.choose import ControllerChoice, choose_controller
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.demonstrations.files import read_demonstrations, write_demonstrations
from diffcar.demonstrations.recording import record_demonstrations
from diffcar.demonstrations.table import Demonstrations
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.tasks.contract import seed_of_update
from diffcar.training.bc.config import TrainBCConfig
from diffcar.training.bc.trainer import BCTrainer, CloneStep
from diffcar.training.run import (
    Course,
    TrainingResult,
    build_plain_scene,
    complete,
    load_course,
    open_checkpoint,
)
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import OnUpdate, TrainingSession

__all__ = ["ExpertCollector", "TrainBCResult", "run"]

# Recordings of a run draw from here on, so that no two runs or rounds share their starts.
_ROUND_SEED = 7_919


@dataclass
class TrainBCResult(TrainingResult):
    """What behaviour cloning came to."""

    num_rows: int = 0
    """Rows of all demonstrations."""
    num_skipped_rows: int = 0
    """Incomplete rows that were left out."""
    validation_loss: float | None = None
    """Smallest error on episodes not trained on in the last round, over that of a constant."""
    notes: list[str] = field(default_factory=list)
    """What was assumed about the data and the expert."""


@dataclass
class ExpertCollector:
    """Records an expert for a run, and reads what it recorded.

    Files that are there already are read, not recorded again: so a run resumes on its own data.

    Args:
        config: The run's configuration.
        folder: Where the recordings lie.
        scene: Plain cars, one an episode.
        course: What they follow.
        expert: Who is cloned.
        controller: The network in training, which drives in DAgger rounds.
    """

    config: TrainBCConfig
    folder: RunFolder
    scene: GenesisCar
    course: Course
    expert: ControllerChoice
    controller: TrackingMLP

    def __call__(self, number: int) -> Demonstrations:
        """Return the demonstrations of a round.

        Args:
            number: 0 for those that the expert drives itself, or that of the DAgger round.
        """
        file = self.folder.path / f"demonstrations-{number}.csv"
        if not file.is_file():
            self._record(number, file)
        return read_demonstrations(
            [file], controller_config=self.config.controller, vehicle=self.course.vehicle
        )

    def _record(self, number: int, file: Path) -> None:
        """Drive and write down what the expert does, or would do."""
        config, path = self.config.demonstrations, self.course.path
        driver = None
        if number:
            # The learner's own mistakes are the disturbance.
            config = config.model_copy(update={"noisy_fraction": 0.0})
            driver = self.controller
        who = "the network driving" if number else "driving"
        logger.info(f"recording {self.expert.spec}, {who} {self.scene.num_envs} cars")
        recording = record_demonstrations(
            self.scene,
            self.expert.build(self.scene),
            path,
            self.config.controller,
            config=config,
            start_config=self.config.start,
            seed=seed_of_update(self.config.seed, number * _ROUND_SEED),
            driver=driver,
        )
        write_demonstrations(recording.table, file)


def run(
    config: TrainBCConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    stop_after: int | None = None,
    on_update: OnUpdate = lambda event: None,
) -> TrainBCResult:
    """Train a controller and leave a run folder behind.

    Args:
        config: The resolved configuration.
        out: The run folder; None names one below `runs/`.
        resume: A run folder to go on with instead.
        stop_after: Passes over the data after which this session stops, as if interrupted.
        on_update: Called after each update and evaluation.

    Returns:
        What came of it.

    Raises:
        DiffcarError: If configuration, path, model, data, expert or checkpoint is unusable, or the
            simulator refuses.
    """
    began = time.perf_counter()
    checkpoint = open_checkpoint(resume, "bc")
    if resume is None and out is not None:
        RunFolder.require_free(out)
    needs_expert = not config.data or config.train.dagger_rounds > 0
    expert = choose_controller(config.expert if needs_expert else "zero")
    config, notes = expert.in_its_physics(config)
    course = load_course(config)
    demonstrations = _read_given(config, course) if config.data else None
    plain = build_plain_scene(config, course, num_envs=config.evaluation.num_envs)
    course = course.to(plain)
    scene = plain
    if needs_expert:
        logger.info("building the scene to record in")
        num_envs = config.demonstrations.num_episodes
        scene = build_scene(config, num_envs=num_envs, differentiable=False, vehicle=course.vehicle)
    controller = build_tracking_mlp(
        config.controller,
        course.vehicle,
        dtype=plain.dtype,
        device=plain.device,
        seed=config.seed,
    )
    folder = RunFolder.open(resume) if resume else RunFolder.create(out, "train-bc")
    collect = ExpertCollector(config, folder, scene, course, expert, controller)
    recording_began = time.perf_counter()
    if demonstrations is None:
        demonstrations = collect(0)
    recording_seconds = time.perf_counter() - recording_began
    trainer = BCTrainer(config, controller, demonstrations, collect)
    session = TrainingSession(folder, trainer, plain, course.path, on_update=on_update)
    # Recording is part of what a clone costs; a checkpoint knows it already.
    session.train_seconds = recording_seconds
    if checkpoint is not None:
        session.restore(checkpoint)
    folder.write_config(config)
    notes += trainer.demonstrations.notes
    for note in notes:
        logger.warning(note)
    result = TrainBCResult(folder.path, warnings=course.path.warnings, notes=notes)
    outcome = session.train(stop_after)
    complete(result, session, outcome, course)
    result.num_rows = len(trainer.demonstrations)
    result.num_skipped_rows = trainer.demonstrations.num_skipped
    last_round = [s for s in outcome.steps if isinstance(s, CloneStep) and s.round == trainer.round]
    result.validation_loss = min((step.validation_loss for step in last_round), default=None)
    result.wall_seconds = time.perf_counter() - began
    return result


def _read_given(config: TrainBCConfig, course: Course) -> Demonstrations:
    """Read the user's own demonstrations, before a scene is built."""
    return read_demonstrations(
        [Path(file) for file in config.data],
        controller_config=config.controller,
        vehicle=course.vehicle,
        path=course.path,
        columns=config.columns,
        skip_incomplete=config.skip_incomplete,
    )
