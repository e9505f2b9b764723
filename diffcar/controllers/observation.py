"""What the tracking network sees."""

import torch
from torch import Tensor

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState
from diffcar.sim.contract import CarState

__all__ = ["PathObserver"]


class PathObserver:
    """What the network sees: errors, the car's motion, and the road ahead, each of order one.

    The observation lists cross-track error, heading error, speed error, speed, yaw rate, lateral
    velocity and steering angle, then the curvature and the reference speed minus the car's speed
    at the preview distances, each divided by its characteristic size.

    Args:
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

    def __init__(self, config: ControllerConfig) -> None:
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
        ahead = errors.path.preview(errors.arc_length, self._preview_distances.to(state.speed))
        curvature = ahead.curvature[:, : self._num_curvatures] / self._CURVATURE_SCALE
        speed = (ahead.speed[:, self._num_curvatures :] - state.speed[:, None]) / self._SPEED_SCALE
        return torch.cat([motion, curvature, speed], dim=-1)
