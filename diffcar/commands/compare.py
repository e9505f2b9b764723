"""`diffcar compare`: is training through the physics worth it?"""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from diffcar.commands.compare_training import TrainingStopped, loaded_learner, prepare
from diffcar.commands.contestants import Driver, entrants_of
from diffcar.commands.controller_choice import choose_controller
from diffcar.commands.events import Stage
from diffcar.commands.train_ppo import load_ppo_trainer
from diffcar.commands.training import Event
from diffcar.commands.workshop import Learner, Workshop
from diffcar.comparison import Comparison, CurvePoint, DrivenTrack, Score
from diffcar.config import CompareConfig, DisturbanceConfig, dump_config
from diffcar.drive import Drive
from diffcar.errors import ConfigError
from diffcar.files import make_folder, write_atomically
from diffcar.path import ReferencePath, load_path
from diffcar.sim.contract import CarScene
from diffcar.sim.scene import build_mujoco_scene, build_scene
from diffcar.sim.vehicle import Vehicle, load_vehicle
from diffcar.suite import CARS_EACH, SuiteFigures, drive_entrants
from diffcar.training.run_folder import RunFolder, new_name

__all__ = ["CompareResult", "resume_command", "run"]

# Drivers on the road at once: enough to share the cost of a step, few enough to build quickly.
_DRIVERS_AT_ONCE = 32
_CONFIG_FILE = "compare.yaml"
_DRAWN_POINTS = 400


@dataclass
class CompareResult:
    """A comparison and where it lies."""

    folder: Path
    """Where everything was written."""
    comparison: Comparison
    """What was found."""
    is_interrupted: bool = False
    """Whether the user ended it before it was complete."""
    notes: list[str] = field(default_factory=list)
    """What the user should know about the paths."""
    wall_seconds: float = 0.0
    """Wall time of this session [s]."""


