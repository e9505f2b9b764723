"""What follows from a comparison: ratios of costs and of errors, and sentences about them.

A ratio of what was not measured is NaN, never an error, and its sentence is left out: a comparison
may lack methods, engines, conditions or seeds.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from diffcar.base.table import count, millimetres, number
from diffcar.compare.results import Comparison, Cost, MethodSummary
from diffcar.compare.style import engine_name
from diffcar.controllers.classical import CLASSICAL
from diffcar.training.methods import expert_of

__all__ = ["Ratios", "cost_ratio", "findings", "ranking", "ratios"]


class Ratios(NamedTuple):
    """All ratios of a comparison; NaN where something was not measured."""

    cost_over_e2e: dict[str, Cost]
    """Cost to the threshold over e2e's, by method; a clone's is without that of its expert."""
    e2e_over_best_classical: float
    """RMSE of e2e over that of the best classical controller."""
    clone_over_expert: dict[str, float]
    """RMSE of each cloned controller over that of the expert it learned from."""
    dagger_share_of_gap: float
    """What DAgger closes of the gap between bc-e2e and e2e: 1 all of it, 0 nothing, beyond both
    where it is better or worse than they are; NaN where cloning leaves no gap."""
    mujoco_over_genesis: float
    """RMSE of e2e in MuJoCo over that in Genesis."""


def ratios(comparison: Comparison) -> Ratios:
    """Return all ratios of a comparison."""
    methods = comparison.methods

    def rmse(method: str | None, key: tuple[str, str] | None = comparison.ranked_by) -> float:
        summary = comparison.summaries.get(method or "")
        return math.nan if summary is None or key is None else summary.rmse_m.get(key, math.nan)

    gap = rmse("bc-e2e") - rmse("e2e")
    classical = [rmse(method) for method in CLASSICAL if math.isfinite(rmse(method))]
    undisturbed = next(iter(comparison.conditions), "nominal")
    return Ratios(
        cost_over_e2e={m: cost_ratio(comparison, m) for m in methods if m != "e2e"},
        e2e_over_best_classical=_ratio(rmse("e2e"), min(classical, default=math.nan)),
        clone_over_expert={m: _ratio(rmse(m), rmse(expert_of(m))) for m in methods if expert_of(m)},
        dagger_share_of_gap=(rmse("bc-e2e") - rmse("dagger-e2e")) / gap
        if gap > 0 and math.isfinite(gap)
        else math.nan,
        mujoco_over_genesis=_ratio(
            rmse("e2e", ("mujoco", undisturbed)), rmse("e2e", ("genesis", undisturbed))
        ),
    )


def cost_ratio(
    comparison: Comparison, method: str, threshold_m: float | None = None, *, over: str = "e2e"
) -> Cost:
    """Return the cost of reaching an RMSE on the suite over that of another method.

    Args:
        comparison: With learning curves.
        method: Whose cost.
        threshold_m: One of its thresholds [m]; None for its own.
        over: In units of whose cost.

    Returns:
        Infinite where only `over` gets there, 0 where only `method` does, NaN where neither does.
    """
    threshold = comparison.threshold_m if threshold_m is None else threshold_m
    summaries = comparison.summaries
    if method not in summaries or over not in summaries:
        return Cost(math.nan, math.nan)
    own, other = (summaries[name].costs[threshold] for name in (method, over))
    return Cost(*(_ratio(a, b) for a, b in zip(own, other, strict=True)))


def ranking(comparison: Comparison) -> list[MethodSummary]:
    """Return the methods that were scored, the smallest RMSE first."""
    key = comparison.ranked_by
    if key is None:
        return []
    scored = [s for s in comparison.summaries.values() if math.isfinite(s.rmse_m[key])]
    return sorted(scored, key=lambda summary: summary.rmse_m[key])


def findings(comparison: Comparison) -> list[str]:
    """Return what the comparison found, a sentence or two each."""
    found = ratios(comparison)
    return [
        *_best(comparison),
        *_costs(comparison, found),
        *_classical(comparison, found.e2e_over_best_classical),
        *_clones(found),
        *_engines(found.mujoco_over_genesis),
        *_robustness(comparison),
        *_seeds(comparison),
    ]


def _best(comparison: Comparison) -> Iterator[str]:
    """Name the best method, and whether the spread of the seeds allows to."""
    ranked, key = ranking(comparison), comparison.ranked_by
    if key is None or not ranked:
        yield "Nothing was scored."
        return
    best, *others = ranked
    text = (
        f"{best.method} tracks the {len(comparison.paths)} paths of the suite best, "
        f"{_where(key[1])} in {engine_name(key[0])}: a cross-track RMSE of {_spread(best, key)} mm"
        + (f" over {best.num_seeds} seeds" if best.num_seeds > 1 else "")
    )
    if others:
        second = others[0]
        ratio = _ratio(second.rmse_m[key], best.rmse_m[key])
        text += f". {second.method} follows with {_spread(second, key)} mm"
        spread = math.hypot(*(s.deviation["cross_track_rmse_m"][key] for s in (best, second)))
        if second.rmse_m[key] - best.rmse_m[key] < spread:
            text += "; the difference is within the spread of the seeds"
        elif math.isfinite(ratio):
            text += f", {number(ratio)} times as much"
    yield f"{text}."


def _costs(comparison: Comparison, found: Ratios) -> Iterator[str]:
    """Tell what the threshold costs each method."""
    goal = f"an RMSE of {millimetres(comparison.threshold_m)} mm"
    for method, summary in comparison.summaries.items():
        cost = summary.to_threshold
        ratio = found.cost_over_e2e.get(method)
        text = f"{method} reaches {goal} after {number(cost.seconds)} s and {count(cost.env_steps)}"
        text += " steps"
        if math.isnan(cost.seconds):
            continue
        if math.isinf(cost.seconds):
            yield (
                f"{method} does not reach {goal} in {number(summary.train_seconds)} s and "
                f"{count(summary.num_env_steps)} steps{_best_on_curve(comparison, method)}."
            )
        elif expert := expert_of(method):
            # Over e2e's cost it would look cheap: the expert was paid for before.
            yield f"{text}{_on_top_of_expert(comparison.summaries.get(expert))}."
        elif ratio is not None and ratio.seconds > 0 and math.isfinite(ratio.seconds):
            yield (
                f"{text}, {number(ratio.seconds)} times the wall time and "
                f"{number(ratio.env_steps)} times the steps of e2e."
            )
        else:
            yield f"{text}."


def _best_on_curve(comparison: Comparison, method: str) -> str:
    """Tell the best that a method's learning curves show."""
    reached = comparison.curves[comparison.curves.method == method].cross_track_rmse_m.min()
    return f"; its best is {millimetres(reached)} mm" if math.isfinite(reached) else ""


