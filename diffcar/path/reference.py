"""A reference path as splines over arc length, sampled and projected onto in torch."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

__all__ = ["PathPoint", "ReferencePath"]

_X, _Y, _HEADING, _CURVATURE, _SPEED = range(5)


@dataclass(frozen=True)
class PathPoint:
    """The path at some arc lengths; every field has the shape of the query."""

    position: Tensor
    """World x, y [m], shape (..., 2)."""
    heading: Tensor
    """Direction of travel [rad], continuous along the path, not wrapped."""
    curvature: Tensor
    """Rate of turn along the path [1/m], + turns left."""
    speed: Tensor
    """Reference speed [m/s]."""


class ReferencePath:
    """Position, heading, curvature and speed as piecewise cubics on a uniform grid.

    A closed path is periodic in the arc length. An open one goes on straight beyond its ends, so a
    car that runs past them still has something to follow.

    Args:
        arc_length: Uniform grid from 0 to the path's length [m], shape (N,).
        samples: x [m], y [m], heading [rad, continuous], curvature [1/m] and speed [m/s] at the
            grid, shape (N, 5). A closed path repeats its first point, with the heading advanced.
        closed: Whether the end joins the start.
        warnings: What the user should know about the path.
        origin: Where the origin lies in the coordinates that the path came in [m].
        columns: What those of its file were read as, one by one.
    """

    def __init__(
        self,
        arc_length: np.ndarray,
        samples: np.ndarray,
        *,
        closed: bool,
        name: str = "path",
        warnings: tuple[str, ...] = (),
        origin: tuple[float, float] = (0.0, 0.0),
        columns: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.closed = closed
        self.warnings = warnings
        self.origin = origin
        self.columns = columns
        self.length = float(arc_length[-1])
        self.grid = arc_length
        self.samples = samples
        self._step = self.length / (len(arc_length) - 1)
        # Heading gains whole turns over a closed lap; the periodic part is what is left of it.
        self._heading_per_lap = float(samples[-1, _HEADING] - samples[0, _HEADING])
        self._coefficients = torch.from_numpy(_piecewise_cubics(arc_length, samples, closed))

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> "ReferencePath":
        """Return the path in a precision and on a device; itself if nothing differs."""
        coefficients = self._coefficients.to(dtype=dtype, device=device)
        if coefficients is self._coefficients:
            return self
        other = copy.copy(self)
        other._coefficients = coefficients
        return other

    def named(self, name: str) -> "ReferencePath":
        """Return the path under another name."""
        other = copy.copy(self)
        other.name = name
        return other

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
        }

    @property
    def dtype(self) -> torch.dtype:
        """The precision that samples come in."""
        return self._coefficients.dtype

    @property
    def device(self) -> torch.device:
        """Where samples lie."""
        return self._coefficients.device

    def sample(self, arc_length: Tensor) -> PathPoint:
        """Evaluate the path; twice differentiable except at the ends of an open one.

        Arc lengths [m] of any shape wrap around a closed path.
        """
        table, t, lap = self._locate(arc_length)
        values = ((table[..., 0] * t + table[..., 1]) * t + table[..., 2]) * t + table[..., 3]
        return PathPoint(
            position=values[..., : _Y + 1],
            heading=values[..., _HEADING] + lap * self._heading_per_lap,
            curvature=values[..., _CURVATURE],
            speed=values[..., _SPEED],
        )

    def preview(self, arc_length: Tensor, distances: Tensor) -> PathPoint:
        """Return the points (B, K) at distances (K,) ahead of each arc length (B,) [m]."""
        return self.sample(arc_length[:, None] + distances)

    def project(
        self, position: Tensor, hint: Tensor | None = None, *, iterations: int = 3
    ) -> Tensor:
        """Return the arc lengths of the nearest path points.

        Newton's method on the tangential offset finds them; only its last step is differentiated,
        which gives the derivative of the converged projection, t / (1 - curvature · offset). It is
        not differentiable at the centre of curvature, where the nearest point jumps.

        Args:
            position: World x, y [m], shape (B, 2).
            hint: Arc lengths near the answer [m], shape (B,), to stay on one's own branch of a path
                that crosses itself; without one the whole path is searched. The result lies beyond
                [0, length) where the hint does.
            iterations: Newton steps before the one that is differentiated.
        """
        with torch.no_grad():
            arc_length = self._nearest_grid_point(position) if hint is None else hint.detach()
            for _ in range(iterations):
                arc_length = arc_length + self._newton_step(position, arc_length)
        return arc_length + self._newton_step(position, arc_length)

    def _newton_step(self, position: Tensor, arc_length: Tensor) -> Tensor:
        """Return the correction of `arc_length` towards the projection of `position`.

        The slope comes from the very cubics that are sampled, not from the curvature, which is a
        spline of its own: so the derivative of the converged projection is exact.
        """
        table, t, _ = self._locate(arc_length)
        pose = table[..., : _HEADING + 1, :]
        value = ((pose[..., 0] * t + pose[..., 1]) * t + pose[..., 2]) * t + pose[..., 3]
        rate = (3 * pose[..., 0] * t + 2 * pose[..., 1]) * t + pose[..., 2]
        cos, sin = torch.cos(value[..., _HEADING]), torch.sin(value[..., _HEADING])
        offset = position - value[..., : _Y + 1]
        along = offset[..., _X] * cos + offset[..., _Y] * sin
        across = offset[..., _Y] * cos - offset[..., _X] * sin
        slope = rate[..., _X] * cos + rate[..., _Y] * sin - rate[..., _HEADING] * across
        # Far inside a curve the true slope vanishes or changes sign; a floor keeps the step sane.
        return (along / slope.clamp_min(0.2)).clamp(-1.0, 1.0)

    def _nearest_grid_point(self, position: Tensor) -> Tensor:
        """Return the arc length of the grid point closest to each position."""
        knots = self._coefficients[1:-1, :2, 3]
        index = torch.cdist(position.detach().to(knots.dtype), knots).argmin(-1)
        return index.to(position.dtype) * self._step

    def _locate(self, arc_length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cubic pieces (..., 5, 4), the offsets in them (..., 1) and the lap (...,)."""
        num_pieces = self._coefficients.shape[0] - 2
        if self.closed:
            lap = torch.floor(arc_length / self.length).detach()
            arc_length = arc_length - lap * self.length
        else:
            lap = torch.zeros_like(arc_length)
        # What is no number stays none, but must not be an index.
        piece = torch.floor(arc_length.detach() / self._step).nan_to_num().clamp(-1, num_pieces)
        if self.closed:
            piece = piece.clamp(0, num_pieces - 1)
        # The piece before the start runs backwards from zero, as the one after the end from there.
        origin = piece.clamp_min(0) * self._step
        return self._coefficients[piece.long() + 1], (arc_length - origin)[..., None], lap