def run(
    config: CompareConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    loaded: Mapping[str, Path] | None = None,
    verbose: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> CompareResult:
    """Train what is to be compared, drive it over the suite, and collect the figures.

    Args:
        config: The resolved configuration.
        out: The folder of the comparison; None names one below `runs/`.
        resume: A comparison to go on with instead; what is trained already stays.
        loaded: Runs by method that are taken as they are instead of trained.
        verbose: Whether Genesis may log to the terminal.
        on_event: Called with stages, updates and evaluations as they happen.

    Returns:
        The figures.

    Raises:
        DiffcarError: If a path, a model, a run or the configuration is unusable, a method's library
            is missing, or the simulator refuses.
    """
    began = time.perf_counter()
    loaded = loaded or {}
    _check_what_is_needed_later(config, loaded)
    vehicle = load_vehicle(config.model)
    paths = _suite_paths(config, vehicle)
    folder = resume or out or new_name("compare")
    if resume is None:
        RunFolder.require_free(folder)
        make_folder(folder)
    text = dump_config(config)
    write_atomically(folder / _CONFIG_FILE, lambda file: file.write_text(text))
    on_event(Stage(f"comparing in {folder}; if interrupted: {resume_command(folder, loaded)}"))
    workshop = Workshop(config, vehicle, verbose, on_event, loaded)
    result = CompareResult(folder, Comparison(config.threshold))
    result.notes = [f"{path.name}: {warning}" for path in paths for warning in path.warnings]
    result.notes += _trained_on(config)
    try:
        learners = _learners(workshop, folder)
    except TrainingStopped:
        result.is_interrupted = True
        return result
    comparison = result.comparison
    comparison.contestants = [learner.contestant for learner in learners]
    comparison.references = {
        path.name: (path.samples[:, 0].tolist(), path.samples[:, 1].tolist()) for path in paths
    }
    jury = _Jury(config, paths, workshop, verbose)
    jury.judge(learners, comparison)
    comparison.curves = list(jury.curves(learners))
    result.wall_seconds = time.perf_counter() - began
    return result


def resume_command(folder: Path, loaded: Mapping[str, Path]) -> str:
    """Return what goes on with a comparison, which does not store the runs that it was given.

    Args:
        folder: Of the comparison.
        loaded: Runs by method.
    """
    runs = [f"--load={method}={run}" for method, run in loaded.items()]
    return shlex.join(["diffcar", "compare", "--resume", str(folder), *runs])


def _check_what_is_needed_later(config: CompareConfig, loaded: Mapping[str, Path]) -> None:
    """Complain now of what would otherwise be missed after hours of training."""
    for method, run in loaded.items():
        choice = choose_controller(str(RunFolder.open(run).path))
        wanted = method if method in ("e2e", "ppo") else "bc"
        trained_by = choice.checkpoint["method"] if choice.checkpoint else wanted
        if trained_by != wanted:
            raise ConfigError(
                f"--load {method}={run}: the run was trained by train-{trained_by}",
                hint=f"give one of train-{wanted}",
            )
        if differences := choice.differences(config):
            raise ConfigError(
                f"--load {method}={run}: {'; '.join(differences)}",
                hint="compare in the physics of that training, by --set",
            )
    if "ppo" in config.methods and "ppo" not in loaded:
        load_ppo_trainer()


def _suite_paths(config: CompareConfig, vehicle: Vehicle) -> list[ReferencePath]:
    """Load the paths of the suite, each under a name of its own."""
    paths: list[ReferencePath] = []
    for settings in config.suite.paths:
        path = load_path(settings, seed=config.seed, max_curvature=vehicle.max_curvature)
        same = sum(other.name.partition(" #")[0] == path.name for other in paths)
        path.name = f"{path.name} #{same + 1}" if same else path.name
        paths.append(path)
    return paths


def _trained_on(config: CompareConfig) -> list[str]:
    """Tell which paths of the suite are trained on, and therefore say less."""
    roads = {(config.path.source, config.path.seed)}
    if config.path.seed is None:
        roads = {(config.path.source, seed) for seed in config.seeds}
    if config.path.source != "random":
        roads = {(config.path.source, None)}
    return [
        f"{path.source} is in the suite, and trained on as well"
        for path in config.suite.paths
        if (path.source, path.seed if path.source == "random" else None) in roads
    ]


def _learners(workshop: Workshop, folder: Path) -> list[Learner]:
    """Train, tune or load everything that is compared, clones last since they need an expert."""
    config = workshop.config
    learners = []
    for method in sorted(config.methods, key=lambda name: "-e2e" in name or name.startswith("bc")):
        if method in workshop.loaded:
            learners.append(loaded_learner(workshop, method))
        else:
            learners += [prepare(workshop, folder, method, seed) for seed in config.seeds]
    return learners


class _Jury:
    """Drives everybody over the suite, in both engines.

    Args:
        config: The configuration of the comparison.
        paths: Those of the suite.
        workshop: The car, and who is told.
        verbose: Whether Genesis may log to the terminal.
    """

    def __init__(
        self,
        config: CompareConfig,
        paths: Sequence[ReferencePath],
        workshop: Workshop,
        verbose: bool,
    ) -> None:
        self._config = config
        self._paths = paths
        self._tell = workshop.on_event
        num_envs = CARS_EACH * _DRIVERS_AT_ONCE
        self._tell(Stage(f"building the scenes of the suite, {num_envs} cars each"))
        genesis = build_scene(
            config,
            num_envs=num_envs,
            differentiable=False,
            vehicle=workshop.vehicle,
            with_varied_mass=True,
            verbose=verbose,
        )
        self._scenes: dict[str, CarScene] = {"genesis": genesis}
        if "mujoco" in config.suite.engines:
            self._scenes["mujoco"] = build_mujoco_scene(
                config, num_envs=num_envs, vehicle=workshop.vehicle, dtype=genesis.dtype
            )
        for path in paths:
            path.to(genesis.dtype, genesis.device)

    def judge(self, learners: Sequence[Learner], comparison: Comparison) -> None:
        """Write everybody's final scores, and the drives of the first seed, into a comparison."""
        conditions = {"nominal": DisturbanceConfig(), **self._config.suite.conditions}
        for engine in self._config.suite.engines:
            for condition, disturbance in conditions.items():
                self._tell(Stage(f"driving the suite: {engine}, {condition}"))
                for path in self._paths:
                    drives = self._drive([x.driver for x in learners], engine, path, disturbance)
                    for learner, (figures, driven, car) in zip(learners, drives, strict=True):
                        who = learner.contestant
                        comparison.scores.append(
                            Score(who.method, who.seed, engine, condition, path.name, figures)
                        )
                        if condition == "nominal" and who.seed == self._config.seeds[0]:
                            comparison.tracks.append(_track(who.method, engine, path, driven, car))

    def curves(self, learners: Sequence[Learner]) -> Iterator[CurvePoint]:
        """Yield how good everybody was at each snapshot of the training."""
        self._tell(Stage("driving the suite with the snapshots of all trainings"))
        points = [(learner.contestant, *then) for learner in learners for then in learner.history]
        drivers = [driver for *_, driver in points]
        nominal = DisturbanceConfig()
        columns = [
            [figures for figures, *_ in self._drive(drivers, "genesis", path, nominal)]
            for path in self._paths
        ]
        for number, (who, iteration, seconds, num_env_steps, _) in enumerate(points):
            own = [column[number] for column in columns]
            yield CurvePoint(
                method=who.method,
                seed=who.seed,
                iteration=iteration,
                train_seconds=seconds,
                num_env_steps=num_env_steps,
                cross_track_rmse_m=sum(f.cross_track_rmse_m for f in own) / len(own),
                lost=sum(f.lost for f in own) / len(own),
            )

    def _drive(
        self,
        drivers: Sequence[Driver],
        engine: str,
        path: ReferencePath,
        disturbance: DisturbanceConfig,
    ) -> Iterator[tuple[SuiteFigures, Drive, int]]:
        """Yield each driver's figures, the drive that it was part of, and its car in it."""
        scene = self._scenes[engine]
        for first in range(0, len(drivers), _DRIVERS_AT_ONCE):
            some = drivers[first : first + _DRIVERS_AT_ONCE]
            # The scene has its number of cars: the last driver takes those that are left over.
            filled = [*some, *[some[-1]] * (_DRIVERS_AT_ONCE - len(some))]
            figures, driven = drive_entrants(
                scene, entrants_of(filled, scene), path, disturbance, seed=self._config.seed
            )
            for number, own in enumerate(figures[: len(some)]):
                yield own, driven, number * CARS_EACH


def _track(method: str, engine: str, path: ReferencePath, driven: Drive, car: int) -> DrivenTrack:
    """Return a drive from rest, thinned for drawing."""
    trajectory = driven.trajectory
    distance = trajectory.distance[:, car]
    is_driven = (distance <= driven.goal_distance[car]) & (
        trajectory.cross_track_error[:, car].abs() <= 1.0
    )
    every = max(1, int(is_driven.sum()) // _DRAWN_POINTS)

    def thinned(values: Tensor) -> list[float]:
        return [round(value, 5) for value in values[is_driven][::every].tolist()]

    return DrivenTrack(
        method=method,
        engine=engine,
        path=path.name,
        distance=thinned(distance),
        x=thinned(trajectory.position[:, car, 0]),
        y=thinned(trajectory.position[:, car, 1]),
        cross_track=thinned(trajectory.cross_track_error[:, car]),
    )
