"""What follows from a comparison, and what is left of it where something was not measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import pytest

from diffcar.comparison.findings import cost_ratio, findings, ranking, ratios
from diffcar.comparison.results import CURVE_COLUMNS, SCORE_COLUMNS, Comparison, Run
from tests.comparison.synthetic import make_comparison

Curve = Sequence[tuple[float, int, float]]


def of_errors(
    errors_mm: Mapping[str, float | Sequence[float]],
    engine: str = "genesis",
    curves: Mapping[tuple[str, int], Curve] | None = None,
) -> Comparison:
    """Return a comparison from errors, one or one a seed, and points of (s, steps, error)."""
    runs, scores, points = [], [], []
    for method, errors in errors_mm.items():
        for seed, error in enumerate([errors] if isinstance(errors, int | float) else errors):
            runs.append(Run(method, seed, "", 10.0, 1000))
            figures = (1e-3 * error, 1e-3 * error, 0.0, 0.0, 1e-3 * error, 0.0)
            scores.append((method, seed, engine, "nominal", "sine", math.nan, *figures))
    for (method, seed), curve in (curves or {}).items():
        for index, (seconds, steps, rmse_mm) in enumerate(curve):
            points.append((method, seed, index, seconds, steps, 1e-3 * rmse_mm, 0.0))
    return Comparison(
        0.02,
        runs,
        pd.DataFrame(scores, columns=SCORE_COLUMNS),
        pd.DataFrame(points, columns=CURVE_COLUMNS),
    )


def test_the_gap_that_dagger_closes_is_a_share_of_that_between_clone_and_expert() -> None:
    """Half way from the clone to the expert is one half, worse than the clone is negative."""
    half = of_errors({"e2e": 1.0, "bc-e2e": 5.0, "dagger-e2e": 3.0})
    worse = of_errors({"e2e": 1.0, "bc-e2e": 5.0, "dagger-e2e": 6.0})
    no_gap = of_errors({"e2e": 2.0, "bc-e2e": 2.0, "dagger-e2e": 1.0})
    assert ratios(half).dagger_share_of_gap == pytest.approx(0.5)
    assert ratios(worse).dagger_share_of_gap == pytest.approx(-0.25)
    assert math.isnan(ratios(no_gap).dagger_share_of_gap)


def test_ratios_of_errors_are_of_the_nominal_drives_in_genesis() -> None:
    """A clone is measured by its own expert, e2e by the best tuned controller."""
    found = ratios(
        of_errors({"e2e": 2.0, "bc-pure-pursuit": 30.0, "stanley": 8.0, "pure-pursuit": 10.0})
    )
    assert found.clone_over_expert == {"bc-pure-pursuit": pytest.approx(3.0)}
    assert found.e2e_over_best_classical == pytest.approx(0.25)
    assert math.isnan(found.mujoco_over_genesis)


def test_the_cost_of_the_threshold_is_the_median_of_the_seeds_first_crossings() -> None:
    """Each seed counts from when it is first there, even if it does not stay."""
    curves: dict[tuple[str, int], Curve] = {}
    for seed, seconds in enumerate((4.0, 10.0, 5.0)):
        curves["e2e", seed] = [(1, 10, 900), (seconds, 100, 19), (20, 200, 30)]
        curves["ppo", seed] = [(1, 50, 900), (10 * seconds, 2000, 20)]
    comparison = of_errors({"e2e": 1.0, "ppo": 5.0}, curves=curves)
    ratio = cost_ratio(comparison, "ppo", 0.02)
    assert ratio == (pytest.approx(10.0), pytest.approx(20.0))
    assert comparison.summaries["e2e"].to_threshold == (5.0, 100)


def test_what_never_arrives_costs_infinitely_more() -> None:
    """The ratio is infinite, zero or unknown by who of the two gets there."""
    curves = {("e2e", 0): [(1, 10, 5)], ("ppo", 0): [(1, 10, 50)], ("bc-e2e", 0): [(1, 10, 0.5)]}
    comparison = of_errors({"e2e": 1.0, "ppo": 5.0, "bc-e2e": 1.0, "stanley": 9.0}, curves=curves)
    assert math.isinf(cost_ratio(comparison, "ppo", 0.02).seconds)
    assert cost_ratio(comparison, "bc-e2e", 0.001).seconds == 0
    assert math.isnan(cost_ratio(comparison, "ppo", 0.001).seconds)
    assert math.isnan(cost_ratio(comparison, "stanley", 0.02).seconds)
    assert any("does not reach" in sentence for sentence in findings(comparison))


def test_a_lead_within_the_spread_of_the_seeds_is_called_so() -> None:
    """The best is not called better than its seeds allow."""
    comparison = of_errors({"e2e": (1.0, 2.0), "ppo": (1.2, 2.1)})
    assert "within the spread of the seeds" in findings(comparison)[0]


def test_what_is_told_of_paths_of_several_grips_is_told_at_one() -> None:
    """And of each method up to which it finishes all drives, and what it finishes beyond."""
    comparison = make_comparison(methods=("e2e", "stanley"), grips=(0.8, 0.9, 0.95))
    told = findings(comparison)
    assert told[0].startswith("e2e tracks the 6 paths at 90 % of the grip best, undisturbed")
    where = "of the grip, undisturbed in Genesis"
    assert f"e2e finishes all drives up to 90 % {where}, and 50 % of them at 95 %." in told
    assert f"stanley finishes all drives up to 95 % {where}." in told
    never = replace(comparison, scores=comparison.scores.assign(lost=0.5))
    assert any("stanley finishes all drives at no share of the grip" in s for s in findings(never))


def test_figures_that_are_not_finite_rank_nobody() -> None:
    """A method without a finite error is told of, not ranked, and breaks nothing."""
    comparison = of_errors({"e2e": math.nan, "ppo": (1.0, math.nan), "bc-e2e": (1.0, math.inf)})
    assert ranking(comparison) == []
    comparison = of_errors({"e2e": math.nan, "ppo": math.inf, "stanley": 3.0})
    assert [summary.method for summary in ranking(comparison)] == ["stanley"]
    assert math.isnan(ratios(comparison).e2e_over_best_classical)
    assert findings(comparison)


def test_another_engine_or_condition_stands_in_for_what_is_missing() -> None:
    """Without Genesis the methods are ranked in MuJoCo."""
    assert of_errors({"ppo": 2.0}, engine="mujoco").ranked_by == ("mujoco", "nominal")
    assert Comparison(0.02).ranked_by is None
    assert findings(Comparison(0.02)) == ["Nothing was scored."]
