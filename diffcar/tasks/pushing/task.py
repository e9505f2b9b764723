"""The task of pushing a soft body along a path with a tool."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcar.base.errors import PathError
from diffcar.base.files import Unwritten, kept
from diffcar.base.log import logger
from diffcar.base.table import Column, Shown, Table
from diffcar.gradients.hops import Watch
from diffcar.gradients.problem import Problem
from diffcar.path.config import PATHS
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.soft_body import SoftBodyState
from diffcar.tasks.contract import Task, seed_of_update
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.controller import PushingMLP
from diffcar.tasks.pushing.problem import pushing_problem
from diffcar.tasks.pushing.rollout import PushStart, PushTrajectory, plot_push, push
from diffcar.tasks.tracking.metrics import cross_track_figures, rms

__all__ = ["PushMetrics", "PushingTask", "push_metrics"]

_ROOM_SPACING = 0.05
_BUILTIN_SCALE = TrainPushConfig().path.scale


@dataclass(frozen=True)
class PushMetrics:
    """How well bodies were pushed along their paths; the names are keys of the JSON output."""

    cross_track_rmse_m: float
    """Root mean square of the centroid's cross-track error [m]."""
    cross_track_p95_m: float
    """95th percentile of its absolute value [m]."""
    cross_track_max_m: float
    """Largest absolute value [m]."""
    progress_rmse_m: float
    """Root mean square of how far the body was behind or ahead of the running target [m]."""
    distance_m: float
    """How far the bodies came along their paths, mean [m]."""
    target_distance_m: float
    """How far the running targets came, mean [m]."""

    def __str__(self) -> str:
        """Return the figures that matter, in a line."""
        across, along = 1e3 * self.cross_track_rmse_m, 1e3 * self.progress_rmse_m
        return f"RMSE {across:.4g} mm across the path, {along:.4g} mm along it"


def push_metrics(trajectory: PushTrajectory, *, skip_distance: float) -> PushMetrics:
    """Return the metrics over all bodies of a push.

    Errors count from where the running target has come as far as `skip_distance` [m], since at the
    start every body is on its path; they are NaN where no target has.
    """
    counted = trajectory.target_distance >= skip_distance
    cross_track = trajectory.cross_track_error.detach()[counted].abs()
    return PushMetrics(
        **cross_track_figures(cross_track),
        progress_rmse_m=rms(trajectory.progress_error.detach()[counted]),
        distance_m=float(trajectory.distance[-1].detach().mean()),
        target_distance_m=float(trajectory.target_distance[-1].mean()),
    )


@dataclass(frozen=True)
class PushScore:
    """A controller on one path, without gradients."""

    path: str
    """Name."""
    is_unseen: bool
    """Whether training never saw it."""
    before: PushMetrics
    """With the weights that this session began with."""
    after: PushMetrics
    """With the best ones."""
    loss_before: float
    """What is minimised, of the same pushes as `before`."""
    loss_after: float
    """Of the same pushes as `after`."""


class _Row(NamedTuple):
    """A path, with the weights of before or after."""

    path: str
    weights: str
    metrics: PushMetrics
    loss: float


_COLUMNS: list[Column[_Row]] = [
    Column("path", lambda row: row.path if row.weights == "before" else ""),
    Column("weights", lambda row: row.weights),
    Column("RMSE\n", lambda row: row.metrics.cross_track_rmse_m, "mm", 1e3),
    Column("p95\n", lambda row: row.metrics.cross_track_p95_m, "mm", 1e3),
    Column("max\n", lambda row: row.metrics.cross_track_max_m, "mm", 1e3),
    Column("RMSE along\n", lambda row: row.metrics.progress_rmse_m, "mm", 1e3),
    Column("came\n", lambda row: row.metrics.distance_m, "mm", 1e3),
    Column("target\n", lambda row: row.metrics.target_distance_m, "mm", 1e3),
    Column("loss", lambda row: row.loss),
]


