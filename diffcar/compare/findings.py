"""What follows from a comparison, in sentences."""

import math

from diffcar.base.table import count, millimetres, number
from diffcar.compare.results import Comparison, MethodSummary
from diffcar.compare.verdicts import CLASSICAL, Verdicts, expert_of, judge, judged_key, ranking

__all__ = ["ENGINE_NAMES", "tell"]

ENGINE_NAMES = {"genesis": "Genesis", "mujoco": "MuJoCo"}
"""How the engines write themselves."""


def tell(comparison: Comparison) -> list[str]:
    """Return what the comparison found, a sentence or two each.

    Args:
        comparison: What is missing in it is left out.
    """
    verdicts = judge(comparison)
    return [
        *_tell_best(comparison),
        *_tell_costs(comparison, verdicts),
        *_tell_classical(comparison, verdicts),
        *_tell_clones(comparison, verdicts),
        *_tell_engines(comparison, verdicts),
        *_tell_robustness(comparison),
        *_tell_seeds(comparison),
    ]


def _tell_seeds(comparison: Comparison) -> list[str]:
    """Warn where chance may have decided."""
    summaries = comparison.summaries()
    is_single = bool(summaries) and all(summary.num_seeds == 1 for summary in summaries)
    return ["One seed decides nothing: trainings differ from seed to seed."] if is_single else []


def _tell_best(comparison: Comparison) -> list[str]:
    """Name the best method, and whether the spread of the seeds allows to."""
    ranked, key = ranking(comparison), judged_key(comparison)
    if key is None or not ranked:
        return ["Nothing was scored."]
    engine, condition = key
    best = ranked[0]
    place = f"{_where(condition)} in {_engine(engine)}"
    text = (
        f"{best.method} tracks the {len(comparison.paths)} paths of the suite best, {place}: a "
        f"cross-track RMSE of {_spread(best, key)} mm"
    )
    if best.num_seeds > 1:
        text += f" over {best.num_seeds} seeds"
    if len(ranked) == 1:
        return [text + "."]
    second = ranked[1]
    ratio = _quotient(second.rmse_m[key], best.rmse_m[key])
    text += f". {second.method} follows with {_spread(second, key)} mm"
    spread = math.hypot(best.rmse_deviation_m[key], second.rmse_deviation_m[key])
    if second.rmse_m[key] - best.rmse_m[key] < spread:
        return [text + "; the difference is within the spread of the seeds."]
    return [text + (f", {number(ratio)} times as much." if math.isfinite(ratio) else ".")]


def _tell_costs(comparison: Comparison, verdicts: Verdicts) -> list[str]:
    """Tell what the threshold costs each method."""
    if not comparison.curves:
        return []
    told = []
    goal = f"an RMSE of {millimetres(comparison.threshold_m)} mm"
    summaries = {summary.method: summary for summary in comparison.summaries()}
    for summary in summaries.values():
        seconds, steps = summary.seconds_to_threshold, summary.env_steps_to_threshold
        if math.isnan(seconds):
            continue
        if math.isinf(seconds):
            told.append(
                f"{summary.method} does not reach {goal} in {number(summary.train_seconds)} s and "
                f"{count(summary.num_env_steps)} steps{_best_on_curve(comparison, summary.method)}."
            )
            continue
        text = f"{summary.method} reaches {goal} after {number(seconds)} s and {count(steps)} steps"
        ratio = verdicts.cost_over_e2e.get(summary.method)
        if expert_of(summary.method):
            # Over e2e's cost it would look cheap: the expert was paid for before.
            text += _on_top_of_expert(summaries.get(expert_of(summary.method) or ""))
        elif ratio is not None and ratio.seconds > 0 and math.isfinite(ratio.seconds):
            text += (
                f", {number(ratio.seconds)} times the wall time and "
                f"{number(ratio.env_steps)} times the steps of e2e"
            )
        told.append(f"{text}.")
    return told


def _tell_classical(comparison: Comparison, verdicts: Verdicts) -> list[str]:
    """Compare e2e with the best of the tuned controllers."""
    ratio = verdicts.e2e_over_best_classical
    if not math.isfinite(ratio) or ratio <= 0:
        return []
    best = next(s.method for s in ranking(comparison) if s.method in CLASSICAL)
    if ratio < 1:
        return [
            f"{best}, the best tuned controller, is off by {number(1 / ratio)} times e2e's RMSE."
        ]
    return [f"{best} beats e2e: e2e is off by {number(ratio)} times the tuned controller's RMSE."]


