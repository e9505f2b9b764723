"""Pushing: how paths are laid to bodies, what the controller sees and may command, the loss."""

import math
from dataclasses import replace

import pytest
import torch

from diffcar.losses import PushingLoss
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.controller import PushObservation, build_pushing_mlp
from diffcar.tasks.pushing.rollout import PushTask, PushTrajectory
from diffcar.tasks.pushing.task import push_metrics

DOUBLE = torch.float64


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def task_on_circle() -> PushTask:
    """Three bodies on a left turn of radius 1 m: plain, offset and turned, mirrored."""
    path = load_path(PathConfig(source="circle", scale=0.5, top_speed=0.3))
    return PushTask(
        path,
        arc_length=doubles(0.0, 1.0, 2.0),
        cross_track=doubles(0.0, 0.01, 0.0),
        heading=doubles(0.0, 0.1, 0.0),
        side=doubles(1.0, 1.0, -1.0),
    )


def observation() -> PushObservation:
    return PushObservation(
        cross_track_error=doubles(0.01, -0.02),
        progress_error=doubles(-0.03, 0.01),
        velocity=torch.tensor([[0.3, 0.05], [0.2, -0.1]], dtype=DOUBLE),
        tool_offset=torch.tensor([[-0.11, 0.02], [-0.1, -0.01]], dtype=DOUBLE),
        yaw=doubles(0.1, -0.2),
        path_headings=torch.tensor([[0.1] * 5, [-0.2] * 5], dtype=DOUBLE),
    )


def trajectory(cross_track: float, behind: float) -> PushTrajectory:
    target = torch.tensor([[0.1], [0.2]], dtype=DOUBLE)
    action = torch.tensor([[[0.0, 0.0]], [[0.3, 0.4]]], dtype=DOUBLE)
    return PushTrajectory(
        task=task_on_circle(),
        centroid=torch.zeros(2, 1, 2, dtype=DOUBLE),
        tool_position=torch.zeros(2, 1, 2, dtype=DOUBLE),
        cross_track_error=torch.full((2, 1), cross_track, dtype=DOUBLE),
        distance=target - behind,
        target_distance=target,
        action=action,
    )


def test_every_path_begins_at_its_body_along_x() -> None:
    """The offset is the body's, to the left; the mirror image of a left turn is a right turn."""
    task = task_on_circle()
    begin = task.to_world(task.path.sample(task.arc_length).position)
    origin = torch.zeros(3, 2, dtype=DOUBLE)
    expected = torch.tensor([[0, 0], [0.01 * math.sin(0.1), -0.01 * math.cos(0.1)], [0, 0]])
    assert torch.allclose(begin, expected.to(DOUBLE), atol=1e-9)
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
    task = task_on_circle()
    points = torch.tensor([[0.1, 0.03], [0.2, -0.02], [0.15, 0.05]], dtype=DOUBLE)
    assert torch.allclose(task.to_world(task.to_path_frame(points)), points)
    arc_length = task.path.project(task.to_path_frame(points), task.arc_length)
    nearest = task.to_world(task.path.sample(arc_length).position)
    heading = task.headings(arc_length[:, None])[:, 0]
    left = torch.stack([-torch.sin(heading), torch.cos(heading)], -1)
    error = task.cross_track_error(points, arc_length)
    assert torch.allclose(nearest + error[:, None] * left, points, atol=1e-6)


def test_an_untrained_tool_moves_ahead_and_corrections_are_bounded() -> None:
    """Straight at the path's speed but for the little that small weights do."""
    controller = build_pushing_mlp(TrainPushConfig(), dtype=DOUBLE)
    output, velocity = controller(observation(), doubles(0.3, 0.2))
    assert torch.allclose(velocity[:, 0], doubles(0.3, 0.2) + 0.3 * output[:, 0])
    assert output.abs().max() < 0.2
    with torch.no_grad():
        for parameter in controller.network.parameters():
            parameter.mul_(100.0)
    assert controller(observation(), doubles(0.3, 0.2))[0].abs().max() <= 1.0


def test_the_mirror_image_of_a_scene_gets_the_mirror_image_of_the_velocity() -> None:
    """Lateral quantities change their sign, forward ones do not; on the axis nothing is lateral."""
    controller = build_pushing_mlp(TrainPushConfig(), dtype=DOUBLE)
    seen, flip = observation(), doubles(1.0, -1.0)
    mirrored = replace(
        seen,
        cross_track_error=-seen.cross_track_error,
        velocity=seen.velocity * flip,
        tool_offset=seen.tool_offset * flip,
        yaw=-seen.yaw,
        path_headings=-seen.path_headings,
    )
    speed = doubles(0.3, 0.3)
    assert torch.allclose(controller(seen, speed)[1] * flip, controller(mirrored, speed)[1])


def test_loss_terms_are_those_worked_by_hand() -> None:
    """A cross-track error of three scales, 2 cm behind, one change of (0.3, 0.4)."""
    weights = PushingLoss(cross_track_scale=0.01)
    terms = weights.costs(trajectory(0.03, behind=0.02))
    expected = {
        "cross_track": weights.cross_track * 2e-4 * (math.sqrt(10) - 1),
        "progress": weights.progress * 4e-4,
        "smoothness": weights.smoothness * 0.25,
    }
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected)
    assert "progress" not in PushingLoss(progress=0.0).costs(trajectory(0, 0))


def test_metrics_count_from_the_skipped_distance_on() -> None:
    """The first of two steps is left out; nothing is left if all are."""
    record = replace(
        trajectory(0.0, behind=0.02),
        cross_track_error=torch.tensor([[1.0], [-0.03]], dtype=DOUBLE),
    )
    metrics = push_metrics(record, skip_distance=0.15)
    assert metrics.cross_track_rmse_m == pytest.approx(0.03)
    assert metrics.cross_track_max_m == pytest.approx(0.03)
    assert metrics.progress_rmse_m == pytest.approx(0.02)
    assert (metrics.distance_m, metrics.target_distance_m) == pytest.approx((0.18, 0.2))
    assert math.isnan(push_metrics(record, skip_distance=0.3).cross_track_max_m)
