"""Starts of training: beside the path, not too late on an open one, the seed's own."""

import torch

from diffcar.controllers.errors import compute_error_state
from diffcar.path.reference import ReferencePath
from diffcar.tasks.tracking.config import StartConfig
from diffcar.tasks.tracking.starts import draw_starts
from tests.bicycle import Bicycle
from tests.samples import road, seeded


def test_starts_are_within_their_offsets(figure_eight: ReferencePath) -> None:
    """Lateral offset, heading and speed, measured as the controller will see them."""
    config = StartConfig(standing_fraction=0)
    start = draw_starts(figure_eight, 200, seed=5, config=config)
    cars = Bicycle(200)
    cars.reset(start)
    errors = compute_error_state(figure_eight, cars.read(), start.arc_length)
    for name, limit in (("cross_track", 0.15), ("heading", 0.25), ("speed", 0.5)):
        error = getattr(errors, f"{name}_error").abs()
        assert 0.5 * limit < float(error.max()) <= limit + 1e-6, name
        # Most start near the path.
        assert float(error.median()) < 0.3 * limit, name


def test_the_share_that_stands_is_at_rest(figure_eight: ReferencePath) -> None:
    """All of them, none, or about as many as asked for."""
    standing = [
        float(
            draw_starts(figure_eight, 400, seed=1, config=StartConfig(standing_fraction=share))
            .speed.eq(0)
            .double()
            .mean()
        )
        for share in (0.0, 0.3, 1.0)
    ]
    assert standing[0] == 0.0
    assert 0.2 < standing[1] < 0.4
    assert standing[2] == 1.0


def test_the_seed_decides(figure_eight: ReferencePath) -> None:
    """A number, or a generator that goes on."""
    first, again, other = (draw_starts(figure_eight, 4, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.position, again.position)
    assert not torch.equal(first.position, other.position)
    generator = seeded(5)
    drawn = [draw_starts(figure_eight, 4, seed=generator) for _ in range(2)]
    assert torch.equal(drawn[0].position, first.position)
    assert not torch.equal(drawn[1].position, first.position)


def test_nobody_starts_where_an_open_path_ends_too_soon() -> None:
    """What a car can drive until its rollout ends is left of the way; a loop has no end."""
    lane, circle = road("obstacle-avoidance"), road("circle")
    last = float(draw_starts(lane, 500, seed=0, reach=5.0).arc_length.max())
    assert 0.9 * (lane.length - 5.0) < last <= lane.length - 5.0
    late = float(draw_starts(circle, 500, seed=0, reach=5.0).arc_length.max())
    assert late > circle.length - 1.0
    assert draw_starts(lane.to(torch.float32), 3, seed=0).position.dtype == torch.float32
