"""What follows from a comparison: ratios of costs and of errors between its methods.

A ratio of what was not measured is NaN, never an error: a comparison may lack methods, engines,
conditions or seeds.
"""

import math
from typing import NamedTuple

from diffcar.compare.results import Comparison, MethodSummary

__all__ = [
    "CLASSICAL",
    "THRESHOLDS_M",
    "CostRatio",
    "Verdicts",
    "clone_over_expert",
    "cost_ratio",
    "dagger_share_of_gap",
    "e2e_over_best_classical",
    "engine_ratio",
    "expert_of",
    "judge",
    "judged_key",
    "ranking",
    "thresholds_of",
]

CLASSICAL = ("stanley", "pure-pursuit")
"""Controllers that are tuned, not trained."""
THRESHOLDS_M = (0.02, 0.01, 0.005, 0.002, 0.001)
"""Cross-track RMSE whose costs are told beside that of the comparison's own threshold [m]."""


class CostRatio(NamedTuple):
    """The cost of one method in units of another's; infinite if only the other gets there."""

    seconds: float
    """Of wall time."""
    env_steps: float
    """Of control steps."""


class Verdicts(NamedTuple):
    """All ratios of a comparison; NaN where something was not measured."""

    cost_over_e2e: dict[str, CostRatio]
    """Cost to the threshold over e2e's, by method; a clone's is without that of its expert."""
    e2e_over_best_classical: float
    """RMSE of e2e over that of the best classical controller."""
    clone_over_expert: dict[str, float]
    """RMSE of each cloned controller over that of the expert it learned from."""
    dagger_share_of_gap: float
    """What DAgger closes of the gap between bc-e2e and e2e: 1 all of it, 0 nothing."""
    mujoco_over_genesis: float
    """RMSE of e2e in MuJoCo over that in Genesis."""


def judge(comparison: Comparison) -> Verdicts:
    """Return all ratios of a comparison."""
    methods = comparison.methods
    return Verdicts(
        cost_over_e2e={m: cost_ratio(comparison, m) for m in methods if m != "e2e"},
        e2e_over_best_classical=e2e_over_best_classical(comparison),
        clone_over_expert={m: clone_over_expert(comparison, m) for m in methods if expert_of(m)},
        dagger_share_of_gap=dagger_share_of_gap(comparison),
        mujoco_over_genesis=engine_ratio(comparison),
    )


def judged_key(comparison: Comparison) -> tuple[str, str] | None:
    """Return engine and condition that the methods are ranked by: nominal, in Genesis.

    Args:
        comparison: The first engine and condition take their place where they are missing; None if
            there are no scores.
    """
    if not comparison.scores:
        return None
    return comparison.engines[0], comparison.conditions[0]


def ranking(comparison: Comparison) -> list[MethodSummary]:
    """Return the methods that were scored, the smallest RMSE first."""
    key = judged_key(comparison)
    if key is None:
        return []
    scored = [s for s in comparison.summaries() if math.isfinite(s.rmse_m.get(key, math.nan))]
    return sorted(scored, key=lambda summary: summary.rmse_m[key])


def expert_of(method: str) -> str | None:
    """Return the method that a cloned one learned from, None for what is no clone."""
    kind, _, expert = method.partition("-")
    return expert if kind in ("bc", "dagger") and expert else None


def thresholds_of(comparison: Comparison) -> list[float]:
    """Return the RMSE whose costs are told, the largest first [m]."""
    own = comparison.threshold_m
    others = [t for t in THRESHOLDS_M if not math.isclose(t, own)]
    return sorted([own, *others], reverse=True)


def cost_ratio(
    comparison: Comparison, method: str, threshold_m: float | None = None, *, over: str = "e2e"
) -> CostRatio:
    """Return the cost of reaching an RMSE on the suite over that of another method.

    Args:
        comparison: With learning curves.
        method: Whose cost.
        threshold_m: Cross-track RMSE to reach [m]; None for the comparison's own.
        over: In units of whose cost.

    Returns:
        Infinite where only `over` gets there, 0 where only `method` does, NaN where neither does.
    """
    threshold = comparison.threshold_m if threshold_m is None else threshold_m
    (own,), (other,) = (comparison.costs_to(name, [threshold]) for name in (method, over))
    return CostRatio(*(_ratio(a, b) for a, b in zip(own, other, strict=True)))


def e2e_over_best_classical(comparison: Comparison) -> float:
    """Return the RMSE of e2e over that of the best classical controller."""
    rmse = _rmse(comparison)
    classical = [rmse[m] for m in CLASSICAL if math.isfinite(rmse.get(m, math.nan))]
    return _ratio(rmse.get("e2e", math.nan), min(classical, default=math.nan))


def clone_over_expert(comparison: Comparison, clone: str) -> float:
    """Return the RMSE of a cloned controller over that of its expert."""
    rmse = _rmse(comparison)
    return _ratio(rmse.get(clone, math.nan), rmse.get(expert_of(clone) or "", math.nan))


def dagger_share_of_gap(comparison: Comparison) -> float:
    """Return how much of the gap between bc-e2e and e2e dagger-e2e closes.

    Returns:
        1 if it is as good as e2e, 0 if it is no better than bc-e2e, beyond both where it is better
        or worse than they are; NaN where cloning leaves no gap.
    """
    rmse = _rmse(comparison)
    clone, dagger, expert = (rmse.get(m, math.nan) for m in ("bc-e2e", "dagger-e2e", "e2e"))
    gap = clone - expert
    return (clone - dagger) / gap if gap > 0 and math.isfinite(gap) else math.nan


def engine_ratio(comparison: Comparison, method: str = "e2e") -> float:
    """Return a method's RMSE in MuJoCo over that in Genesis, undisturbed."""
    rmse = {s.method: s.rmse_m for s in comparison.summaries()}.get(method, {})
    condition = comparison.conditions[0] if comparison.conditions else "nominal"
    mujoco, genesis = (rmse.get((engine, condition), math.nan) for engine in ("mujoco", "genesis"))
    return _ratio(mujoco, genesis)


def _rmse(comparison: Comparison) -> dict[str, float]:
    """Return the RMSE [m] of each method where methods are ranked."""
    key = judged_key(comparison)
    if key is None:
        return {}
    return {s.method: s.rmse_m.get(key, math.nan) for s in comparison.summaries()}


def _ratio(own: float, other: float) -> float:
    """Divide what may be infinite or missing."""
    if (
        math.isnan(own)
        or math.isnan(other)
        or other == 0
        or (math.isinf(own) and math.isinf(other))
    ):
        return math.nan
    return own / other