def _piecewise_cubics(arc_length: np.ndarray, samples: np.ndarray, closed: bool) -> np.ndarray:
    """Fit C² cubics; returns (pieces + 2, 5, 4), highest power first, ends continued straight."""
    periodic = samples.copy()
    if closed:
        turn = samples[-1, _HEADING] - samples[0, _HEADING]
        drift = turn * arc_length / arc_length[-1]
        periodic[:, _HEADING] -= drift
        periodic[-1] = periodic[0]
    spline = CubicSpline(arc_length, periodic, bc_type="periodic" if closed else "natural")
    pieces = np.moveaxis(spline.c, (0, 1, 2), (2, 0, 1)).copy()
    if closed:
        pieces[:, _HEADING, 2] += turn / arc_length[-1]
        pieces[:, _HEADING, 3] += drift[:-1]
    return np.concatenate([_straight(samples[0])[None], pieces, _straight(samples[-1])[None]])


def _straight(sample: np.ndarray) -> np.ndarray:
    """Return the piece (5, 4) that goes straight on from a sample at its speed."""
    piece = np.zeros((5, 4))
    piece[:, 3] = sample
    piece[_CURVATURE, 3] = 0.0
    piece[_X, 2], piece[_Y, 2] = np.cos(sample[_HEADING]), np.sin(sample[_HEADING])
    return piece
