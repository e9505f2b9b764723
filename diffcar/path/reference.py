"""A reference path as splines over arc length, sampled and projected onto in torch."""

import copy
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from diffcar.path.cubics import Cubics, Nearest, PathPoint

__all__ = ["PathBatch", "PathPoint", "ReferencePath", "Road"]

_X, _Y, _HEADING, _CURVATURE, _SPEED = range(5)


class Road:
    """What a car follows: a path for all of them (`ReferencePath`), or one each (`PathBatch`)."""

    _cubics: Cubics

    @property
    def dtype(self) -> torch.dtype:
        """The precision that samples come in."""
        return self._cubics.table.dtype

    @property
    def device(self) -> torch.device:
        """Where samples lie."""
        return self._cubics.table.device

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> Self:
        """Return the path in a precision and on a device; itself if nothing differs."""
        cubics = self._cubics.to(dtype, device)
        return self if cubics is self._cubics else self._with(_cubics=cubics)

    def select(self, cars: Tensor | slice) -> "Road":
        """Return what some of the cars follow, by a mask, indices or a slice."""
        return self

    def sample(self, arc_length: Tensor) -> PathPoint:
        """Evaluate the path; once differentiable except at the ends of an open one.

        Arc lengths [m] of any shape wrap around a closed path; of a path each, the last dimension
        is that of the cars.
        """
        return self._cubics.sample(arc_length)

    def preview(self, arc_length: Tensor, distances: Tensor) -> PathPoint:
        """Return the points (B, K) at distances (K,) or (B, K) ahead of arc lengths (B,) [m]."""
        return self._cubics.ahead.sample(arc_length[:, None] + distances)

    def nearest(self, position: Tensor, hint: Tensor | None = None) -> Nearest:
        """Return where the path is nearest to positions, and what it is like there.

        Newton's method on the tangential offset finds it. Differentiable once, as the converged
        projection t / (1 - curvature · offset) is: not at the centre of curvature, where the
        nearest point jumps.

        Args:
            position: World x, y [m], shape (B, 2).
            hint: Arc lengths near the answer [m], shape (B,), to stay on one's own branch of a path
                that crosses itself; without one the whole path is searched. The result lies beyond
                [0, length) where the hint does.
        """
        return self._cubics.nearest(position, hint)

    def project(self, position: Tensor, hint: Tensor | None = None) -> Tensor:
        """Return the arc lengths alone of the nearest path points (see `nearest`), shape (B,)."""
        return self.nearest(position, hint).arc_length

    def _with(self, **changed: object) -> Self:
        """Return the path with some attributes changed."""
        other = copy.copy(self)
        vars(other).update(changed)
        return other


