"""Where training rollouts begin: all over the path, beside it, some of them at rest."""

import torch
from torch import Tensor

from diffcar.controllers.errors import starts_on_path
from diffcar.path.reference import ReferencePath, Road
from diffcar.sim.contract import Placement
from diffcar.tasks.tracking.config import StartConfig

__all__ = ["draw_starts"]


def draw_starts(
    path: ReferencePath,
    num_cars: int,
    *,
    seed: int | torch.Generator,
    config: StartConfig | None = None,
    reach: float = 0.0,
    road: Road | None = None,
) -> Placement:
    """Place cars all over a path, as far from it as `config` says; the seed may be a generator.

    Args:
        reach: Distance that a car may drive before its rollout ends [m]; on an open path nobody
            starts so late that the end would come before.
        road: The same path at paces of their own for the cars; None lets all drive at its speed.
    """
    config = config or StartConfig()
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        draw = torch.rand(num_cars, generator=generator, dtype=torch.float64)
        return (low + (high - low) * draw).to(dtype=path.dtype, device=path.device)

    def offset(half_width: float) -> Tensor:
        # Cubed, so that most cars start near the path, where the last millimetres are learnt.
        return half_width * uniform(-1.0, 1.0) ** 3

    last = path.length if path.closed else max(path.length - reach, 0.1 * path.length)
    arc_length = uniform(0.0, last)
    road = path if road is None else road
    speed = road.sample(arc_length).speed + offset(config.speed)
    is_standing = uniform(0.0, 1.0) < config.standing_fraction
    return starts_on_path(
        road,
        arc_length,
        cross_track=offset(config.cross_track),
        heading=offset(config.heading),
        speed=torch.where(is_standing, torch.zeros_like(speed), speed.clamp_min(0.0)),
    )
