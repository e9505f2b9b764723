"""What follows from a comparison: ratios of costs and of errors, and sentences about them.

A ratio of what was not measured is NaN, never an error, and its sentence is left out: a comparison
may lack methods, engines, conditions or seeds.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from diffcar.base.table import count, millimetres, number
from diffcar.comparison.results import Comparison, Cost, MethodSummary
from diffcar.comparison.style import engine_name
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
    methods, threshold = comparison.methods, comparison.threshold_m
    engine, condition = comparison.ranked_by or ("genesis", "nominal")

    def rmse(method: str | None, engine: str = engine) -> float:
        summary = comparison.summaries.get(method or "")
        return math.nan if summary is None else summary.rmse_m.get((engine, condition), math.nan)

    gap = rmse("bc-e2e") - rmse("e2e")
    closed = rmse("bc-e2e") - rmse("dagger-e2e")
    classical = [rmse(method) for method in CLASSICAL if math.isfinite(rmse(method))]
    return Ratios(
        cost_over_e2e={m: cost_ratio(comparison, m, threshold) for m in methods if m != "e2e"},
        e2e_over_best_classical=_ratio(rmse("e2e"), min(classical, default=math.nan)),
        clone_over_expert={m: _ratio(rmse(m), rmse(expert_of(m))) for m in methods if expert_of(m)},
        dagger_share_of_gap=closed / gap if 0 < gap < math.inf else math.nan,
        mujoco_over_genesis=_ratio(rmse("e2e", "mujoco"), rmse("e2e", "genesis")),
    )


def cost_ratio(comparison: Comparison, method: str, threshold_m: float) -> Cost:
    """Return what one of the thresholds [m] costs over what it costs e2e.

    Returns:
        Infinite where only e2e gets there, 0 where only `method` does, NaN where neither does.
    """
    if "e2e" not in comparison.summaries:
        return Cost(math.nan, math.nan)
    own, other = (comparison.summaries[name].costs[threshold_m] for name in (method, "e2e"))
    return Cost(_ratio(own.seconds, other.seconds), _ratio(own.env_steps, other.env_steps))


def ranking(comparison: Comparison) -> list[MethodSummary]:
    """Return the methods that were scored, the smallest RMSE first."""
    scenario = comparison.ranked_by
    if scenario is None:
        return []
    scored = [s for s in comparison.summaries.values() if math.isfinite(s.rmse_m[scenario])]
    return sorted(scored, key=lambda summary: summary.rmse_m[scenario])


def findings(comparison: Comparison) -> list[str]:
    """Return what the comparison found, a sentence or two each."""
    found = ratios(comparison)
    is_chance = {summary.num_seeds for summary in comparison.summaries.values()} == {1}
    return [
        *_best(comparison),
        *_costs(comparison, found),
        *_limits(comparison),
        *_errors(comparison, found),
        *_robustness(comparison),
        *(["One seed decides nothing: trainings differ from seed to seed."] if is_chance else []),
    ]


def _best(comparison: Comparison) -> Iterator[str]:
    """Name the best method, and whether the spread of the seeds allows to."""
    ranked, scenario = ranking(comparison), comparison.ranked_by
    if scenario is None or not ranked:
        yield "Nothing was scored."
        return

    def spread(summary: MethodSummary) -> str:
        return f"{millimetres(summary.rmse_m[scenario], summary.rmse_deviation_m[scenario])} mm"

    best, *others = ranked
    text = (
        f"{best.method} tracks {comparison.ranked_paths} best, "
        f"{_where(scenario[1])} in {engine_name(scenario[0])}: a cross-track RMSE of {spread(best)}"
    )
    text += f" over {best.num_seeds} seeds" if best.num_seeds > 1 else ""
    for second in others[:1]:
        text += f". {second.method} follows with {spread(second)}"
        lead = second.rmse_m[scenario] - best.rmse_m[scenario]
        ratio = _ratio(second.rmse_m[scenario], best.rmse_m[scenario])
        if lead < math.hypot(best.rmse_deviation_m[scenario], second.rmse_deviation_m[scenario]):
            text += "; the difference is within the spread of the seeds"
        elif math.isfinite(ratio):
            text += f", {number(ratio)} times as much"
    yield f"{text}."


def _costs(comparison: Comparison, found: Ratios) -> Iterator[str]:
    """Tell what the threshold costs each method."""
    goal = f"an RMSE of {millimetres(comparison.threshold_m)} mm"
    for method, summary in comparison.summaries.items():
        seconds, steps = summary.to_threshold
        ratio = found.cost_over_e2e.get(method)
        if math.isnan(seconds):
            continue
        if math.isinf(seconds):
            text = f"{method} does not reach {goal} in {_cost(summary)}"
            rmse = comparison.curves.cross_track_rmse_m[comparison.curves.method == method].min()
            text += f"; its best is {millimetres(rmse)} mm" if math.isfinite(rmse) else ""
        else:
            text = f"{method} reaches {goal} after {number(seconds)} s and {count(steps)} steps"
            expert = comparison.summaries.get(expert_of(method) or "")
            # Over e2e's cost a clone would look cheap: its expert was paid for before.
            if expert is not None:
                text += f", on top of its expert {expert.method} ({_cost(expert, ', ')})"
            elif expert_of(method):
                text += ", not counting its expert"
            elif ratio is not None and 0 < ratio.seconds < math.inf:
                text += f", {number(ratio.seconds)} times the wall time and "
                text += f"{number(ratio.env_steps)} times the steps of e2e"
        yield f"{text}."


def _limits(comparison: Comparison) -> Iterator[str]:
    """Tell up to which grip each method finishes, and what it still finishes beyond."""
    if not comparison.grips or comparison.ranked_by is None:
        return
    engine, condition = comparison.ranked_by
    drives = comparison.by_grip
    drives = drives[(drives.engine == engine) & (drives.condition == condition)]
    where = f"{_where(condition)} in {engine_name(engine)}"
    for method, own in drives.groupby("method", sort=False):
        failing = own[own.finished < 1]
        first = failing.grip.min() if len(failing) else math.inf
        safe = own.grip[own.grip < first].max()
        sure = f"up to {100 * safe:g} % of the grip" if safe > 0 else "at no share of the grip"
        some = [
            f"{100 * row.finished:.0f} % of them at {100 * row.grip:g} %"
            for row in failing.itertuples()
        ]
        yield ", and ".join([f"{method} finishes all drives {sure}, {where}", *some]) + "."


def _errors(comparison: Comparison, found: Ratios) -> list[str]:
    """Tell what the ratios of errors come to, but for those that were not measured."""
    tuned = next((s.method for s in ranking(comparison) if s.method in CLASSICAL), None)
    over_tuned, share = found.e2e_over_best_classical, found.dagger_share_of_gap
    off = number(over_tuned if over_tuned >= 1 else _ratio(1, over_tuned))
    percent = 100 * (found.mujoco_over_genesis - 1)
    side = "above" if percent > 0 else "below"
    gap = "the gap between bc-e2e and e2e"
    trained_in = "Genesis, which it was trained in."
    sentences = [
        (
            0 < over_tuned < 1,
            f"{tuned}, the best tuned controller, is off by {off} times e2e's RMSE.",
        ),
        (
            1 <= over_tuned < math.inf,
            f"{tuned} beats e2e: e2e is off by {off} times the tuned controller's RMSE.",
        ),
        *(
            (
                math.isfinite(ratio),
                f"{clone} has {number(ratio)} times the RMSE of its expert {expert_of(clone)}.",
            )
            for clone, ratio in found.clone_over_expert.items()
        ),
        (share < 0, "DAgger is worse than behaviour cloning alone: it widens the gap to e2e."),
        (0 <= share <= 1, f"DAgger closes {100 * share:.0f} % of {gap}."),
        (1 < share < math.inf, f"DAgger more than closes {gap}."),
        (abs(percent) < 0.05, f"The RMSE of e2e is the same in MuJoCo as in {trained_in}"),
        (
            0.05 <= abs(percent) < math.inf,
            f"The RMSE of e2e in MuJoCo is {number(abs(percent))} % {side} that in {trained_in}",
        ),
    ]
    return [sentence for holds, sentence in sentences if holds]


def _robustness(comparison: Comparison) -> Iterator[str]:
    """Tell which disturbance harms e2e, or the best method, the most."""
    summary = comparison.summaries.get("e2e") or next(iter(ranking(comparison)), None)
    if summary is None or comparison.ranked_by is None:
        return
    engine, undisturbed = comparison.ranked_by
    rmse = {condition: summary.rmse_m[engine, condition] for condition in comparison.conditions[1:]}
    rmse = {condition: value for condition, value in rmse.items() if math.isfinite(value)}
    worst = max(rmse, key=lambda condition: rmse[condition], default="")
    ratio = _ratio(rmse.get(worst, math.nan), summary.rmse_m[engine, undisturbed])
    if ratio <= 1:
        yield f"None of the disturbances harms {summary.method}."
    elif math.isfinite(ratio):
        lost = summary.lost[engine, worst]
        yield (
            f"Of the disturbances, {worst!r} harms {summary.method} the most: "
            f"{millimetres(rmse[worst])} mm, {number(ratio)} times its {_where(undisturbed)} RMSE"
            + (f", and {100 * lost:.0f} % of the drives fail." if lost > 0 else ".")
        )


def _cost(summary: MethodSummary, between: str = " and ") -> str:
    """Return what a whole training takes."""
    return f"{number(summary.train_seconds)} s{between}{count(summary.num_env_steps)} steps"


def _where(condition: str) -> str:
    """Return the condition as an adverb."""
    return "undisturbed" if condition == "nominal" else f"under {condition!r}"


def _ratio(own: float, other: float) -> float:
    """Divide what may be infinite or missing; NaN by zero."""
    return own / other if other else math.nan
