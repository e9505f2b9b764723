"""Figures of a reach."""

from diffcar.tasks.reaching.task import reach_metrics
from tests.samples import reach_of


def test_reach_metrics_are_those_of_the_last_step() -> None:
    """What came before does not count."""
    metrics = reach_metrics(reach_of(9.0, 0.25))
    assert (metrics.num_targets, metrics.mean_m, metrics.p95_m, metrics.max_m) == (
        1,
        0.25,
        0.25,
        0.25,
    )