@dataclass(eq=False, repr=False)
class ReferencePath(Road):
    """Position, heading, curvature and speed as piecewise cubics on a uniform grid.

    A closed path is periodic in the arc length. An open one goes on straight beyond its ends, so a
    car that runs past them still has something to follow.
    """

    grid: np.ndarray
    """Arc lengths from 0 to the path's length [m], shape (N,)."""
    samples: np.ndarray
    """x [m], y [m], heading [rad, continuous], curvature [1/m] and speed [m/s] at the grid, shape
    (N, 5). A closed path repeats its first point, with the heading advanced."""
    _: KW_ONLY
    closed: bool
    """Whether the end joins the start."""
    name: str = "path"
    warnings: tuple[str, ...] = ()
    """What the user should know about the path."""
    origin: tuple[float, float] = (0.0, 0.0)
    """Where the origin lies in the coordinates that the path came in [m]."""
    columns: tuple[str, ...] = ()
    """What those of its file were read as, one by one."""
    geographic_origin: tuple[float, float] | None = None
    """Latitude and longitude of those coordinates' origin [degrees], if they were projected."""

    def __post_init__(self) -> None:
        self.length = float(self.grid[-1])
        turn = float(self.samples[-1, _HEADING] - self.samples[0, _HEADING])
        # Heading gains whole turns over a closed lap; the periodic part is what is left of it.
        self._cubics = Cubics.fitted(
            self.coefficients,
            step=self.length / (len(self.grid) - 1),
            turn=turn if self.closed else 0.0,
            closed=self.closed,
        )

    def named(self, name: str) -> "ReferencePath":
        """Return the path under another name."""
        return self._with(name=name)

    @property
    def coefficients(self) -> np.ndarray:
        """C² cubics of x, y, heading, curvature and speed, (pieces, 5, 4), highest power first.

        Each counts from where it begins. Of an open path the last two go straight on, after
        its end and before its start.
        """
        periodic = self.samples.copy()
        if self.closed:
            turn = self.samples[-1, _HEADING] - self.samples[0, _HEADING]
            drift = turn * self.grid / self.length
            periodic[:, _HEADING] -= drift
            periodic[-1] = periodic[0]
        spline = CubicSpline(self.grid, periodic, bc_type="periodic" if self.closed else "natural")
        pieces = np.moveaxis(spline.c, (0, 1, 2), (2, 0, 1)).copy()
        if self.closed:
            pieces[:, _HEADING, 2] += turn / self.length
            pieces[:, _HEADING, 3] += drift[:-1]
            return pieces
        before = _straight(self.samples[0])
        before[:, 3] -= before[:, 2] * self.grid[1]
        return np.concatenate([pieces, _straight(self.samples[-1])[None], before[None]])

    @property
    def timetable(self) -> np.ndarray:
        """When a point that runs along it at its speed is at the grid's points [s], shape (N,)."""
        speed = self.samples[:, _SPEED]
        # From one to the next it speeds up or brakes evenly, as in a speed profile.
        return np.append(0.0, np.cumsum(2 * np.diff(self.grid) / (speed[1:] + speed[:-1])))

    def slowed(self, share: float) -> "ReferencePath":
        """Return the path with a share of its speed everywhere."""
        samples = self.samples.copy()
        samples[:, _SPEED] *= share
        return self._with(_cubics=self._cubics.slowed(share), samples=samples)

    def dots(self, spacing: float) -> np.ndarray:
        """Return points about so far apart [m] along the path: x, y [m], shape (N, 2)."""
        return self.samples[:: max(1, round(spacing / (self.grid[1] - self.grid[0]))), :2]

    def unshifted(self, position: Tensor | np.ndarray) -> Tensor:
        """Return positions [m], shape (..., 2), in the coordinates that the path came in.

        In float64 on the CPU: there numbers of 32 bits may be too coarse.
        """
        local = torch.as_tensor(position).detach().to("cpu", torch.float64)
        return local + torch.tensor(self.origin, dtype=torch.float64)

    @property
    def kind(self) -> str:
        """What it was taken for, in words."""
        kind = "a loop" if self.closed else "open"
        return f"{kind}, read as {', '.join(self.columns)}" if self.columns else kind

    def as_json(self) -> dict[str, object]:
        """Return what it was taken for, as values for a JSON file."""
        return {
            "path_is_loop": self.closed,
            "path_columns": list(self.columns),
            "path_origin_m": list(self.origin),
            "path_origin_deg": self.geographic_origin and list(self.geographic_origin),
        }


class PathBatch(Road):
    """A path for each car of a batch, open ones beside closed ones.

    Args:
        paths: In one precision and on one device.
        which: Of them each car follows, by index, shape (B,).
    """

    def __init__(self, paths: Sequence[ReferencePath], which: Tensor) -> None:
        self._cubics = Cubics.joined([path._cubics for path in paths], which)

    @property
    def closed(self) -> Tensor:
        """Whether the end of each car's path joins its start, shape (B,)."""
        assert self._cubics.lowest is not None
        return torch.isinf(self._cubics.lowest)

    @property
    def length(self) -> Tensor:
        """Of each car's path [m], shape (B,)."""
        return self._cubics.pieces * self._cubics.step

    def select(self, cars: Tensor | slice) -> "PathBatch":
        """Return the paths of some of the cars, by a mask, indices or a slice."""
        return self._with(_cubics=self._cubics.mapped(lambda own: own[cars]))


def _straight(sample: np.ndarray) -> np.ndarray:
    """Return the piece (5, 4) that goes straight on from a sample at its speed."""
    piece = np.zeros((5, 4))
    piece[:, 3] = sample
    piece[_CURVATURE, 3] = 0.0
    piece[_X, 2], piece[_Y, 2] = np.cos(sample[_HEADING]), np.sin(sample[_HEADING])
    return piece
