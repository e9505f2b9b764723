"""The figures of a comparison as frames."""

import math
from dataclasses import replace

import pytest

from diffcar.comparison.results import Comparison
from tests.comparison.synthetic import make_comparison


def test_nominal_and_genesis_come_first_whatever_was_driven_first() -> None:
    """The order of the scores does not decide who is the reference."""
    comparison = make_comparison()
    comparison = replace(comparison, scores=comparison.scores[::-1])
    assert comparison.conditions[0] == "nominal"
    assert comparison.engines == ["genesis", "mujoco"]


def test_the_own_threshold_is_among_those_told() -> None:
    """It is neither left out nor told twice."""
    comparison = Comparison(threshold_m=0.015)
    assert comparison.thresholds_m == [0.02, 0.015, 0.01, 0.005, 0.002, 0.001]
    assert len(replace(comparison, threshold_m=0.02).thresholds_m) == 5


def test_a_mean_is_over_the_paths_of_each_seed_and_its_spread_over_the_seeds() -> None:
    """By hand for one method, engine and condition."""
    comparison = make_comparison()
    of_seeds = []
    for seed in (0, 1, 2):
        scores = comparison.scores.query(
            f"method == 'ppo' and engine == 'mujoco' and condition == 'delay' and seed == {seed}"
        )
        of_seeds.append(sum(scores.cross_track_rmse_m) / len(scores))
    mean = sum(of_seeds) / 3
    spread = math.sqrt(sum((value - mean) ** 2 for value in of_seeds) / 2)
    summary = comparison.summaries["ppo"]
    assert summary.rmse_m["mujoco", "delay"] == pytest.approx(mean)
    assert summary.rmse_deviation_m["mujoco", "delay"] == pytest.approx(spread)
    assert comparison.rmse("condition", engine="mujoco").ppo["delay"] == pytest.approx(mean)


def test_one_seed_has_no_spread() -> None:
    """It is not zero."""
    summary = make_comparison(methods=("e2e",), seeds=(4,)).summaries["e2e"]
    assert math.isnan(summary.rmse_deviation_m["genesis", "nominal"])
