"""Where a car is relative to its path: the error state and what a network observes of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.config import ControllerConfig
from diffcar.geometry import wrap_angle
from diffcar.path import ReferencePath
from diffcar.sim.contract import CarState, StartState

__all__ = ["ErrorState", "PathObserver", "compute_error_state", "starts_on_path"]


@dataclass(frozen=True)
class ErrorState:
    """The car in the frame of the path; every field has shape (B,)."""

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


def compute_error_state(
    path: ReferencePath, state: CarState, arc_length_hint: Tensor | None = None
) -> ErrorState:
    """Compare a car with its path.

    Differentiable wherever the projection onto the path is (see `ReferencePath.project`).

    Args:
        path: The reference.
        state: The car.
        arc_length_hint: Arc length of the step before [m], shape (B,); None searches the path.

    Returns:
        The error state.
    """
    arc_length = path.project(state.position, arc_length_hint)
    point = path.sample(arc_length)
    offset = state.position - point.position
    cross_track = torch.cos(point.heading) * offset[:, 1] - torch.sin(point.heading) * offset[:, 0]
    return ErrorState(
        arc_length=arc_length,
        cross_track_error=cross_track,
        heading_error=wrap_angle(state.yaw - point.heading),
        speed_error=state.speed - point.speed,
        curvature=point.curvature,
        reference_speed=point.speed,
    )


def starts_on_path(
    path: ReferencePath,
    arc_length: Tensor,
    *,
    cross_track: Tensor | float = 0.0,
    heading: Tensor | float = 0.0,
    speed: Tensor | None = None,
) -> StartState:
    """Return start states beside the path, turning with it.

    Args:
        path: The reference.
        arc_length: Where along it [m], shape (B,).
        cross_track: Offset to the left [m], a number or shape (B,).
        heading: Offset of the heading [rad], a number or shape (B,).
        speed: Forward speeds [m/s], shape (B,); None takes the reference speed.

    Returns:
        The start states.
    """
    point = path.sample(arc_length)
    left = torch.stack([-torch.sin(point.heading), torch.cos(point.heading)], dim=-1)
    offset = torch.as_tensor(cross_track, dtype=arc_length.dtype, device=arc_length.device)
    speed = point.speed if speed is None else speed
    return StartState(
        position=point.position + offset.expand_as(arc_length)[:, None] * left,
        yaw=point.heading + heading,
        speed=speed,
        yaw_rate=speed * point.curvature,
    )


class PathObserver:
    """What the network sees: errors, the car's motion, and the road ahead, each of order one.

    The observation lists cross-track error, heading error, speed error, speed, yaw rate, lateral
    velocity and steering angle, then the curvature and the reference speed minus the car's speed
    at the preview distances, each divided by its characteristic size.

    Args:
        path: The reference.
        config: The preview distances.
    """

    _STATE_SCALES = (0.1, 0.2, 1.0, 2.0, 2.0, 0.2, 0.3)
    _MIRROR_SIGNS = (-1.0, -1.0, 1.0, 1.0, -1.0, -1.0, -1.0)
    _CURVATURE_SCALE = 0.8
    _SPEED_SCALE = 1.0
    _STATE_NAMES = (
        "cross_track",
        "heading_error",
        "speed_error",
        "speed",
        "yaw_rate",
        "lateral_velocity",
        "steering_angle",
    )

    def __init__(self, path: ReferencePath, config: ControllerConfig) -> None:
        self.path = path
        self._num_curvatures = len(config.curvature_preview)
        self._preview_distances = torch.tensor(
            [*config.curvature_preview, *config.speed_preview], dtype=torch.float64
        )

    @staticmethod
    def size(config: ControllerConfig) -> int:
        """Return the number of entries of an observation."""
        num_state = len(PathObserver._STATE_SCALES)
        return num_state + len(config.curvature_preview) + len(config.speed_preview)

    @staticmethod
    def names(config: ControllerConfig) -> tuple[str, ...]:
        """Return what the entries of an observation are called, previews with their distance."""
        return (
            *PathObserver._STATE_NAMES,
            *(f"curvature_{distance:.10g}m" for distance in config.curvature_preview),
            *(f"speed_{distance:.10g}m" for distance in config.speed_preview),
        )

    def mirror(self, observation: Tensor) -> Tensor:
        """Return what the car would observe if left and right were exchanged.

        Args:
            observation: Observations, shape (B, size).
        """
        num_speeds = observation.shape[-1] - len(self._MIRROR_SIGNS) - self._num_curvatures
        signs = [*self._MIRROR_SIGNS, *[-1.0] * self._num_curvatures, *[1.0] * num_speeds]
        return observation * torch.tensor(signs).to(observation)

    def observe(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return the observation, shape (B, size).

        Args:
            state: The car.
            errors: The car relative to the path.
        """
        scales = torch.tensor(self._STATE_SCALES, dtype=torch.float64).to(state.speed)
        motion = (
            torch.stack(
                [
                    errors.cross_track_error,
                    errors.heading_error,
                    errors.speed_error,
                    state.speed,
                    state.yaw_rate,
                    state.lateral_velocity,
                    state.steering_angles.mean(-1),
                ],
                dim=-1,
            )
            / scales
        )
        ahead = self.path.preview(errors.arc_length, self._preview_distances.to(state.speed))
        curvature = ahead.curvature[:, : self._num_curvatures] / self._CURVATURE_SCALE
        speed = (ahead.speed[:, self._num_curvatures :] - state.speed[:, None]) / self._SPEED_SCALE
        return torch.cat([motion, curvature, speed], dim=-1)