def _on_top_of_expert(expert: MethodSummary | None) -> str:
    """Tell what the expert of a clone cost."""
    if expert is None or not math.isfinite(expert.train_seconds):
        return ", not counting its expert"
    return (
        f", on top of its expert {expert.method} ({number(expert.train_seconds)} s, "
        f"{count(expert.num_env_steps)} steps)"
    )


def _classical(comparison: Comparison, ratio: float) -> Iterator[str]:
    """Compare e2e with the best of the tuned controllers."""
    if not math.isfinite(ratio) or ratio <= 0:
        return
    best = next(s.method for s in ranking(comparison) if s.method in CLASSICAL)
    if ratio < 1:
        yield f"{best}, the best tuned controller, is off by {number(1 / ratio)} times e2e's RMSE."
    else:
        yield f"{best} beats e2e: e2e is off by {number(ratio)} times the tuned controller's RMSE."


def _clones(found: Ratios) -> Iterator[str]:
    """Compare clones with their experts, and tell what DAgger is good for."""
    for clone, ratio in found.clone_over_expert.items():
        if math.isfinite(ratio):
            yield f"{clone} has {number(ratio)} times the RMSE of its expert {expert_of(clone)}."
    share = found.dagger_share_of_gap
    if share < 0:
        yield "DAgger is worse than behaviour cloning alone: it widens the gap to e2e."
    elif 0 <= share <= 1:
        yield f"DAgger closes {100 * share:.0f} % of the gap between bc-e2e and e2e."
    elif 1 < share < math.inf:
        yield "DAgger more than closes the gap between bc-e2e and e2e."


def _engines(ratio: float) -> Iterator[str]:
    """Tell how far the engines agree on e2e."""
    difference = 100 * (ratio - 1)
    side = "above" if difference > 0 else "below"
    if abs(difference) < 0.05:
        yield "The RMSE of e2e is the same in MuJoCo as in Genesis, which it was trained in."
    elif math.isfinite(difference):
        yield (
            f"The RMSE of e2e in MuJoCo is {number(abs(difference))} % {side} that in Genesis, "
            "which it was trained in."
        )


def _robustness(comparison: Comparison) -> Iterator[str]:
    """Tell which disturbance harms e2e, or the best method, the most."""
    summary = comparison.summaries.get("e2e") or next(iter(ranking(comparison)), None)
    if summary is None or comparison.ranked_by is None:
        return
    engine, undisturbed = comparison.ranked_by
    rmse = {c: summary.rmse_m[engine, c] for c in comparison.conditions[1:]}
    rmse = {c: value for c, value in rmse.items() if math.isfinite(value)}
    worst = max(rmse, key=lambda condition: rmse[condition], default="")
    ratio = _ratio(rmse.get(worst, math.nan), summary.rmse_m[comparison.ranked_by])
    if ratio <= 1:
        yield f"None of the disturbances harms {summary.method}."
    elif math.isfinite(ratio):
        lost = summary.lost[engine, worst]
        yield (
            f"Of the disturbances, {worst!r} harms {summary.method} the most: "
            f"{millimetres(rmse[worst])} mm, {number(ratio)} times its {_where(undisturbed)} RMSE"
            + (f", and {100 * lost:.0f} % of the drives fail." if lost > 0 else ".")
        )


def _seeds(comparison: Comparison) -> Iterator[str]:
    """Warn where chance may have decided."""
    num_seeds = {summary.num_seeds for summary in comparison.summaries.values()}
    if num_seeds == {1}:
        yield "One seed decides nothing: trainings differ from seed to seed."


def _where(condition: str) -> str:
    """Return the condition as an adverb."""
    return "undisturbed" if condition == "nominal" else f"under {condition!r}"


def _spread(summary: MethodSummary, key: tuple[str, str]) -> str:
    """Return mean and standard deviation over the seeds, in mm."""
    return millimetres(summary.rmse_m[key], summary.deviation["cross_track_rmse_m"][key])


def _ratio(own: float, other: float) -> float:
    """Divide what may be infinite or missing; NaN by zero."""
    return own / other if other else math.nan
