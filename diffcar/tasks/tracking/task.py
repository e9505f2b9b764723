"""The task of following a path with a car: starts, evaluations, and what comes of a training."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.files import digests
from diffcar.base.log import logger
from diffcar.base.table import Shown, across
from diffcar.controllers.errors import compute_error_state, starts_on_path
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.gradients.hops import Watch
from diffcar.gradients.problem import Problem
from diffcar.path.config import PATHS, PathConfig
from diffcar.path.reference import ReferencePath, Road
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarScene, Placement, Start, map_tensors
from diffcar.sim.model.carried import CARRIED_FOLDER, car_of_run, carry_car
from diffcar.sim.model.suited import suited
from diffcar.tasks.contract import Task, seed_of_update
from diffcar.tasks.tracking.config import (
    DisturbanceConfig,
    E2EEvaluationConfig,
    RandomisedTrainingConfig,
    TrainConfig,
    TrainingConfig,
)
from diffcar.tasks.tracking.disturbances import RandomisedCars
from diffcar.tasks.tracking.grip import GRIP, load_road
from diffcar.tasks.tracking.metrics import (
    METRICS,
    METRICS_OF_A_TIME,
    NOTHING_DRIVEN,
    SKIP_DISTANCE,
    TrackingMetrics,
    skipped_distance,
    tracking_metrics,
)
from diffcar.tasks.tracking.pace import Pace
from diffcar.tasks.tracking.problem import (
    PARAMETERS,
    SHORT_TOLERANCES,
    trace_drive,
    tracking_problem,
)
from diffcar.tasks.tracking.rollout import Trajectory
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.tasks.tracking.starts import draw_starts
from diffcar.tasks.tracking.unseen import drive_and_draw, table_of

__all__ = ["TrackingTask"]

# Further off the path there is nothing to learn that a fresh start would not teach better [m], of
# a car of the shipped one's size.
_GIVEN_UP_CROSS_TRACK = 0.5


class TrackingTask(Task[Start, Trajectory]):
    """A network that drives cars along a path (see `Task` for the contract).

    Paths are read at once; scenes, which take long, are built by `build`.
    Not every method goes `through_physics` and needs differentiable cars.
    """

    usage = "diffcar simulate --controller"
    metric = METRICS[0]
    remedy = "lower train.learning_rate, train.horizon or the start offsets"

    def __init__(
        self, config: TrainingConfig, *, scenes: Scenes | None = None, through_physics: bool = True
    ) -> None:
        self.scenes = scenes or Scenes(config)
        self.vehicle = self.scenes.vehicle
        self.config: TrainingConfig = suited(config, self.vehicle)
        """The settings, as they suit the car."""
        config = self.config
        self.loss = config.loss
        self.randomisation = DisturbanceConfig()
        """What cars suffer in training."""
        if isinstance(config, RandomisedTrainingConfig):
            self.randomisation = config.randomisation
        self.path = self._load(config.path)
        """What training follows."""
        self.unseen = [
            self._load(config.path.elsewhere(source, 1 if source in PATHS else config.path.scale))
            for source in config.evaluation.unseen_paths
            if source != config.path.source
        ]
        """What the finished controller drives, at the limits and the scale of the training path."""
        grip = None if config.path.grip is None else GRIP.file(self.vehicle)
        self.inputs = digests(filter(None, [config.path.file, grip])) + self.vehicle.files
        self._through_physics = through_physics
        told = [f"{path.name}: {warning}" for path in self.unseen for warning in path.warnings]
        if config.path.source in config.evaluation.unseen_paths:
            told.append(f"{config.path.source} is trained on, and left out of the unseen paths")
        self.warnings = (*self.path.warnings, *told)
        for warning in self.warnings:
            logger.warning(warning)

    def keep(self, folder: Path) -> None:
        """Put the car into a run's folder, so that the run drives wherever that is."""
        if car_of_run(folder) is None:
            carry_car(self.vehicle, self.config.model or "car", folder / CARRIED_FOLDER)

    def build(self) -> "TrackingTask":
        """Build the scenes and the untrained network."""
        config = self.config
        if self._through_physics:
            self.num_envs = self._train.num_envs
            self.scene = self.cars(self.num_envs, differentiable=True)
        num_cars = config.evaluation.num_envs
        self.evaluation_scene = (
            self.scene if self._shares_scene else self.cars(num_cars, purpose="evaluation")
        )
        """What training is evaluated in; what it trains in begins each update anew."""
        dtype, device = self.evaluation_scene.dtype, self.evaluation_scene.device
        self.path, *self.unseen = (p.to(dtype, device) for p in (self.path, *self.unseen))
        self.driver = build_tracking_mlp(
            config.controller, self.vehicle, dtype=dtype, device=device, seed=config.seed
        )
        """The network that is trained, as a controller."""
        self.network = self.driver.network
        self._road: Road = self.path
        if self._through_physics:
            if config.viewer:
                self.scene.dots = self.path.dots(0.1 * self.vehicle.size)
            self._pace = Pace(self.path, self._train, car_size=self.vehicle.size)
            self._trained = self._randomised(self.scene, self.randomisation)
        return self

    def cars(self, num_envs: int, **how: Any) -> GenesisCar:  # noqa: ANN401
        """Return a scene, whose cars can differ in mass where they are to."""
        with_varied_mass = any(self.randomisation.ranges["mass_shift"])
        return self.scenes.cars(num_envs, with_varied_mass=with_varied_mass, **how)

    def draw(self, update: int, reached: Start | None) -> Start:
        """Return where an update begins: where the last one ended, or afresh.

        Each car starts afresh every `episode_updates` updates, not all in the same one, and when it
        has lost the path.
        """
        if update:
            self._pace.adapt(reached)
        self._road = self._pace.road
        seed = seed_of_update(self.config.seed, update)
        placement = self._place(seed, self._road)
        state = self.scene.state_of(placement).remembering(self._trained.num_commands)
        fresh = Start(state, placement.arc_length)
        if reached is None:
            self._trained.draw(seed)
            return fresh
        assert reached.state is not None and reached.arc_length is not None
        car = torch.arange(self.num_envs, device=self.scene.device)
        is_due = (car + update) % self._train.episode_updates == 0
        errors = compute_error_state(self._road, reached.state, reached.arc_length)
        is_lost = errors.cross_track_error.abs() > _GIVEN_UP_CROSS_TRACK * self.vehicle.size
        end = math.inf if self.path.closed else self.path.length - self._reach
        is_fresh = is_due | is_lost | (reached.arc_length > end)
        self._trained.draw(seed, is_fresh)
        return reached.where(is_fresh, fresh)

    def roll_out(self, start: Start, num_steps: int) -> Trajectory:
        """Drive from a start, with gradients unless they are switched off."""
        return self._trained.roll_out(self._road, start, num_steps)

    def end(self, record: Trajectory) -> Start:
        """Return where the cars go on from: backward rewinds the simulator."""
        return record.end

    def pack(self, reached: Start) -> dict[str, Tensor]:
        """Return what a checkpoint holds of where the cars are."""
        state, arc_length = reached.state, reached.arc_length
        assert state is not None and arc_length is not None
        packed = {"qpos": state.qpos, "velocity": state.dofs_velocity, "arc_length": arc_length}
        return packed if state.commands is None else packed | {"commands": state.commands}

    def unpack(self, packed: Mapping[str, Tensor]) -> Start:
        """Return where the cars were when a checkpoint was written, which is loaded to the CPU."""
        own = {name: value.to(self.scene.device) for name, value in packed.items()}
        state = self.scene.describe(own["qpos"], own["velocity"])
        return Start(replace(state, commands=own.get("commands")), own["arc_length"])

    def progress(self) -> dict[str, Any]:
        """Return how fast training drives by now, where that changes, and what cars are like."""
        pace = {"pace": self._pace.share} if self._train.ramp_updates else {}
        traits = {} if self.randomisation.is_calm else {"traits": dict(self._trained.scene.traits)}
        return pace | traits

    def go_on_from(self, progress: Mapping[str, Any]) -> None:
        """Drive as fast as training did, cars that are the same."""
        self._pace.share = progress.get("pace", self._pace.share)
        if "traits" in progress:
            self._trained.take(progress["traits"])

    def evaluate(self) -> TrackingMetrics:
        """Drive cars spread over the training path for a while, every other one from rest.

        Errors count after the first metres, the same way that all cars should get past.
        """
        path, num_cars = self.path, self.config.evaluation.num_envs
        duration, top_speed = self.config.evaluation.duration, self.config.path.top_speed
        index = torch.arange(num_cars, dtype=path.dtype, device=path.device)
        reach = path.length
        if not path.closed:
            reach = max(path.length - duration * top_speed, path.length / 4)
        arc_length = index / num_cars * reach
        # Of a short path a car may come to the end.
        is_short = not path.closed and reach == path.length / 4
        goal_distance = path.length - arc_length if is_short else path.length
        speed = path.sample(arc_length).speed
        start = starts_on_path(path, arc_length, speed=torch.where(index % 2 == 0, speed, 0.0))
        try:
            trajectory = self._drive_some(start, max(1, round(duration / self.evaluation_scene.dt)))
        except SimulationError as error:
            # Weights that throw a car about are bad ones; the training goes on.
            logger.warning(f"an evaluation broke off, which counts as the worst: {error.message}")
            return NOTHING_DRIVEN
        skip_distance = min(skipped_distance(path, self.vehicle), duration * top_speed / 4)
        return tracking_metrics(
            trajectory, goal_distance=goal_distance, skip_distance=skip_distance
        )

    def score(self, metrics: TrackingMetrics) -> float:
        """Return what the best weights are chosen by: tracking and speed as the loss weighs them.

        It knows `cross_track` (or `time_indexed`, where that weighs more) and `speed`, and no other
        term. Weights with which a car does not get going are never the best.
        """
        score = (
            max(self.loss.cross_track, self.loss.time_indexed) * metrics.cross_track_rmse_m**2
            + self.loss.speed * metrics.speed_rmse_mps**2
        )
        return score if math.isfinite(score) and metrics.got_going == 1.0 else math.inf

    def is_done(self, metrics: TrackingMetrics) -> bool:
        """Tell whether all cars get going and track the training path as well as is asked."""
        return metrics.got_going == 1.0 and metrics.cross_track_rmse_m <= self._train.target

    def trace(self, watch: Watch) -> Tensor:
        """Return the loss of eight steps, handing over the tensors on the way."""
        self.scene.variations = {}
        place = self._place(0, self.path)
        return trace_drive(watch, self.scene, self.driver, self.path, place, loss=self.loss)

    def problem(self, horizon: int) -> Problem:
        """Return the gradient by actions, initial state and weights, one direction a car by turns.

        Weights come first: they are what training changes, however few cars there are.
        """
        self.scene.variations = {}
        kinds = itertools.islice(itertools.cycle(reversed(PARAMETERS)), self.num_envs)
        return tracking_problem(
            self.scene,
            self.driver,
            self.path,
            [("rolling", kind) for kind in kinds],
            horizon=horizon,
            tolerance=SHORT_TOLERANCES[self.scene.dtype],
            seed=self.config.seed,
        )

    def finish(self, folder: Path) -> dict[str, Any]:
        """Drive each unseen path, standing and flying; draw these and the training path."""
        logger.info("driving paths that training has not seen")
        self.evaluation_scene.variations = {}
        paths = (self.path, *self.unseen)
        scores, unwritten = drive_and_draw(self.evaluation_scene, self.driver, paths, folder)
        skip_distance = SKIP_DISTANCE * self.vehicle.size
        return {"scores": scores, "skip_distance_m": skip_distance, "unwritten": unwritten}

    @staticmethod
    def report(
        before: TrackingMetrics | None,
        after: TrackingMetrics | None,
        findings: Mapping[str, Any],
    ) -> list[Shown]:
        """Return the metrics on the training path, before and after, and those on unseen paths."""
        shown: list[Shown] = []
        if before is not None and after is not None:
            title = "training path in plain physics, half of the cars from rest"
            both = {"before": before, "after": after}
            shown.append(across(title, "metric", METRICS_OF_A_TIME, both))
        if scores := findings.get("scores"):
            shown.append(table_of(scores, findings.get("skip_distance_m", SKIP_DISTANCE)))
        return shown

    @property
    def _shares_scene(self) -> bool:
        """Tell whether training is evaluated in its own scene, which drives as a plain one."""
        evaluation = self.config.evaluation
        is_wanted = isinstance(evaluation, E2EEvaluationConfig) and not evaluation.plain_scene
        return self._through_physics and is_wanted and evaluation.num_envs <= self.num_envs

    @property
    def _train(self) -> TrainConfig:
        """Return the settings of training through the physics."""
        assert isinstance(self.config.train, TrainConfig)
        return self.config.train

    @property
    def _reach(self) -> float:
        """Return how far a car can come in an update [m]."""
        return self._train.horizon * self.scene.dt * self.config.path.top_speed

    def _place(self, seed: int, road: Road) -> Placement:
        """Draw where cars begin afresh."""
        return draw_starts(
            self.path,
            self.num_envs,
            seed=seed,
            config=self.config.start,
            reach=self._reach,
            road=road,
        )

    def _randomised(self, scene: CarScene, how: DisturbanceConfig) -> RandomisedCars:
        """Return the cars of a scene as they differ, and the network as it sees them."""
        return RandomisedCars(scene, self.driver, how, seed=self.config.seed)

    def _drive_some(self, placement: Placement, num_steps: int) -> Trajectory:
        """Let the network drive cars that may be fewer than the scene has."""
        num_cars = len(placement.speed)
        copies = torch.arange(self.evaluation_scene.num_envs, device=self.path.device) % num_cars
        everywhere = map_tensors(placement, itemgetter(copies))
        # Without pushes, which would outweigh the millimetres that weights differ by.
        unpushed = self.randomisation.model_copy(update={"push_force": 0.0})
        cars = self._randomised(self.evaluation_scene, unpushed)
        with torch.no_grad():
            driven = cars.roll_out(self.path, everywhere, num_steps)
        return driven.select(torch.arange(num_cars, device=self.path.device))

    def _load(self, settings: PathConfig) -> ReferencePath:
        """Load a path for the car."""
        own, seed = self.config.path.columns, self.config.seed
        others = own if settings is self.config.path else own or {}
        return load_road(settings, self.vehicle, seed=seed, nameless=others)
