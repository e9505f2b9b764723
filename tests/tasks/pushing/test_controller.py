"""What the pushing controller sees and may command."""

from dataclasses import replace

import torch

from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.controller import PushingMLP, PushObservation
from tests.samples import doubles


def observation() -> PushObservation:
    return PushObservation(
        cross_track_error=doubles(0.01, -0.02),
        progress_error=doubles(-0.03, 0.01),
        velocity=torch.tensor([[0.3, 0.05], [0.2, -0.1]], dtype=torch.float64),
        tool_offset=torch.tensor([[-0.11, 0.02], [-0.1, -0.01]], dtype=torch.float64),
        yaw=doubles(0.1, -0.2),
        path_headings=torch.tensor([[0.1] * 5, [-0.2] * 5], dtype=torch.float64),
    )


def test_an_untrained_tool_moves_ahead_and_corrections_are_bounded() -> None:
    """Straight at the path's speed but for the little that small weights do."""
    controller = PushingMLP(TrainPushConfig(), dtype=torch.float64)
    output, velocity = controller(observation(), doubles(0.3, 0.2))
    assert torch.allclose(velocity[:, 0], doubles(0.3, 0.2) + 0.3 * output[:, 0])
    assert output.abs().max() < 0.2
    with torch.no_grad():
        for parameter in controller.network.parameters():
            parameter.mul_(100.0)
    assert controller(observation(), doubles(0.3, 0.2))[0].abs().max() <= 1.0


def test_the_mirror_image_of_a_scene_gets_the_mirror_image_of_the_velocity() -> None:
    """Lateral quantities change their sign, forward ones do not; on the axis nothing is lateral."""
    controller = PushingMLP(TrainPushConfig(), dtype=torch.float64)
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
