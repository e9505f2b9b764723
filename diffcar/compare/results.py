"""The figures of a comparison of controllers, and what follows from them."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from diffcar.tasks.tracking.metrics import SuiteFigures

__all__ = ["Comparison", "Contestant", "CurvePoint", "DrivenTrack", "MethodSummary", "Score"]


@dataclass(frozen=True)
class Contestant:
    """A controller that was trained or tuned."""

    method: str
    """One of `METHODS`."""
    seed: int
    """Of its training."""
    source: str
    """Its run folder, or its tuned parameters."""
    train_seconds: float
    """Wall time of its training, without evaluations, and without that of its expert [s]."""
    num_env_steps: int
    """Control steps of all cars that its training used, without those of its expert."""


@dataclass(frozen=True)
class Score:
    """A controller on one path."""

    method: str
    """One of `METHODS`."""
    seed: int
    """Of its training."""
    engine: str
    """`genesis` or `mujoco`."""
    condition: str
    """`nominal`, or the name of a disturbance."""
    path: str
    """Name."""
    figures: SuiteFigures
    """How well it did."""


@dataclass(frozen=True)
class CurvePoint:
    """A controller in training, on the whole suite, undisturbed, in Genesis."""

    method: str
    """One of `METHODS`."""
    seed: int
    """Of its training."""
    iteration: int
    """Updates, passes or generations so far."""
    train_seconds: float
    """Wall time of the training so far [s]."""
    num_env_steps: int
    """Control steps of all cars so far."""
    cross_track_rmse_m: float
    """Mean over the paths of the cross-track RMSE [m]."""
    lost: float
    """Share of the drives that lost the path."""


@dataclass(frozen=True)
class DrivenTrack:
    """How one controller drove one path, for drawings."""

    method: str
    """One of `METHODS`."""
    engine: str
    """`genesis` or `mujoco`."""
    path: str
    """Name."""
    distance: list[float]
    """Along the path [m]."""
    x: list[float]
    """World x [m]."""
    y: list[float]
    """World y [m]."""
    cross_track: list[float]
    """Cross-track error [m]."""


@dataclass(frozen=True)
class MethodSummary:
    """A method over all of its seeds and all paths of the suite."""

    method: str
    """One of `METHODS`."""
    num_seeds: int
    """Trainings."""
    rmse_m: dict[tuple[str, str], float]
    """Mean cross-track RMSE by engine and condition [m]; a car that loses the path, or does
    not arrive in time, counts as one metre off."""
    rmse_deviation_m: dict[tuple[str, str], float]
    """Standard deviation of that over the seeds [m]."""
    lost: dict[tuple[str, str], float]
    """Share of the drives that lost the path, by engine and condition."""
    train_seconds: float
    """Mean wall time of a training [s]."""
    num_env_steps: float
    """Mean control steps of a training."""
    seconds_to_threshold: float
    """Median over the seeds of the wall time until the RMSE on the suite is first reached [s];
    infinite if half of them or more never reach it."""
    env_steps_to_threshold: float
    """The same in control steps."""


@dataclass
class Comparison:
    """Everything that a comparison found."""

    threshold_m: float
    """Cross-track RMSE whose cost is told [m]."""
    contestants: list[Contestant] = field(default_factory=list)
    """What was trained and tuned."""
    scores: list[Score] = field(default_factory=list)
    """How it did in the end."""
    curves: list[CurvePoint] = field(default_factory=list)
    """How it got there."""
    tracks: list[DrivenTrack] = field(default_factory=list)
    """Drives of the first seed."""
    references: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    """World x and y of the suite's paths by name [m]."""

    @property
    def methods(self) -> list[str]:
        """Return the methods in the order in which they were trained."""
        return list(dict.fromkeys(contestant.method for contestant in self.contestants))

    @property
    def conditions(self) -> list[str]:
        """Return the conditions, `nominal` first."""
        found = dict.fromkeys(score.condition for score in self.scores)
        return sorted(found, key=lambda condition: condition != "nominal")

    @property
    def engines(self) -> list[str]:
        """Return the engines, `genesis` first."""
        found = dict.fromkeys(score.engine for score in self.scores)
        return sorted(found, key=lambda engine: engine != "genesis")

    @property
    def paths(self) -> list[str]:
        """Return the names of the suite's paths."""
        return list(dict.fromkeys(score.path for score in self.scores))

    def summaries(self) -> list[MethodSummary]:
        """Return the summary of each method."""
        return [self._summarise(method) for method in self.methods]

    def _summarise(self, method: str) -> MethodSummary:
        """Average a method over seeds and paths."""
        seeds = [c for c in self.contestants if c.method == method]
        rmse, deviation, lost = {}, {}, {}
        own = [score for score in self.scores if score.method == method]
        for key in dict.fromkeys((s.engine, s.condition) for s in self.scores):
            of_seed: dict[int, list[float]] = {}
            for score in own:
                if (score.engine, score.condition) == key:
                    of_seed.setdefault(score.seed, []).append(score.figures.cross_track_rmse_m)
            per_seed = [_mean(values) for values in of_seed.values()]
            rmse[key] = _mean(per_seed)
            deviation[key] = _deviation(per_seed)
            lost[key] = _mean(s.figures.lost for s in own if (s.engine, s.condition) == key)
        return MethodSummary(
            method=method,
            num_seeds=len(seeds),
            rmse_m=rmse,
            rmse_deviation_m=deviation,
            lost=lost,
            train_seconds=_mean(c.train_seconds for c in seeds),
            num_env_steps=_mean(c.num_env_steps for c in seeds),
            seconds_to_threshold=self._cost(method, self.threshold_m, lambda p: p.train_seconds),
            env_steps_to_threshold=self._cost(method, self.threshold_m, lambda p: p.num_env_steps),
        )

    def _cost(
        self, method: str, threshold_m: float, cost_of: Callable[[CurvePoint], float]
    ) -> float:
        """Return the median cost until a method's RMSE is below a threshold."""
        costs = []
        for seed in dict.fromkeys(p.seed for p in self.curves if p.method == method):
            curve = [p for p in self.curves if p.method == method and p.seed == seed]
            reached = (cost_of(p) for p in curve if p.cross_track_rmse_m <= threshold_m)
            costs.append(min(reached, default=math.inf))
        return statistics.median(costs) if costs else math.nan

    def path_rmse_m(self, method: str, engine: str, path: str, condition: str = "nominal") -> float:
        """Return a method's cross-track RMSE on one path [m], the mean over its seeds.

        Args:
            method: One of `METHODS`.
            engine: `genesis` or `mujoco`.
            path: Name.
            condition: `nominal`, or the name of a disturbance.
        """
        wanted = (method, engine, path, condition)
        return _mean(
            score.figures.cross_track_rmse_m
            for score in self.scores
            if (score.method, score.engine, score.path, score.condition) == wanted
        )

    def costs_to(self, method: str, thresholds_m: Sequence[float]) -> list[tuple[float, float]]:
        """Return wall time [s] and control steps until each RMSE is first reached, as medians.

        Args:
            method: One of `METHODS`.
            thresholds_m: Cross-track RMSE on the suite [m].
        """
        return [
            (
                self._cost(method, threshold, lambda p: p.train_seconds),
                self._cost(method, threshold, lambda p: p.num_env_steps),
            )
            for threshold in thresholds_m
        ]


def _mean(values: Iterable[float]) -> float:
    """Return the mean, NaN of nothing."""
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample, NaN of fewer than two finite values."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values)
