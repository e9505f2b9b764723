"""Where training rollouts begin: all over the path, beside it, some of them at rest."""

import torch
from torch import Tensor

from diffcar.controllers.errors import starts_on_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import StartState
from diffcar.tasks.tracking.config import StartConfig

__all__ = ["draw_starts"]


def draw_starts(
    path: ReferencePath,
    offsets: StartConfig,
    *,
    num_cars: int,
    reach: float,
    generator: torch.Generator,
) -> tuple[Tensor, StartState]:
    """Draw start states all over the path.

    Args:
        path: The reference.
        offsets: How far from it the cars begin, at the most, and how many at rest.
        num_cars: Number of cars.
        reach: Distance that a car may drive before its rollout ends [m]; on an open path nobody
            starts so late that the end would come before.
        generator: Source of the draw.

    Returns:
        The arc lengths [m], shape (B,), and the start states.
    """

    def uniform(low: float, high: float) -> Tensor:
        draw = torch.rand(num_cars, generator=generator, dtype=torch.float64)
        return (low + (high - low) * draw).to(dtype=path.dtype, device=path.device)

    def offset(half_width: float) -> Tensor:
        # Cubed, so that most cars start near the path, where the last millimetres are learnt.
        return half_width * uniform(-1.0, 1.0) ** 3

    last = path.length if path.closed else max(path.length - reach, 0.1 * path.length)
    arc_length = uniform(0.0, last)
    speed = path.sample(arc_length).speed + offset(offsets.speed)
    is_standing = uniform(0.0, 1.0) < offsets.standing_fraction
    return arc_length, starts_on_path(
        path,
        arc_length,
        cross_track=offset(offsets.cross_track),
        heading=offset(offsets.heading),
        speed=torch.where(is_standing, torch.zeros_like(speed), speed.clamp_min(0.0)),
    )