class PushingTask(Task[PushStart, PushTrajectory]):
    """A network that pushes soft bodies along a path (see `Task` for the contract).

    The paths are laid out afresh in each update, from a distribution seeded by the update's number.
    Scenes are not shared: bodies and grid are made for the settings.
    """

    command = "train-e2e --entity mpm"
    folder = "train-push"
    metric = Column(
        "cross-track RMSE", attrgetter("cross_track_rmse_m"), "mm", 1e3, "cross_track_rmse_m"
    )
    remedy = "lower train.learning_rate, train.horizon or controller.max_correction"

    def __init__(self, config: TrainPushConfig, *, scenes: None = None) -> None:
        self.config: TrainPushConfig = config
        self.loss = config.loss
        self.num_envs = config.train.num_envs
        self.paths = self._load_paths()
        """The training path first, then those that training never sees."""
        self._before: list[PushTrajectory] = []
        self._pushed: dict[int, tuple[Tensor, PushTrajectory]] = {}

    def build(self) -> "PushingTask":
        """Build the scene and the untrained network."""
        self.scene = build_scene(
            self.config,
            num_envs=self.num_envs,
            differentiable=True,
            mpm_options=self._grid_bounds(),
        )
        dtype, device = self.scene.dtype, self.scene.device
        self.paths = [path.to(dtype, device) for path in self.paths]
        self.driver = PushingMLP(self.config, dtype=dtype, device=device)
        """The network that is trained, as a controller."""
        self.network = self.driver.network
        return self

    def draw(self, update: int, reached: PushStart | None) -> PushStart:
        """Lay the path to each body at random: another part, shifted, turned, maybe mirrored."""
        seed = seed_of_update(self.config.seed, update)
        generator = torch.Generator().manual_seed(seed)

        def uniform(low: float, high: float) -> Tensor:
            draw = torch.rand(self.num_envs, generator=generator, dtype=torch.float64)
            return (low + (high - low) * draw).to(self.scene.zeros(1))

        start = self.config.start
        return PushStart(
            self.paths[0],
            arc_length=uniform(0.0, self._last_start(self.paths[0])),
            cross_track=uniform(-start.cross_track, start.cross_track),
            heading=uniform(-start.heading, start.heading),
            side=torch.sign(uniform(-1.0, 1.0)),
        )

    def roll_out(self, start: PushStart, num_steps: int) -> PushTrajectory:
        """Push from rest, with gradients unless they are switched off."""
        return push(self.scene, self.driver, start, num_steps)

    def evaluate(self) -> PushMetrics:
        """Push bodies along parts spread over the training path, without gradients."""
        return self._metrics(self._push_along(self.paths[0]))

    def score(self, metrics: PushMetrics) -> float:
        """Return the errors across and along the path as the loss weighs them."""
        score = (
            self.loss.cross_track * metrics.cross_track_rmse_m**2
            + self.loss.progress * metrics.progress_rmse_m**2
        )
        return score if math.isfinite(score) else math.inf

    def trace(self, watch: Watch) -> Tensor:
        """Return the loss of eight steps, handing over the tensors on the way."""

        def after_step(state: SoftBodyState) -> None:
            watch("state: particle positions", state.particle_positions)
            watch("state: tool position", state.tool_position)

        pushed = push(self.scene, self.driver, self.draw(0, None), 8, on_step=after_step)
        watch("error state: cross_track_error", pushed.cross_track_error)
        watch("distance along the path", pushed.distance)
        return self.loss.costs(pushed).total

    def problem(self, horizon: int) -> Problem:
        """Return the gradient by the network's weights, a direction a body."""
        return pushing_problem(
            self.scene, self.driver, self.draw(0, None), horizon=horizon, seed=self.config.seed
        )

    def prepare(self) -> None:
        """Push along all paths with the weights that the session begins with."""
        names = ", ".join(path.name for path in self.paths)
        logger.info(f"pushing along {names}, without gradients")
        self._before = [self._push_along(path) for path in self.paths]

    def finish(self, folder: Path) -> dict[str, Any]:
        """Push along all paths again, and draw what has changed."""
        logger.info("pushing along the same paths again")
        scores = []
        unwritten: Unwritten = {}
        for number, (path, before) in enumerate(zip(self.paths, self._before, strict=True)):
            after = self._push_along(path)
            metrics = self._metrics(before), self._metrics(after)
            losses = [float(self.loss.costs(pushed).total) for pushed in (before, after)]
            scores.append(PushScore(path.name, number > 0, *metrics, *losses))
            file = folder / f"push-{number}-{path.name}.png"
            with kept(unwritten, file):
                plot_push(before, after, file)
        skip_distance = self.config.evaluation.skip_distance
        return {"scores": scores, "skip_distance_m": skip_distance, "unwritten": unwritten}

    @staticmethod
    def report(
        before: PushMetrics | None, after: PushMetrics | None, findings: Mapping[str, Any]
    ) -> list[Shown]:
        """Return how well each path is followed before and after training, once that is over."""
        rows = []
        for score in findings.get("scores", ()):
            name = f"{score.path}, {'unseen' if score.is_unseen else 'training'}"
            rows.append(_Row(name, "before", score.before, score.loss_before))
            rows.append(_Row(name, "after", score.after, score.loss_after))
        if not rows:
            return []
        title = (
            "tracking of the body's centroid in plain physics: across the path, along it against "
            f"the running\ntarget, from where the target has come {findings['skip_distance_m']:g} "
            "m; loss over the whole push"
        )
        return [Table(title, _COLUMNS, rows, section=lambda row: row.path)]

    def _push_along(self, path: ReferencePath) -> PushTrajectory:
        """Push bodies spread over a path, each on it and in its direction; same weights, once."""
        weights = torch.cat([own.detach().flatten() for own in self.network.parameters()])
        known = self._pushed.get(id(path))
        if known is not None and torch.equal(known[0], weights):
            return known[1]
        zeros = self.scene.zeros(self.num_envs)
        share = torch.arange(self.num_envs).to(zeros) / self.num_envs
        start = PushStart(path, share * self._last_start(path), zeros, zeros, zeros + 1)
        with torch.no_grad():
            pushed = self.roll_out(start, self.config.train.horizon)
        self._pushed[id(path)] = weights, pushed
        return pushed

    def _metrics(self, pushed: PushTrajectory) -> PushMetrics:
        """Return the figures of pushes without gradients."""
        return push_metrics(pushed, skip_distance=self.config.evaluation.skip_distance)

    def _last_start(self, path: ReferencePath) -> float:
        """Return where the last push can begin: on an open path, well before the end [m]."""
        return path.length if path.closed else max(path.length - self.config.reach, 0.0)

    def _load_paths(self) -> list[ReferencePath]:
        """Load the training path and those that training never sees, at its scale."""
        config = self.config
        first = config.path.source
        if first in config.evaluation.unseen_paths:
            logger.warning(f"{first} is trained on, and left out of the unseen paths")
        paths = []
        for source in dict.fromkeys([first, *config.evaluation.unseen_paths]):
            scale = config.path.scale
            # A user's file and the built-in paths need not be drawn at the same scale.
            if (source in PATHS) != (first in PATHS):
                scale = _BUILTIN_SCALE if source in PATHS else 1.0
            settings, nameless = config.path, config.path.columns
            if source != first:
                settings, nameless = settings.elsewhere(source, scale), nameless or {}
            path = load_path(settings, seed=config.seed, nameless=nameless)
            for warning in path.warnings:
                logger.warning(f"{path.name}: {warning}")
            self._require_room(path)
            paths.append(path)
        return paths

    def _require_room(self, path: ReferencePath) -> None:
        """Refuse a path with a part that a body would leave the grid on."""
        config = self.config
        begin = torch.arange(0.0, path.length, _ROOM_SPACING, dtype=path.dtype)
        zeros = torch.zeros_like(begin)
        start = PushStart(path, begin, zeros, zeros, zeros + 1)
        end = start.to_world(path.sample(begin + config.reach).position)
        aside = float(end[:, 1].abs().max()) + config.start.cross_track
        aside += config.reach * math.sin(min(config.start.heading, math.pi / 2))
        room = config.half_width - config.body_size / 2 - 3 / config.grid_density
        if aside > room:
            raise PathError(
                f"{path.name} turns so much that a push of {config.reach:.2f} m ends up to "
                f"{aside:.3f} m aside; the grid has room for {room:.3f} m",
                hint="raise half_width or --path-scale, or lower train.horizon",
            )

    def _grid_bounds(self) -> dict[str, Any]:
        """Return the corners of a grid that just holds a push along +x [m]."""
        config = self.config
        cell = 1 / config.grid_density
        half, margin = config.body_size / 2, 4 * cell
        top = max(config.body_size, config.tool_size) + 5 * cell
        return {
            "lower_bound": (-half - margin, -config.half_width, -margin),
            "upper_bound": (config.reach + half + margin, config.half_width, top),
        }
