"""Where a car is relative to its path, and starts beside it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.geometry import wrap_angle
from diffcar.path.reference import Road
from diffcar.sim.contract import CarState, Placement, map_tensors

__all__ = ["ErrorState", "compute_error_state", "starts_on_path"]


@dataclass(frozen=True)
class ErrorState:
    """The car in the frame of the path; every tensor has shape (B,)."""

    arc_length: Tensor
    """Of the nearest path point [m]; counts on over laps of a closed path."""
    cross_track_error: Tensor
    """Signed lateral offset [m], + left of the path."""
    heading_error: Tensor
    """Car yaw - path heading [rad], wrapped into [-pi, pi)."""
    speed_error: Tensor
    """Car speed - reference speed [m/s]."""
    curvature: Tensor
    """Of the path there [1/m], + turns left."""
    reference_speed: Tensor
    """Of the path there [m/s]."""
    path: Road
    """What they were computed from, for controllers that look ahead on it."""

    def select(self, cars: Tensor | slice) -> "ErrorState":
        """Return those of some of the cars, by a mask, indices or a slice."""
        own = map_tensors(self, lambda tensor: tensor[cars])
        return replace(own, path=self.path.select(cars))

    def require_finite(self) -> None:
        """Refuse to go on with a car that has left the numbers.

        Raises:
            SimulationError: If the state of a car is no longer finite.
        """
        if not bool(torch.isfinite(self.cross_track_error).all()):
            raise SimulationError(
                "the state of a car is no longer finite",
                hint="use more substeps, a smaller dt, less noise if there is any, or "
                "--precision 64",
            )


def compute_error_state(
    path: Road, state: CarState, arc_length_hint: Tensor | None = None
) -> ErrorState:
    """Compare a car with its path.

    Differentiable wherever the projection onto the path is (see `Road.nearest`).

    Args:
        arc_length_hint: Arc length of the step before [m], shape (B,); None searches the path.
    """
    nearest = path.nearest(state.position, arc_length_hint)
    return ErrorState(
        arc_length=nearest.arc_length,
        cross_track_error=nearest.cross_track,
        heading_error=wrap_angle(state.yaw - nearest.heading),
        speed_error=state.speed - nearest.speed,
        curvature=nearest.curvature,
        reference_speed=nearest.speed,
        path=path,
    )


def starts_on_path(
    path: Road,
    arc_length: Tensor,
    *,
    cross_track: Tensor | float = 0.0,
    heading: Tensor | float = 0.0,
    speed: Tensor | None = None,
) -> Placement:
    """Place cars beside the path, turning with it.

    Args:
        arc_length: Where along it [m], shape (B,).
        cross_track: Offset to the left [m], a number or shape (B,).
        heading: Offset of the heading [rad], a number or shape (B,).
        speed: Forward speeds [m/s], shape (B,); None takes the reference speed.
    """
    point = path.sample(arc_length)
    left = torch.stack([-torch.sin(point.heading), torch.cos(point.heading)], dim=-1)
    offset = torch.as_tensor(cross_track, dtype=arc_length.dtype, device=arc_length.device)
    speed = point.speed if speed is None else speed
    return Placement(
        position=point.position + offset.expand_as(arc_length)[:, None] * left,
        yaw=point.heading + heading,
        speed=speed,
        yaw_rate=speed * point.curvature,
        arc_length=arc_length,
    )
