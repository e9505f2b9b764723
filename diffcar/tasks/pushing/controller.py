"""The MLP as a controller that pushes a body along a path with a tool."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.controllers.mlp import MLPController
from diffcar.tasks.pushing.config import TrainPushConfig

__all__ = ["PushObservation", "PushingMLP", "build_pushing_mlp"]

# What brings the entries to order one.
_CROSS_TRACK_SCALE = 0.02
_PROGRESS_SCALE = 0.02
_VELOCITY_SCALE = 0.3
_OFFSET_SCALE = 0.05
_YAW_SCALE = 0.3
_HEADING_SCALE = 0.3


@dataclass(frozen=True)
class PushObservation:
    """What there is to see, in units; x is the direction that the tool faces."""

    cross_track_error: Tensor
    """Of the centroid, + left of the path [m], shape (B,)."""
    progress_error: Tensor
    """How far the centroid is ahead of the running target [m], shape (B,)."""
    velocity: Tensor
    """Of the centroid, x and y [m/s], shape (B, 2)."""
    tool_offset: Tensor
    """Where the tool's centre is relative to the centroid, x and y [m], shape (B, 2)."""
    yaw: Tensor
    """How far the body has turned [rad], shape (B,)."""
    path_headings: Tensor
    """Direction of the path at the distances of `heading_preview` [rad], shape (B, K)."""


class PushingMLP:
    """Turns the network's bounded outputs into a velocity of the tool.

    The velocity is straight ahead at the reference speed, plus at most `max_correction` in x and y:
    an untrained network, which outputs nearly nothing, pushes straight ahead, so there is contact
    to learn from. The task is symmetric, so the controller is: the network sees every observation
    and its mirror image; the lateral velocity is half the difference, the forward one half the sum.

    Args:
        network: The perceptron.
        heading_preview: Distances ahead at which the path's heading is observed [m].
        max_correction: Bound on each component of the correction [m/s].
        contact_distance: From the tool's centre to the body's where they touch at rest [m].
    """

    def __init__(
        self,
        network: MLPController,
        *,
        heading_preview: Sequence[float],
        max_correction: float,
        contact_distance: float,
    ) -> None:
        self.network = network
        self.heading_preview = heading_preview
        self.max_correction = max_correction
        self.contact_distance = contact_distance
        # Of the entries of `observe`, those that a mirror leaves alone.
        parity = torch.full((_NUM_SCALARS + len(heading_preview),), -1.0)
        parity[_EVEN] = 1.0
        self._parity = parity

    def __call__(self, seen: PushObservation, reference_speed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's output and the tool's velocity that it means.

        Args:
            seen: What there is to see.
            reference_speed: Of the running target [m/s], shape (B,).

        Returns:
            The output in [-1, 1] and the velocity in x and y [m/s], shape (B, 2) each.
        """
        observation = self.observe(seen)
        mirrored = observation * self._parity.to(observation)
        first, second = self.network(torch.cat([observation, mirrored])).chunk(2)
        output = torch.stack(
            [(first[:, 0] + second[:, 0]) / 2, (first[:, 1] - second[:, 1]) / 2], dim=-1
        )
        ahead = torch.stack([reference_speed, torch.zeros_like(reference_speed)], dim=-1)
        return output, ahead + self.max_correction * output

    def observe(self, seen: PushObservation) -> Tensor:
        """Return what the network sees, entries of order one, shape (B, 7 + K)."""
        tool_x, tool_y = seen.tool_offset.unbind(-1)
        speed_x, speed_y = seen.velocity.unbind(-1)
        scalars = [
            seen.progress_error / _PROGRESS_SCALE,
            speed_x / _VELOCITY_SCALE,
            (tool_x + self.contact_distance) / _OFFSET_SCALE,
            seen.cross_track_error / _CROSS_TRACK_SCALE,
            speed_y / _VELOCITY_SCALE,
            tool_y / _OFFSET_SCALE,
            seen.yaw / _YAW_SCALE,
        ]
        return torch.cat([torch.stack(scalars, -1), seen.path_headings / _HEADING_SCALE], dim=-1)


_NUM_SCALARS = 7
_EVEN = slice(0, 3)


def build_pushing_mlp(
    config: TrainPushConfig, *, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> PushingMLP:
    """Make an untrained controller.

    Args:
        config: Network, preview, limits and sizes.
        dtype: Precision of the weights.
        device: Where they lie.
    """
    settings = config.controller
    network = MLPController(
        _NUM_SCALARS + len(settings.heading_preview),
        2,
        settings.hidden_sizes,
        generator=torch.Generator().manual_seed(config.seed),
    )
    return PushingMLP(
        network.to(dtype=dtype, device=device),
        heading_preview=settings.heading_preview,
        max_correction=settings.max_correction,
        contact_distance=(config.body_size + config.tool_size) / 2,
    )
