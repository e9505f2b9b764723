"""How paths are laid to bodies."""

import math

import torch

from tests.samples import doubles, start_on_circle


def test_every_path_begins_at_its_body_along_x() -> None:
    """The offset is the body's, to the left; the mirror image of a left turn is a right turn."""
    task = start_on_circle()
    begin = task.to_world(task.path.sample(task.arc_length).position)
    origin = torch.zeros(3, 2, dtype=torch.float64)
    expected = torch.tensor([[0, 0], [0.01 * math.sin(0.1), -0.01 * math.cos(0.1)], [0, 0]])
    assert torch.allclose(begin, expected.to(torch.float64), atol=1e-9)
    assert torch.allclose(task.cross_track_error(origin, task.arc_length), task.cross_track)
    # A fifth of a radian further along a circle of one metre.
    ahead = task.arc_length[:, None] + 0.2
    assert torch.allclose(task.headings(ahead)[:, 0], doubles(0.2, 0.3, -0.2), atol=1e-6)
    assert torch.allclose(
        task.to_world(task.path.sample(task.arc_length + 0.2).position)[2],
        doubles(math.sin(0.2), math.cos(0.2) - 1),
        atol=1e-6,
    )


def test_the_path_frame_undoes_the_world_frame() -> None:
    """Points come back, and lateral offsets keep their sign in the world."""
    task = start_on_circle()
    points = torch.tensor([[0.1, 0.03], [0.2, -0.02], [0.15, 0.05]], dtype=torch.float64)
    assert torch.allclose(task.to_world(task.to_path_frame(points)), points)
    arc_length = task.path.project(task.to_path_frame(points), task.arc_length)
    nearest = task.to_world(task.path.sample(arc_length).position)
    heading = task.headings(arc_length[:, None])[:, 0]
    left = torch.stack([-torch.sin(heading), torch.cos(heading)], -1)
    error = task.cross_track_error(points, arc_length)
    assert torch.allclose(nearest + error[:, None] * left, points, atol=1e-6)
