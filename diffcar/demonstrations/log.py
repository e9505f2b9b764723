"""The log of a drive, and what in it tells the same twice."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from diffcar.controllers.errors import ErrorState
from diffcar.demonstrations.table import DemonstrationTable, locate
from diffcar.path.reference import ReferencePath
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.metrics import lost_distance

__all__ = ["LONGEST_GAP", "LOST_HEADING", "Log", "Pairs"]

LOST_HEADING = 0.6
"""A median heading error [rad] that says as much as cars that have lost the path."""
LONGEST_GAP = 1.0
"""Rows further apart in time [s] do not tell how fast a car is."""
# Nor, where positions are noisy, do rows so near; this far apart they do best.
_SHORTEST_GAP, _BEST_GAP = 0.1, 0.4


class Pairs(NamedTuple):
    """Rows that are a moment apart, P pairs."""

    order: Tensor
    """All rows, drive by drive."""
    lag: int
    """How many rows in that order the second is behind the first."""
    is_pair: Tensor
    """Which rows in that order begin a pair."""
    first: Tensor
    """The rows that begin one, shape (P,)."""
    second: Tensor
    """The rows that end one, shape (P,)."""
    gap: Tensor
    """The time between them [s], shape (P,)."""

    def change(self, column: Tensor) -> Tensor:
        """Return how much a column differs within each of the pairs."""
        return column[self.second] - column[self.first]

    def mean(self, column: Tensor) -> Tensor:
        """Return a column's mean from row to row of each of the pairs, ends counted half."""
        own = column[self.order]
        total = torch.cat([own.new_zeros(1), ((own[1:] + own[:-1]) / 2).cumsum(0)])
        return ((total[self.lag :] - total[: -self.lag]) / self.lag)[self.is_pair]


@dataclass(eq=False)
class Log:
    """The table of a file, and what it is compared with."""

    table: DemonstrationTable
    """Its columns, by diffcar's names, in SI."""
    rows: Sequence[int]
    """Number of each row in the file."""
    called: Mapping[str, tuple[str, float]]
    """What the file calls the columns, and what its numbers were multiplied by."""
    vehicle: Vehicle
    """The car that it is a log of."""
    path: ReferencePath | None
    """What was driven; None where the file has observations, which tell no more."""

    @cached_property
    def located(self) -> tuple[ErrorState, Tensor]:
        """Where the cars are relative to the path, and how far from it [m], shape (N,)."""
        assert self.path is not None
        state, errors = locate(self.table, self.path)
        nearest = self.path.sample(errors.arc_length).position
        return errors, (state.position - nearest).norm(dim=-1).cpu().double()

    @cached_property
    def misfit(self) -> Tensor:
        """How badly position and heading fit the path, one where the car has lost it, (N, 2)."""
        errors, offset = self.located
        turn = errors.heading_error.abs().cpu().double()
        return torch.stack([offset / self.lost, turn / LOST_HEADING], dim=-1)

    @property
    def lost(self) -> float:
        """Return how far off the path a car has lost it [m]."""
        return lost_distance(self.vehicle)

    @cached_property
    def pairs(self) -> Pairs:
        """Rows of a drive that are a moment apart; none where the times are not known."""
        times = self.table.get("t_s", torch.full((len(self.rows),), torch.nan))
        drive = self.table.get("episode", torch.zeros(len(times)))
        order = torch.argsort(drive, stable=True)
        step = times[order].diff().abs()[drive[order].diff() == 0]
        usual = float(step[step > 0].median()) if (step > 0).any() else math.inf
        lag = max(1, round(_BEST_GAP / max(usual, 1e-6)))
        first, second = order[:-lag], order[lag:]
        gap = times[second] - times[first]
        good = (
            (drive[first] == drive[second])
            & (gap.abs() >= _SHORTEST_GAP)
            & (gap.abs() <= LONGEST_GAP)
        )
        return Pairs(order, lag, good, first[good], second[good], gap[good])

    def remedies(self, name: str, units: Mapping[float, str]) -> str:
        """Return the options that would make a column what its name says."""
        return "; ".join(
            f"if it is {unit}: {self.option({name: factor})}" for factor, unit in units.items()
        )

    def option(self, factors: Mapping[str, float]) -> str:
        """Return the options that multiply columns, by diffcar's names."""
        flags = []
        for name, factor in factors.items():
            theirs, present = self.called.get(name, (name, 1.0))
            flags.append(f"--column {shlex.quote(f'{name}={theirs}*{present * factor:.7g}')}")
        return " ".join(flags)
