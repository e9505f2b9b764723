"""Figures of a push."""

import math
from dataclasses import replace

import pytest
import torch

from diffcar.tasks.pushing.task import push_metrics
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