def _tell_clones(comparison: Comparison, verdicts: Verdicts) -> list[str]:
    """Compare clones with their experts, and tell what DAgger is good for."""
    told = [
        f"{clone} has {number(ratio)} times the RMSE of its expert {expert_of(clone)}."
        for clone, ratio in verdicts.clone_over_expert.items()
        if math.isfinite(ratio)
    ]
    share = verdicts.dagger_share_of_gap
    if math.isfinite(share):
        if share < 0:
            told.append("DAgger is worse than behaviour cloning alone: it widens the gap to e2e.")
        elif share > 1:
            told.append("DAgger more than closes the gap between bc-e2e and e2e.")
        else:
            told.append(f"DAgger closes {100 * share:.0f} % of the gap between bc-e2e and e2e.")
    return told


def _tell_engines(comparison: Comparison, verdicts: Verdicts) -> list[str]:
    """Tell how far the engines agree on e2e."""
    ratio = verdicts.mujoco_over_genesis
    if not math.isfinite(ratio):
        return []
    difference = 100 * (ratio - 1)
    if abs(difference) < 0.05:
        return ["The RMSE of e2e is the same in MuJoCo as in Genesis, which it was trained in."]
    side = "above" if difference > 0 else "below"
    return [
        f"The RMSE of e2e in MuJoCo is {number(abs(difference))} % {side} that in Genesis, which "
        "it was trained in."
    ]


def _tell_robustness(comparison: Comparison) -> list[str]:
    """Tell which disturbance harms e2e, or the best method, the most."""
    key = judged_key(comparison)
    if key is None or len(comparison.conditions) < 2:
        return []
    summaries = {s.method: s for s in comparison.summaries()}
    ranked = ranking(comparison)
    summary = summaries.get("e2e") or (ranked[0] if ranked else None)
    if summary is None:
        return []
    engine, condition = key
    rmse = {c: summary.rmse_m.get((engine, c), math.nan) for c in comparison.conditions[1:]}
    rmse = {c: value for c, value in rmse.items() if math.isfinite(value)}
    ratio = _quotient(max(rmse.values(), default=math.nan), summary.rmse_m[key])
    if not math.isfinite(ratio):
        return []
    if ratio <= 1:
        return [f"None of the disturbances harms {summary.method}."]
    worst = max(rmse, key=lambda name: rmse[name])
    lost = summary.lost.get((engine, worst), math.nan)
    return [
        f"Of the disturbances, {worst!r} harms {summary.method} the most: "
        f"{millimetres(rmse[worst])} mm, {number(ratio)} times its {_where(condition)} RMSE"
        + (f", and {100 * lost:.0f} % of the drives fail." if lost > 0 else ".")
    ]


def _best_on_curve(comparison: Comparison, method: str) -> str:
    """Tell the best that a method's learning curves show."""
    reached = [p.cross_track_rmse_m for p in comparison.curves if p.method == method]
    reached = [value for value in reached if math.isfinite(value)]
    return f"; its best is {millimetres(min(reached))} mm" if reached else ""


def _on_top_of_expert(expert: MethodSummary | None) -> str:
    """Tell what the expert of a clone cost."""
    if expert is None or not math.isfinite(expert.train_seconds):
        return ", not counting its expert"
    return (
        f", on top of its expert {expert.method} ({number(expert.train_seconds)} s, "
        f"{count(expert.num_env_steps)} steps)"
    )


def _where(condition: str) -> str:
    """Return the condition as an adverb."""
    return "undisturbed" if condition == "nominal" else f"under {condition!r}"


def _engine(engine: str) -> str:
    """Return the name of an engine as it writes itself."""
    return ENGINE_NAMES.get(engine, engine)


def _spread(summary: MethodSummary, key: tuple[str, str]) -> str:
    """Return mean and standard deviation over the seeds, in mm."""
    deviation = summary.rmse_deviation_m[key]
    text = millimetres(summary.rmse_m[key])
    return text if math.isnan(deviation) else f"{text} ± {1e3 * deviation:.2g}"


def _quotient(own: float, other: float) -> float:
    """Divide, NaN by zero."""
    return own / other if other else math.nan
