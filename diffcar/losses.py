"""What training minimises: named terms over a trajectory, each a mean over steps and cars."""

import torch
from torch import Tensor

from diffcar.config import LossConfig, PushLossConfig, ReachLossConfig
from diffcar.path import ReferencePath
from diffcar.pushing import PushTrajectory
from diffcar.reaching import ReachTrajectory
from diffcar.rollout import Trajectory
from diffcar.sim.vehicle import Vehicle

__all__ = [
    "advance_reference",
    "normalised_action",
    "pseudo_huber",
    "push_loss_terms",
    "reach_loss_terms",
    "state_costs",
    "tracking_costs",
    "tracking_loss_terms",
]


def tracking_loss_terms(
    trajectory: Trajectory,
    weights: LossConfig,
    vehicle: Vehicle,
    *,
    timed_position: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the weighted terms of the path-tracking loss; their sum is the loss.

    Args:
        trajectory: The rollout.
        weights: Weight of each term; terms of weight zero are left out.
        vehicle: Scales of the action.
        timed_position: Where each car should be after each step [m], shape (T, B, 2), for the
            time-indexed term (see `advance_reference`).

    Returns:
        Scalars by the names of `LossConfig`, means over the cars of `tracking_costs`.

    Raises:
        ValueError: If the time-indexed term has a weight but no `timed_position`.
    """
    costs = tracking_costs(trajectory, weights, vehicle, timed_position=timed_position)
    return {name: cost.mean() for name, cost in costs.items()}


def tracking_costs(
    trajectory: Trajectory,
    weights: LossConfig,
    vehicle: Vehicle,
    *,
    timed_position: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return what each car contributes to the terms of the path-tracking loss, shape (B,) each.

    Arguments and errors are those of `tracking_loss_terms`.
    """
    action = normalised_action(trajectory.action, trajectory.speed_before, vehicle)
    costs = {
        name: cost.mean(0)
        for name, cost in state_costs(
            trajectory.cross_track_error,
            trajectory.heading_error,
            trajectory.speed_error,
            weights,
        ).items()
    }
    if weights.effort:
        costs["effort"] = weights.effort * action.square().sum(-1).mean(0)
    if weights.smoothness:
        # A single step has no change, and no cost.
        change = action[1:] - action[:-1]
        num_changes = max(len(change), 1)
        costs["smoothness"] = weights.smoothness * change.square().sum((0, 2)) / num_changes
    if weights.time_indexed:
        if timed_position is None:
            raise ValueError("the time-indexed term needs `timed_position`")
        gap = trajectory.position - timed_position
        costs["time_indexed"] = weights.time_indexed * gap.square().sum(-1).mean(0)
    return costs


def state_costs(
    cross_track_error: Tensor, heading_error: Tensor, speed_error: Tensor, weights: LossConfig
) -> dict[str, Tensor]:
    """Return what being off the path costs at single steps, by the names of `LossConfig`.

    Args:
        cross_track_error: Lateral offsets [m], any shape.
        heading_error: Heading errors [rad], the same shape.
        speed_error: Speed errors [m/s], the same shape.
        weights: Weight of each term; terms of weight zero are left out.
    """
    costs = {}
    if weights.cross_track:
        cost = pseudo_huber(cross_track_error, weights.cross_track_scale)
        costs["cross_track"] = weights.cross_track * cost
    if weights.heading:
        costs["heading"] = weights.heading * heading_error.square()
    if weights.speed:
        costs["speed"] = weights.speed * speed_error.square()
    return costs


def reach_loss_terms(trajectory: ReachTrajectory, weights: ReachLossConfig) -> dict[str, Tensor]:
    """Return the weighted terms of the reaching loss; their sum is the loss.

    Args:
        trajectory: The reach.
        weights: Weight of each term; terms of weight zero are left out.

    Returns:
        Scalars `distance`, `velocity` and `smoothness`, each a mean over steps and arms.
    """
    # Squared, so that no root stands in the way where the hand is at its target.
    gap = (trajectory.hand_position - trajectory.target).square().sum(-1)
    num_steps = gap.shape[0]
    lateness = torch.arange(1, num_steps + 1, dtype=gap.dtype, device=gap.device) / num_steps
    lateness = (lateness**weights.late_power)[:, None]
    lateness = lateness / lateness.mean()
    scale = weights.distance_scale
    cost = 2 * scale**2 * (torch.sqrt(1 + gap / scale**2) - 1)
    terms = {"distance": weights.distance * (lateness * cost).mean()}
    if weights.velocity:
        squared_speed = trajectory.joint_velocities.square().sum(-1)
        terms["velocity"] = weights.velocity * (lateness * squared_speed).mean()
    if weights.smoothness:
        change = trajectory.action[1:] - trajectory.action[:-1]
        num_changes = max(change[..., 0].numel(), 1)
        terms["smoothness"] = weights.smoothness * change.square().sum() / num_changes
    return terms


def push_loss_terms(trajectory: PushTrajectory, weights: PushLossConfig) -> dict[str, Tensor]:
    """Return the weighted terms of the loss of pushing a body along a path; their sum is the loss.

    Args:
        trajectory: The push.
        weights: Weight of each term; terms of weight zero are left out.

    Returns:
        Scalars `cross_track`, `progress` and `smoothness`, each a mean over steps and bodies.
    """
    terms = {}
    if weights.cross_track:
        cost = pseudo_huber(trajectory.cross_track_error, weights.cross_track_scale)
        terms["cross_track"] = weights.cross_track * cost.mean()
    if weights.progress:
        terms["progress"] = weights.progress * trajectory.progress_error.square().mean()
    if weights.smoothness:
        change = trajectory.action[1:] - trajectory.action[:-1]
        num_changes = max(change[..., 0].numel(), 1)
        terms["smoothness"] = weights.smoothness * change.square().sum() / num_changes
    return terms


def pseudo_huber(error: Tensor, scale: float) -> Tensor:
    """Return error² for small errors and 2 · scale · |error| for large ones, smoothly in between.

    Without it the recovery from a start beside the path outweighs the last millimetres by far.

    Args:
        error: Any shape and unit.
        scale: Where the change happens, in the error's unit.

    Returns:
        The cost, in the error's unit squared.

    Source:
        P. Charbonnier et al., "Deterministic edge-preserving regularization in computed imaging",
        IEEE Transactions on Image Processing 6(2), 1997.
    """
    return 2 * scale**2 * (torch.sqrt(1 + (error / scale).square()) - 1)


def normalised_action(action: Tensor, speed_before: Tensor, vehicle: Vehicle) -> Tensor:
    """Return actions as fractions of their limits: what the network put out.

    Args:
        action: Steering angle [rad] and speed [m/s] commanded, shape (..., 2).
        speed_before: Speed of the car when they were [m/s], shape (...).
        vehicle: The limits.

    Returns:
        Steering over its limit, and commanded minus actual speed over that of full torque, shape
        (..., 2).
    """
    steering = action[..., 0] / vehicle.max_steering
    excess = action[..., 1] - speed_before
    return torch.stack([steering, excess / vehicle.speed_increment], dim=-1)


def advance_reference(
    path: ReferencePath, arc_length: Tensor, num_steps: int, dt: float
) -> tuple[Tensor, Tensor]:
    """Let a point run along the path at the reference speed.

    Args:
        path: The reference.
        arc_length: Where it starts for each car [m], shape (B,).
        num_steps: Steps to take.
        dt: Their length [s].

    Returns:
        The positions after each step [m], shape (T, B, 2), and the last arc length [m], shape (B,).
    """
    positions = []
    with torch.no_grad():
        for _ in range(num_steps):
            middle = arc_length + dt / 2 * path.sample(arc_length).speed
            arc_length = arc_length + dt * path.sample(middle).speed
            positions.append(path.sample(arc_length).position)
    return torch.stack(positions), arc_length
