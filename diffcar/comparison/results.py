"""What a comparison found: runs, frames of their scores and learning curves, and their means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import NamedTuple

import pandas as pd

from diffcar.tasks.tracking.metrics import LOST_CROSS_TRACK, SuiteFigures

__all__ = [
    "CURVE_COLUMNS",
    "SCORE_COLUMNS",
    "TRACK_COLUMNS",
    "Comparison",
    "Cost",
    "MethodSummary",
    "Run",
]

Scenario = tuple[str, str]
"""Engine and condition."""
_RMSE, _P95, _TIME = "cross_track_rmse_m", "cross_track_p95_m", "time_over_profile"
SCORE_COLUMNS = [
    *("method", "seed", "engine", "condition", "path", "grip"),
    *(figure.name for figure in fields(SuiteFigures)),
]
"""A run on one path: in `genesis` or `mujoco`, as `nominal` or under a disturbance. The grip is the
share of the car's that the reference speed uses; NaN where it does not go by that."""
CURVE_COLUMNS = [
    *("method", "seed", "iteration", "train_seconds", "num_env_steps"),
    *(_RMSE, "lost"),
]
"""A snapshot of a run: its cost so far, as that of a `Run`, and means of its figures over the paths
that methods are ranked on, undisturbed in Genesis. Iterations are updates, passes, generations."""
TRACK_COLUMNS = ["method", "engine", "path", "distance", "x", "y", "cross_track"]
"""A point of an undisturbed drive from rest, with its distance along the path [m]."""
# Round numbers of cross-track RMSE whose costs are told beside the comparison's own threshold [m],
# of a car of the shipped one's size.
_THRESHOLDS_M = (0.02, 0.01, 0.005, 0.002, 0.001)
# What is not a number shall not be averaged away.
_mean = partial(pd.Series.mean, skipna=False)
_deviation = partial(pd.Series.std, skipna=False)


@dataclass(frozen=True)
class Run:
    """What is compared: a controller that was trained or tuned by a method with a seed."""

    method: str
    """Name of a training method or of a classical controller."""
    seed: int
    """Of everything random in it."""
    source: str
    """Its run folder, or its tuned parameters."""
    train_seconds: float
    """Wall time of its training, without evaluations, and without that of its expert [s]."""
    num_env_steps: int
    """Control steps of all cars that its training used, without those of its expert."""


class Cost(NamedTuple):
    """What a training costs; infinite if it does not get there, NaN if that was not measured."""

    seconds: float
    """Of wall time."""
    env_steps: float
    """Control steps of all cars."""


