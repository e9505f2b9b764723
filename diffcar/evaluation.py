"""From a trajectory to the figures that trackers are compared by."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.pushing import PushTrajectory
from diffcar.reaching import ReachTrajectory
from diffcar.rollout import Trajectory

__all__ = [
    "PushMetrics",
    "ReachMetrics",
    "TrackingMetrics",
    "push_metrics",
    "reach_metrics",
    "tracking_metrics",
]


@dataclass(frozen=True)
class TrackingMetrics:
    """How well the path was tracked; the names are keys of the JSON output."""

    cross_track_rmse_m: float
    """Root mean square of the cross-track error [m]."""
    cross_track_mean_m: float
    """Mean of its absolute value [m]."""
    cross_track_p95_m: float
    """95th percentile of its absolute value [m]."""
    cross_track_max_m: float
    """Largest absolute value [m]."""
    heading_rmse_rad: float
    """Root mean square of the heading error [rad]."""
    speed_rmse_mps: float
    """Root mean square of the speed error [m/s]."""
    steering_rate_rms_radps: float
    """Root mean square of the rate of the commanded steering angle [rad/s]."""
    completion: float
    """How much of the way was driven, 0 to 1, mean over the cars."""


def tracking_metrics(
    trajectory: Trajectory, *, goal_distance: float | Tensor, skip_distance: float = 0.0
) -> TrackingMetrics:
    """Return the metrics over all cars of a trajectory.

    Args:
        trajectory: The drive.
        goal_distance: How far the cars should come along the path [m], a number or shape (B,);
            what lies beyond is not counted.
        skip_distance: How far each car drives before its errors count [m].

    Returns:
        The metrics; NaN where no car came past `skip_distance`.
    """
    distance = trajectory.distance.detach()
    counted = (distance >= skip_distance) & (distance <= goal_distance)
    reached = distance.amax(0).clamp_min(0.0)
    goal = torch.as_tensor(goal_distance, dtype=reached.dtype, device=reached.device)
    cross_track = trajectory.cross_track_error.detach()[counted].abs()
    steering_rate = torch.diff(trajectory.action.detach()[..., 0], dim=0) / trajectory.dt
    return TrackingMetrics(
        cross_track_rmse_m=_rms(cross_track),
        cross_track_mean_m=float(cross_track.mean()),
        cross_track_p95_m=float(torch.quantile(cross_track, 0.95)) if len(cross_track) else _NAN,
        cross_track_max_m=float(cross_track.max()) if len(cross_track) else _NAN,
        heading_rmse_rad=_rms(trajectory.heading_error.detach()[counted]),
        speed_rmse_mps=_rms(trajectory.speed_error.detach()[counted]),
        steering_rate_rms_radps=_rms(steering_rate[counted[1:]]),
        completion=float((reached / goal).clamp_max(1.0).mean()),
    )


_NAN = float("nan")


def _rms(values: Tensor) -> float:
    """Return the root mean square, NaN of nothing."""
    return float(values.square().mean().sqrt())


@dataclass(frozen=True)
class ReachMetrics:
    """How near the hands were to targets never trained on, at the end of a reach."""

    num_targets: int
    """Targets."""
    mean_m: float
    """Mean distance [m]."""
    p95_m: float
    """What 95 of 100 distances are below [m]."""
    max_m: float
    """The largest [m]."""


def reach_metrics(trajectory: ReachTrajectory) -> ReachMetrics:
    """Return how far the hands are from their targets after the last step.

    Args:
        trajectory: The reach.

    Returns:
        The metrics.
    """
    distance = trajectory.distance[-1].double()
    return ReachMetrics(
        num_targets=len(distance),
        mean_m=float(distance.mean()),
        p95_m=float(distance.quantile(0.95)),
        max_m=float(distance.max()),
    )


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
        cross_track_rmse_m=_rms(cross_track),
        cross_track_p95_m=_NAN if is_empty else float(torch.quantile(cross_track, 0.95)),
        cross_track_max_m=_NAN if is_empty else float(cross_track.max()),
        progress_rmse_m=_rms(trajectory.progress_error.detach()[counted]),
        distance_m=float(trajectory.distance[-1].detach().mean()),
        target_distance_m=float(trajectory.target_distance[-1].mean()),
    )
