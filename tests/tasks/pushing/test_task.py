"""Figures of a push, and how often there is one."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.rollout import PushStart, PushTrajectory
from diffcar.tasks.pushing.task import PushingTask, push_metrics
from tests.samples import push_of


def test_metrics_count_from_the_skipped_distance_on() -> None:
    """The first of two steps is left out; nothing is left if all are."""
    record = replace(
        push_of(0.0, behind=0.02),
        cross_track_error=torch.tensor([[1.0], [-0.03]], dtype=torch.float64),
    )
    metrics = push_metrics(record, skip_distance=0.15)
    assert metrics.cross_track_rmse_m == pytest.approx(0.03)
    assert metrics.cross_track_max_m == pytest.approx(0.03)
    assert metrics.progress_rmse_m == pytest.approx(0.02)
    assert (metrics.distance_m, metrics.target_distance_m) == pytest.approx((0.18, 0.2))
    assert math.isnan(push_metrics(record, skip_distance=0.3).cross_track_max_m)


def test_the_same_weights_push_along_a_path_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, in evaluations and after: new weights push anew, and so does another path."""
    task = PushingTask(TrainPushConfig())
    task.scene = SimpleNamespace(zeros=torch.zeros)
    task.network = torch.nn.Linear(1, 1)
    pushed: list[str] = []

    def roll_out(start: PushStart, num_steps: int) -> PushTrajectory:
        pushed.append(start.path.name)
        return push_of(0.01 * len(pushed), behind=0.0)

    monkeypatch.setattr(task, "roll_out", roll_out)
    task.prepare()
    assert pushed == [path.name for path in task.paths]
    before = task.evaluate()
    assert len(pushed) == 3
    with torch.no_grad():
        task.network.bias += 1e-6
    assert task.evaluate().cross_track_rmse_m != before.cross_track_rmse_m
    assert pushed[3:] == [task.paths[0].name]
    assert task.evaluate().cross_track_rmse_m == pytest.approx(0.04)
    assert len(pushed) == 4