@dataclass(frozen=True)
class MethodSummary:
    """A method over all of its seeds and all paths of the suite, or those at one grip."""

    method: str
    """Its name."""
    num_seeds: int
    """Runs of it."""
    rmse_m: Mapping[Scenario, float]
    """Mean cross-track RMSE, `nominal` first; a car that fails counts as `lost_m` off [m]."""
    rmse_deviation_m: Mapping[Scenario, float]
    """Standard deviation of that over the seeds [m]."""
    lost: Mapping[Scenario, float]
    """Share of the drives that lost the path or did not arrive in time."""
    p95_m: Mapping[Scenario, float]
    """Mean 95th percentile of the cross-track error; `lost_m` where a car fails [m]."""
    time_over_profile: Mapping[Scenario, float]
    """Mean share by which flying cars that arrive take longer than the reference speed."""
    train_seconds: float
    """Mean wall time of a training [s]."""
    num_env_steps: float
    """Mean control steps of a training."""
    costs: Mapping[float, Cost]
    """Median over the seeds of the cost until each RMSE [m] on the suite is first reached; infinite
    if half of them or more never reach it."""
    to_threshold: Cost
    """That of the comparison's own threshold."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that a comparison found."""

    threshold_m: float
    """Cross-track RMSE whose cost is told [m]."""
    runs: Sequence[Run] = ()
    """What was trained and tuned."""
    scores: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=SCORE_COLUMNS))
    """How they did in the end."""
    curves: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=CURVE_COLUMNS))
    """How they got there."""
    tracks: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=TRACK_COLUMNS))
    """How those of the first seed drove."""
    references: Mapping[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    """World x and y of the suite's paths by name [m]."""
    grip: float | None = None
    """Where the suite's paths have several grips, the one at which methods are ranked and their
    costs told: a mean over all of them would say nothing."""
    lost_m: float = LOST_CROSS_TRACK
    """How far off its path a car has lost it, which a car that fails counts as [m]."""

    @property
    def methods(self) -> list[str]:
        """Return the methods in the order in which they were trained."""
        return list(dict.fromkeys(run.method for run in self.runs))

    @property
    def conditions(self) -> list[str]:
        """Return the conditions, `nominal` first."""
        return sorted(self.scores.condition.unique(), key=lambda name: name != "nominal")

    @property
    def engines(self) -> list[str]:
        """Return the engines, `genesis` first."""
        return sorted(self.scores.engine.unique(), key=lambda name: name != "genesis")

    @property
    def paths(self) -> list[str]:
        """Return the names of the suite's paths."""
        return list(self.scores.path.unique())

    @property
    def grips(self) -> list[float]:
        """Return the grips of the suite's paths, where methods are compared by them."""
        return [] if self.grip is None else sorted(self.scores.grip.dropna().unique())

    @property
    def ranked_paths(self) -> str:
        """Return in words which paths methods are ranked on: `the 5 paths of the suite`."""
        which = "of the suite" if self.grip is None else f"at {100 * self.grip:g} % of the grip"
        return f"the {self._ranked.path.nunique()} paths {which}"

    @property
    def ranked_by(self) -> Scenario | None:
        """Return where methods are ranked: in Genesis, undisturbed, or what comes first instead."""
        return None if self.scores.empty else (self.engines[0], self.conditions[0])

    @property
    def thresholds_m(self) -> list[float]:
        """Return the RMSE whose costs are told, the largest first [m]."""
        others = (t * self.lost_m for t in _THRESHOLDS_M)
        others = (t for t in others if not math.isclose(t, self.threshold_m, rel_tol=0.01))
        return sorted([self.threshold_m, *others], reverse=True)

    @cached_property
    def summaries(self) -> dict[str, MethodSummary]:
        """Return the summary of each method."""
        return {method: self._summarise(method) for method in self.methods}

    @property
    def by_grip(self) -> pd.DataFrame:
        """Return how far each method came with the grip, all paths and seeds together.

        Columns are engine, condition, grip and method, then the `finished` share of the drives, the
        mean RMSE and 95th percentile, and the largest error [m], of which those that fail have
        `lost_m`; and the time over the profile's of those that finish.
        """
        columns = {
            "finished": ("lost", lambda lost: 1 - _mean(lost)),
            _RMSE: (_RMSE, _mean),
            _P95: (_P95, _mean),
            "cross_track_max_m": ("cross_track_max_m", "max"),
            _TIME: (_TIME, "mean"),
        }
        by = ["engine", "condition", "grip", "method"]
        rising = self.scores.sort_values("grip", kind="stable")
        return rising.groupby(by, sort=False).agg(**columns).reset_index()

    def rmse(self, by: str, **where: str) -> pd.DataFrame:
        """Return the mean cross-track RMSE over all that is not named [m].

        By path, that is on all of them, and otherwise on those that methods are ranked on.

        Args:
            by: What a row stands for: `condition` or `path`; a column is a method.
            where: What all scores have in common, such as `engine="genesis"`.
        """
        chosen = self.scores if by == "path" else self._ranked
        for column, value in where.items():
            chosen = chosen[chosen[column] == value]
        rmse = chosen.groupby([by, "method"])[_RMSE].agg(_mean).unstack()
        return rmse.reindex(index=getattr(self, f"{by}s"), columns=self.methods)

    @cached_property
    def _ranked(self) -> pd.DataFrame:
        """Return the scores on the paths that methods are ranked on."""
        return self.scores if self.grip is None else self.scores[self.scores.grip == self.grip]

    def _summarise(self, method: str) -> MethodSummary:
        """Average a method over the paths, then over its seeds."""
        runs = [run for run in self.runs if run.method == method]
        own = self._ranked[self._ranked.method == method]
        of_seeds = own.groupby(["engine", "condition", "seed"])[[_RMSE, "lost", _P95]].agg(_mean)
        of_all = own.groupby(["engine", "condition"])
        finite = of_seeds.replace([math.inf, -math.inf], math.nan).groupby(["engine", "condition"])
        over_seeds = of_seeds.groupby(["engine", "condition"]).agg(_mean)
        scenarios = pd.MultiIndex.from_product([self.engines, self.conditions])
        costs = {threshold: self._cost(method, threshold) for threshold in self.thresholds_m}
        return MethodSummary(
            method=method,
            num_seeds=len(runs),
            rmse_m=over_seeds[_RMSE].reindex(scenarios).to_dict(),
            rmse_deviation_m=finite[_RMSE].agg(_deviation).reindex(scenarios).to_dict(),
            lost=over_seeds.lost.reindex(scenarios).to_dict(),
            p95_m=over_seeds[_P95].reindex(scenarios).to_dict(),
            time_over_profile=of_all[_TIME].mean().reindex(scenarios).to_dict(),
            train_seconds=sum(run.train_seconds for run in runs) / len(runs),
            num_env_steps=sum(run.num_env_steps for run in runs) / len(runs),
            costs=costs,
            to_threshold=costs[self.threshold_m],
        )

    def _cost(self, method: str, threshold_m: float) -> Cost:
        """Return the median over the seeds of the cost until the RMSE is below a threshold."""
        curves = self.curves[self.curves.method == method]
        reached = curves[curves[_RMSE] <= threshold_m].groupby("seed")
        of_seeds = reached[["train_seconds", "num_env_steps"]].min().reindex(curves.seed.unique())
        return Cost(*of_seeds.astype(float).fillna(math.inf).median().tolist())
