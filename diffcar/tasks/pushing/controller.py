"""The MLP as a controller that pushes a body along a path with a tool."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.controllers.mlp import MLPController
from diffcar.tasks.pushing.config import TrainPushConfig

__all__ = ["PushObservation", "PushingMLP"]

# What brings the entries to order one: first those that a mirror leaves alone, then the others.
_EVEN_SCALES = (0.02, 0.3, 0.05)
_ODD_SCALES = (0.02, 0.3, 0.05, 0.3)
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
    """Turns the bounded outputs of a network, untrained at first, into a velocity of the tool.

    The velocity is straight ahead at the reference speed, plus at most `max_correction` in x and y:
    an untrained network, which outputs nearly nothing, pushes straight ahead, so there is contact
    to learn from. The task is symmetric, so the controller is: the network sees every observation
    and its mirror image; the lateral velocity is half the difference, the forward one half the sum.
    """

    def __init__(
        self, config: TrainPushConfig, *, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        settings = config.controller
        self.heading_preview = settings.heading_preview
        self.max_correction = settings.max_correction
        # From the tool's centre to the body's where they touch at rest [m].
        self._contact_distance = (config.body_size + config.tool_size) / 2
        num_odd = len(_ODD_SCALES) + len(self.heading_preview)
        self._parity = torch.tensor([1.0] * len(_EVEN_SCALES) + [-1.0] * num_odd)
        generator = torch.Generator().manual_seed(config.seed)
        self.network = MLPController(
            len(self._parity), 2, settings.hidden_sizes, generator=generator
        ).to(dtype=dtype, device=device)

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
        even = (seen.progress_error, speed_x, tool_x + self._contact_distance)
        odd = (seen.cross_track_error, speed_y, tool_y, seen.yaw)
        scales = (*_EVEN_SCALES, *_ODD_SCALES)
        entries = [entry / scale for entry, scale in zip((*even, *odd), scales, strict=True)]
        return torch.cat([torch.stack(entries, -1), seen.path_headings / _HEADING_SCALE], dim=-1)
