"""What a car can do with its tyres, and what that leaves along a road that bends."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["FrictionEllipse", "GripDiagram", "Limits"]

_NUM_SHARES = 65


@dataclass(frozen=True)
class FrictionEllipse:
    """Two numbers: what lateral acceleration leaves of the ellipse is available along the path."""

    lateral: float
    """Of a steady turn [m/s²]."""
    longitudinal: float
    """On a straight, to either side [m/s²]."""

    def cornering_speed(self, bend: np.ndarray) -> np.ndarray:
        """Return the fastest speeds [m/s] in turns of some curvature [1/m]: they take all."""
        return np.sqrt(self.lateral / np.maximum(bend, 1e-9))

    def along(self, squared_speed: np.ndarray, bend: np.ndarray, *, braking: bool) -> np.ndarray:
        """Return what a turn leaves for speeding up, and the same for braking [m/s²]."""
        used = np.minimum(squared_speed * bend / self.lateral, 1.0)
        return self.longitudinal * np.sqrt(1.0 - np.float_power(used, 2))


@dataclass(frozen=True)
class GripDiagram:
    """A g-g diagram by speed, as it was measured, and how much of it is to be used.

    Between the speeds it is interpolated; beyond them it is that of the nearest.
    """

    speeds: np.ndarray
    """Where it was measured [m/s], increasing, shape (S,)."""
    directions: np.ndarray
    """Of the acceleration in the car's frame [rad], shape (A,): from -pi/2, braking, by way of 0, a
    turn at steady speed, to pi/2, speeding up."""
    accelerations: np.ndarray
    """The largest that were held in each direction [m/s²], shape (S, A)."""
    share: float = 1.0
    """Of the accelerations, what is used."""

    @cached_property
    def lateral(self) -> np.ndarray:
        """Of a turn at steady speed [m/s²], all of it, shape (S,)."""
        return self.accelerations[:, np.searchsorted(self.directions, 0.0)]

    def cornering_speed(self, bend: np.ndarray) -> np.ndarray:
        """Return the fastest speeds [m/s] in turns of some curvature [1/m]: they take the share."""
        speeds = np.concatenate([[0.0], self.speeds, [10 * self.speeds[-1]]])
        lateral = self.share * np.interp(speeds, self.speeds, self.lateral)
        # Where grip falls with the speed a turn that is too fast must not become possible again.
        root_of_radius = np.maximum.accumulate(speeds / np.sqrt(lateral))
        speed = np.interp(np.sqrt(1 / np.maximum(bend, 1e-9)), root_of_radius, speeds)
        return np.where(bend > 0, speed, np.inf)

    def along(self, squared_speed: np.ndarray, bend: np.ndarray, *, braking: bool) -> np.ndarray:
        """Return what a turn leaves [m/s²], by the lower half of the diagram for braking."""
        speed = np.sqrt(squared_speed)
        lateral = self.share * np.interp(speed, self.speeds, self.lateral)
        used = np.minimum(squared_speed * bend / lateral, 1.0)
        table = self._left[0 if braking else 1]
        below, above, up = self._rows(speed)
        column = used * (_NUM_SHARES - 1)
        left = np.minimum(column.astype(int), _NUM_SHARES - 2)
        across = column - left

        def at(rows: np.ndarray) -> np.ndarray:
            return (1 - across) * table[rows, left] + across * table[rows, left + 1]

        return self.share * ((1 - up) * at(below) + up * at(above))

    def usage(self, speed: np.ndarray, lateral: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Return accelerations [m/s²] as shares of the largest that were held in their direction.

        Those are interpolated in the direction and the speed; all of shape (N,). Of what is not a
        number there is no share.
        """
        is_known = np.isfinite(speed) & np.isfinite(lateral) & np.isfinite(along)
        speed, lateral, along = (np.where(is_known, own, 1.0) for own in (speed, lateral, along))
        direction = np.arctan2(along, np.abs(lateral))
        by_speed = np.stack(
            [np.interp(direction, self.directions, own) for own in self.accelerations]
        )
        (below, above, up), own = self._rows(speed), np.arange(len(speed))
        held = (1 - up) * by_speed[below, own] + up * by_speed[above, own]
        return np.where(is_known, np.hypot(along, lateral) / held, np.nan)

    def _rows(self, speed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return between which of the measured speeds others lie, and how far up."""
        last = len(self.speeds) - 1
        row = np.interp(speed, self.speeds, np.arange(last + 1))
        below = np.minimum(row.astype(int), last)
        return below, np.minimum(below + 1, last), row - below

    @cached_property
    def _left(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what braking and speeding up have by speed and share of the lateral grip."""
        shares = np.linspace(0, 1, _NUM_SHARES)
        aside = self.accelerations * np.cos(self.directions)
        ahead = np.abs(self.accelerations * np.sin(self.directions))
        middle = int(np.searchsorted(self.directions, 0.0))
        halves = []
        for half in (slice(None, middle + 1), slice(None, middle - 1 if middle else None, -1)):
            rows = [
                np.interp(shares * most, np.maximum.accumulate(own_aside[half]), own_ahead[half])
                for most, own_aside, own_ahead in zip(self.lateral, aside, ahead, strict=True)
            ]
            halves.append(np.stack(rows))
        return halves[0], halves[1]


Limits = FrictionEllipse | GripDiagram
"""What bounds a speed profile; all that it takes and returns are arrays of one shape."""
