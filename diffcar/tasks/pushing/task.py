"""The task of pushing a soft body along a path."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffcar.base.errors import PathError
from diffcar.base.log import logger
from diffcar.path.config import PATHS
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.rollout import PushTask, PushTrajectory
from diffcar.tasks.tracking.metrics import NAN, rms

__all__ = [
    "PushMetrics",
    "PushScore",
    "draw_task",
    "grid_bounds",
    "load_push_paths",
    "push_metrics",
    "spread_task",
]


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


def push_metrics(trajectory: PushTrajectory, *, skip_distance: float = 0.0) -> PushMetrics:
    """Return the metrics over all bodies of a push.

    Args:
        trajectory: The push.
        skip_distance: Errors count from where the running target has come this far [m]: at the
            start every body is on its path.

    Returns:
        The metrics; NaN where no target came past `skip_distance`.
    """
    counted = trajectory.target_distance >= skip_distance
    cross_track = trajectory.cross_track_error.detach()[counted].abs()
    is_empty = not len(cross_track)
    return PushMetrics(
        cross_track_rmse_m=rms(cross_track),
        cross_track_p95_m=NAN if is_empty else float(torch.quantile(cross_track, 0.95)),
        cross_track_max_m=NAN if is_empty else float(cross_track.max()),
        progress_rmse_m=rms(trajectory.progress_error.detach()[counted]),
        distance_m=float(trajectory.distance[-1].detach().mean()),
        target_distance_m=float(trajectory.target_distance[-1].mean()),
    )


_ROOM_SPACING = 0.05
_BUILTIN_SCALE = TrainPushConfig().path.scale


@dataclass(frozen=True)
class PushScore:
    """A controller on one path, judged without gradients."""

    path: str
    """Name."""
    is_unseen: bool
    """Whether training never saw it."""
    before: PushMetrics
    """With the weights that this session began with."""
    after: PushMetrics
    """With those that it ended with."""
    loss_before: float
    """What is minimised, of the same pushes as `before`."""
    loss_after: float
    """Of the same pushes as `after`."""


def load_push_paths(config: TrainPushConfig) -> list[ReferencePath]:
    """Load the training path and those that training never sees, at its scale."""
    sources = [config.path.source]
    sources += [name for name in config.evaluation.unseen_paths if name != config.path.source]
    paths = []
    for source in sources:
        closed = config.path.closed if source == sources[0] else None
        scale = config.path.scale
        # A user's file and the built-in paths need not be drawn at the same scale.
        if (source in PATHS) != (sources[0] in PATHS):
            scale = _BUILTIN_SCALE if source in PATHS else 1.0
        settings = {"source": source, "scale": scale, "closed": closed}
        path = load_path(config.path.model_copy(update=settings), seed=config.seed)
        for warning in path.warnings:
            logger.warning(f"{path.name}: {warning}")
        require_room(config, path)
        paths.append(path)
    return paths


def require_room(config: TrainPushConfig, path: ReferencePath) -> None:
    """Refuse a path with a part that a body would leave the grid on.

    Raises:
        PathError: If there is one.
    """
    begin = torch.arange(0.0, path.length, _ROOM_SPACING, dtype=path.dtype)
    zeros = torch.zeros_like(begin)
    task = PushTask(path, begin, zeros, zeros, zeros + 1)
    end = task.to_world(path.sample(begin + config.reach).position)
    aside = float(end[:, 1].abs().max()) + config.start.cross_track
    aside += config.reach * math.sin(min(config.start.heading, math.pi / 2))
    room = config.half_width - config.body_size / 2 - 3 / config.grid_density
    if aside > room:
        raise PathError(
            f"{path.name} turns so much that a push of {config.reach:.2f} m ends up to {aside:.3f} "
            f"m aside; the grid has room for {room:.3f} m",
            hint="raise half_width or --path-scale, or lower train.horizon",
        )


def grid_bounds(config: TrainPushConfig) -> dict[str, Any]:
    """Return the corners of a grid that just holds a push along +x [m]."""
    cell = 1 / config.grid_density
    half, margin = config.body_size / 2, 4 * cell
    top = max(config.body_size, config.tool_size) + 5 * cell
    return {
        "lower_bound": (-half - margin, -config.half_width, -margin),
        "upper_bound": (config.reach + half + margin, config.half_width, top),
    }


def draw_task(
    path: ReferencePath, config: TrainPushConfig, scene: GenesisSoftBody, *, seed: int
) -> PushTask:
    """Lay the path to each body at random: another part of it, shifted, turned, maybe mirrored.

    Args:
        path: The reference.
        config: Offsets, and how far a push goes.
        scene: Number of bodies, dtype and device.
        seed: Of the draw.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        draw = torch.rand(scene.num_envs, generator=generator, dtype=torch.float64)
        return (low + (high - low) * draw).to(dtype=scene.dtype, device=scene.device)

    start = config.start
    return PushTask(
        path,
        arc_length=uniform(0.0, _last_start(path, config)),
        cross_track=uniform(-start.cross_track, start.cross_track),
        heading=uniform(-start.heading, start.heading),
        side=torch.sign(uniform(-1.0, 1.0)),
    )


def spread_task(path: ReferencePath, config: TrainPushConfig, scene: GenesisSoftBody) -> PushTask:
    """Spread the bodies evenly over the path, each on it and in its direction.

    Args:
        path: The reference.
        config: How far a push goes.
        scene: Number of bodies, dtype and device.
    """
    zeros = scene.zeros(scene.num_envs)
    share = torch.arange(scene.num_envs, dtype=scene.dtype, device=scene.device) / scene.num_envs
    return PushTask(path, share * _last_start(path, config), zeros, zeros, zeros + 1)


def _last_start(path: ReferencePath, config: TrainPushConfig) -> float:
    """Return where on a path the last push can begin: on an open one, well before the end [m]."""
    return path.length if path.closed else max(path.length - config.reach, 0.0)
