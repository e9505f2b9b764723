"""A comparison: what follows from it, and what is left of it where something was not measured."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from diffcar.compare.comparison_files import comparison_as_json, write_csv, write_curves_csv
from diffcar.compare.findings import tell
from diffcar.compare.results import Comparison, Contestant, CurvePoint, Score
from diffcar.compare.verdicts import cost_ratio, judge, judged_key, ranking, thresholds_of
from diffcar.tasks.tracking.metrics import SuiteFigures
from tests.synthetic_comparison import make_comparison


def of_errors(errors_mm: dict[str, float], engine: str = "genesis") -> Comparison:
    comparison = Comparison(threshold_m=0.02)
    for method, error in errors_mm.items():
        comparison.contestants.append(Contestant(method, 0, "", 10.0, 1000))
        figures = SuiteFigures(1e-3 * error, 1e-3 * error, 0.0, 0.0)
        comparison.scores.append(Score(method, 0, engine, "nominal", "sine", figures))
    return comparison


def add_curve(comparison: Comparison, method: str, seed: int, points: list[tuple]) -> None:
    for index, (seconds, steps, rmse_mm) in enumerate(points):
        comparison.curves.append(
            CurvePoint(method, seed, index, seconds, steps, 1e-3 * rmse_mm, 0.0)
        )


def test_the_gap_that_dagger_closes_is_a_share_of_that_between_clone_and_expert() -> None:
    """Half way from the clone to the expert is one half, worse than the clone is negative."""
    assert judge(
        of_errors({"e2e": 1.0, "bc-e2e": 5.0, "dagger-e2e": 3.0})
    ).dagger_share_of_gap == pytest.approx(0.5)
    assert judge(
        of_errors({"e2e": 1.0, "bc-e2e": 5.0, "dagger-e2e": 6.0})
    ).dagger_share_of_gap == pytest.approx(-0.25)
    no_gap = of_errors({"e2e": 2.0, "bc-e2e": 2.0, "dagger-e2e": 1.0})
    assert math.isnan(judge(no_gap).dagger_share_of_gap)


def test_ratios_of_errors_are_of_the_nominal_drives_in_genesis() -> None:
    """A clone is measured by its own expert, e2e by the best tuned controller."""
    verdicts = judge(
        of_errors({"e2e": 2.0, "bc-pure-pursuit": 30.0, "stanley": 8.0, "pure-pursuit": 10.0})
    )
    assert verdicts.clone_over_expert == {"bc-pure-pursuit": pytest.approx(3.0)}
    assert verdicts.e2e_over_best_classical == pytest.approx(0.25)
    assert math.isnan(verdicts.mujoco_over_genesis)


def test_the_cost_of_the_threshold_is_the_median_of_the_seeds_first_crossings() -> None:
    """Each seed counts from when it is first there, even if it does not stay."""
    comparison = of_errors({"e2e": 1.0, "ppo": 5.0})
    for seed, seconds in enumerate((4.0, 10.0, 5.0)):
        add_curve(comparison, "e2e", seed, [(1, 10, 900), (seconds, 100, 19), (20, 200, 30)])
        add_curve(comparison, "ppo", seed, [(1, 50, 900), (10 * seconds, 2000, 20)])
    ratio = cost_ratio(comparison, "ppo")
    assert ratio == (pytest.approx(10.0), pytest.approx(20.0))
    assert comparison.costs_to("e2e", [0.02]) == [(5.0, 100)]


def test_what_never_arrives_costs_infinitely_more() -> None:
    """The ratio is infinite, zero or unknown by who of the two gets there."""
    comparison = of_errors({"e2e": 1.0, "ppo": 5.0})
    add_curve(comparison, "e2e", 0, [(1, 10, 5)])
    add_curve(comparison, "ppo", 0, [(1, 10, 50)])
    assert math.isinf(cost_ratio(comparison, "ppo").seconds)
    assert cost_ratio(comparison, "e2e", over="ppo").seconds == 0
    assert math.isnan(cost_ratio(comparison, "ppo", 0.001).seconds)
    assert math.isnan(cost_ratio(comparison, "stanley").seconds)
    assert any("does not reach" in sentence for sentence in tell(comparison))


def test_a_lead_within_the_spread_of_the_seeds_is_called_so() -> None:
    """The best is not called better than its seeds allow."""
    comparison = Comparison(threshold_m=0.02)
    for method, errors in {"e2e": (1.0, 2.0), "ppo": (1.2, 2.1)}.items():
        for seed, error in enumerate(errors):
            comparison.contestants.append(Contestant(method, seed, "", 1.0, 1))
            figures = SuiteFigures(1e-3 * error, 1e-3 * error, 0.0, 0.0)
            comparison.scores.append(Score(method, seed, "genesis", "nominal", "a", figures))
    assert "within the spread of the seeds" in tell(comparison)[0]


def test_figures_that_are_not_finite_rank_nobody() -> None:
    """A method without a finite error is told of, not ranked, and breaks nothing."""
    comparison = of_errors({"e2e": math.nan, "ppo": math.inf, "stanley": 3.0})
    assert [summary.method for summary in ranking(comparison)] == ["stanley"]
    assert math.isnan(judge(comparison).e2e_over_best_classical)
    assert tell(comparison)


def test_another_engine_or_condition_stands_in_for_what_is_missing() -> None:
    """Without Genesis the methods are ranked in MuJoCo."""
    assert judged_key(of_errors({"ppo": 2.0}, engine="mujoco")) == ("mujoco", "nominal")
    assert judged_key(Comparison(threshold_m=0.02)) is None
    assert tell(Comparison(threshold_m=0.02)) == ["Nothing was scored."]


def test_nominal_and_genesis_come_first_whatever_was_driven_first() -> None:
    """The order of the scores does not decide who is the reference."""
    comparison = make_comparison()
    comparison.scores.reverse()
    assert comparison.conditions[0] == "nominal"
    assert comparison.engines == ["genesis", "mujoco"]


def test_the_own_threshold_is_among_those_told() -> None:
    """It is neither left out nor told twice."""
    comparison = Comparison(threshold_m=0.015)
    assert thresholds_of(comparison) == [0.02, 0.015, 0.01, 0.005, 0.002, 0.001]
    assert len(thresholds_of(replace(comparison, threshold_m=0.02))) == 5


def test_files_hold_every_score_and_point(tmp_path: Path) -> None:
    """The tables can be read back with their figures unrounded."""
    comparison = make_comparison(methods=("e2e", "ppo"), seeds=(0,))
    write_csv(comparison, tmp_path / "scores.csv")
    write_curves_csv(comparison, tmp_path / "curves.csv")
    with (tmp_path / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(comparison.scores)
    assert float(rows[3]["cross_track_rmse_m"]) == comparison.scores[3].figures.cross_track_rmse_m
    with (tmp_path / "curves.csv").open(newline="") as stream:
        points = list(csv.DictReader(stream))
    assert len(points) == len(comparison.curves)
    assert int(points[5]["num_env_steps"]) == comparison.curves[5].num_env_steps


def test_json_has_texts_for_keys() -> None:
    """Engine and condition are one key, at any depth."""
    content = comparison_as_json(make_comparison(methods=("e2e", "ppo")))
    read = json.loads(json.dumps(content))
    assert read["summaries"][0]["rmse_m"]["genesis/nominal"] < 2e-3
    assert read["verdicts"]["cost_over_e2e"]["ppo"]["seconds"] > 1
    assert "tracks" not in read
