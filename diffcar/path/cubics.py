"""Cubics over arc length and their adjoints, in as few torch operations as they need.

A step of training evaluates the path five times, and each operation costs microseconds whatever it
computes. So values come with their rates out of one look-up, and autograd sees two operations.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["LONGEST_STEP", "MIN_SLOPE", "Cubics", "Nearest", "PathPoint"]

_X, _Y, _HEADING, _CURVATURE, _SPEED = range(5)
_POSE = [_X, _Y, _HEADING]
_REST = [_CURVATURE, _SPEED]
# In the table, whose order is of x, y, heading, their rates, curvature, speed and their rates.
_SPEEDS = [7, 9]
MIN_SLOPE = 0.2
"""Of the derivative that Newton's method divides by on the way to the nearest point."""
LONGEST_STEP = 1.0
"""On that way [m]."""
# Of Newton's method; fewer are done where they are enough.
_MOST_STEPS = 4


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


class Nearest(NamedTuple):
    """The path where it is nearest to some positions; every tensor has shape (B,)."""

    arc_length: Tensor
    """Of the nearest point [m]."""
    cross_track: Tensor
    """How far the position lies to the left of it [m]."""
    heading: Tensor
    """Direction of travel there [rad]."""
    curvature: Tensor
    """Rate of turn there [1/m], + turns left."""
    speed: Tensor
    """Reference speed there [m/s]."""


@dataclass(frozen=True)
class Cubics:
    """Position, heading, curvature and speed as cubics on uniform grids: of one path, or of many.

    Of one path every tensor but the table is a scalar; of many it has shape (B,), a path a car.
    """

    table: Tensor
    """Coefficients, shape (rows, 40), highest power first: of x, y, heading, their rates,
    curvature, speed and their rates. The last two rows of an open path go on straight, after its
    end and before its start."""
    step: Tensor
    """Between grid points [m]."""
    turn: Tensor
    """What a lap adds to the heading [rad]."""
    pieces: Tensor
    """Number of cubics along a path."""
    period: Tensor
    """Number of its rows."""
    first: Tensor | None = None
    """Its first row, where the table has several paths."""
    lowest: Tensor | None = None
    """Number of the lowest piece, where a path is open."""
    highest: Tensor | None = None
    """Number of the highest piece, where a path is open."""

    @classmethod
    def fitted(cls, pieces: np.ndarray, *, step: float, turn: float, closed: bool) -> "Cubics":
        """Take coefficients (rows, 5, 4), highest power first, as the table has its rows."""
        rates = np.zeros_like(pieces)
        rates[..., 1:] = pieces[..., :3] * [3.0, 2.0, 1.0]
        entries = [pieces[:, _POSE], rates[:, _POSE], pieces[:, _REST], rates[:, _REST]]
        table = np.concatenate(entries, 1).transpose(0, 2, 1)
        num_rows = len(pieces)
        num_pieces = num_rows if closed else num_rows - 2
        return cls(
            torch.from_numpy(table.reshape(num_rows, -1)),
            step=torch.tensor(step, dtype=torch.float64),
            turn=torch.tensor(turn, dtype=torch.float64),
            pieces=torch.tensor(num_pieces),
            period=torch.tensor(num_rows),
            lowest=None if closed else torch.tensor(-1.0, dtype=torch.float64),
            highest=None if closed else torch.tensor(float(num_pieces), dtype=torch.float64),
        )

    @classmethod
    def joined(cls, paths: "list[Cubics]", which: Tensor) -> "Cubics":
        """Return those of many paths in one table, of which each car has one, shape (B,)."""
        endless = paths[0].step.new_tensor(torch.inf)
        rows = torch.tensor([len(path.table) for path in paths])
        own = {
            "step": [path.step for path in paths],
            "turn": [path.turn for path in paths],
            "pieces": [path.pieces for path in paths],
            "period": [path.period for path in paths],
            "first": [*(rows.cumsum(0) - rows).to(which.device)],
            "lowest": [-endless if path.lowest is None else path.lowest for path in paths],
            "highest": [endless if path.highest is None else path.highest for path in paths],
        }
        table = torch.cat([path.table for path in paths])
        return cls(table, **{name: torch.stack(values)[which] for name, values in own.items()})

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Cubics":
        """Return them with everything that a path has of its own changed, beside the table."""
        own = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return replace(self, **{n: change(value) for n, value in own.items() if value is not None})

    def slowed(self, share: float) -> "Cubics":
        """Return them with a share of the speed, and of its rate."""
        table = self.table.clone()
        table.unflatten(-1, (4, -1))[..., _SPEEDS] *= share
        return replace(self, table=table)

    def to(self, dtype: torch.dtype, device: torch.device | str) -> "Cubics":
        """Return them in a precision and on a device; themselves if nothing differs."""
        table = self.table.to(dtype=dtype, device=device)
        if table is self.table:
            return self

        def moved(own: Tensor) -> Tensor:
            return own.to(device, dtype if own.is_floating_point() else own.dtype)

        return replace(self.mapped(moved), table=table)

    @cached_property
    def ahead(self) -> "Cubics":
        """For several arc lengths a car, shape (B, K)."""
        return self if self.first is None else self.mapped(lambda own: own[..., None])

    @cached_property
    def pose(self) -> Tensor:
        """Of the table what Newton's method needs: position, heading and their rates."""
        return self.table.unflatten(-1, (4, -1))[..., :6].flatten(1)

    def evaluate(self, table: Tensor, arc_length: Tensor) -> tuple[Tensor, Tensor]:
        """Return a table's entries, shape (..., entries), and the numbers of the pieces."""
        piece = torch.div(arc_length, self.step, rounding_mode="floor")
        if self.lowest is not None:
            piece = piece.clamp(self.lowest, self.highest)
        # What is no number stays none, but must not be an index: the remainder is one of anything.
        number = piece.long()
        row = number % self.period
        row = row if self.first is None else row + self.first
        a, b, c, d = torch.embedding(table, row).chunk(4, -1)
        t = torch.addcmul(arc_length, piece, self.step, value=-1)[..., None]
        values = torch.addcmul(d, torch.addcmul(c, torch.addcmul(b, a, t), t), t)
        return values, number

    def heading(self, along: Tensor, number: Tensor) -> Tensor:
        """Return the heading of points by that within the lap and by the number of the piece."""
        lap = torch.div(number, self.period, rounding_mode="floor")
        return torch.addcmul(along, lap, self.turn)

    def project(self, x: Tensor, y: Tensor, arc_length: Tensor) -> Tensor:
        """Return the arc lengths nearest to positions, by Newton's method on the way along."""
        # After a step so short the next one, about its square, would be lost in rounding.
        near = torch.finfo(arc_length.dtype).eps ** 0.5 / 4
        for _ in range(_MOST_STEPS):
            gap, fall, cos, sin = _seen_from(self.evaluate(self.pose, arc_length)[0], x, y)
            along, slope = _forward(gap, cos, sin), _forward(fall, cos, sin)
            # Far inside a curve the slope vanishes or changes sign; a floor keeps the step sane.
            step = (along / slope.clamp_min(MIN_SLOPE)).clamp(-LONGEST_STEP, LONGEST_STEP)
            arc_length = arc_length + step
            if torch.equal(step, step.clamp(-near, near)):
                break
        return arc_length

    def nearest_grid_point(self, position: Tensor) -> Tensor:
        """Return the arc length of the grid point closest to each position (B, 2) of its path."""
        knots = self.table[:, -10:-8]
        distance = torch.cdist(position.to(knots.dtype), knots)
        row = torch.arange(len(knots), device=knots.device)
        first = torch.zeros_like(self.period) if self.first is None else self.first
        is_own = (row >= first[..., None]) & (row < (first + self.pieces)[..., None])
        nearest = distance.masked_fill(~is_own, torch.inf).argmin(-1)
        return (nearest - first).to(position.dtype) * self.step

    def sample(self, arc_length: Tensor) -> PathPoint:
        """Return the points at arc lengths, whatever their shape."""
        return PathPoint(*_Sample.apply(arc_length, self))

    def nearest(self, position: Tensor, hint: Tensor | None) -> Nearest:
        """Return the points nearest to positions (B, 2), searched for near a hint (B,)."""
        start = self.nearest_grid_point(position.detach()) if hint is None else hint.detach()
        return Nearest(*_Nearest.apply(position, start, self))


class _Sample(Function):
    """The path at arc lengths: their adjoint is the sum of the gradients times the rates."""

    @staticmethod
    def forward(ctx: Any, arc_length: Tensor, cubics: Cubics) -> tuple[Tensor, ...]:  # noqa: ANN401
        values, number = cubics.evaluate(cubics.table, arc_length)
        ctx.save_for_backward(values)
        ctx.set_materialize_grads(False)
        heading = cubics.heading(values[..., 2], number)
        return values[..., :2], heading, values[..., 6], values[..., 7]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:  # noqa: ANN401
        position, heading, curvature, speed = gradients
        (values,) = ctx.saved_tensors
        x, y = (None, None) if position is None else position.unbind(-1)
        pairs = zip((x, y, heading, curvature, speed), (3, 4, 5, 8, 9), strict=True)
        total = None
        for gradient, rate in pairs:
            if gradient is not None:
                own = values[..., rate]
                total = gradient * own if total is None else torch.addcmul(total, gradient, own)
        return total, None


class _Nearest(Function):
    """The path nearest to positions, with the adjoint of the converged projection."""

    @staticmethod
    def forward(ctx: Any, position: Tensor, start: Tensor, cubics: Cubics) -> tuple[Tensor, ...]:  # noqa: ANN401
        x, y = position.unbind(-1)
        arc_length = cubics.project(x, y, start)
        values, number = cubics.evaluate(cubics.table, arc_length)
        gap, fall, cos, sin = _seen_from(values[:, :6], x, y)
        if ctx.needs_input_grad[0]:
            slope = _forward(fall, cos, sin).clamp_min(MIN_SLOPE)
            ctx.save_for_backward(cos, sin, slope, _left(fall, cos, sin), values)
        heading = cubics.heading(values[:, 2], number)
        return arc_length, _left(gap, cos, sin), heading, values[:, 6], values[:, 7]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        by_arc_length, by_cross_track, by_heading, by_curvature, by_speed = gradients
        cos, sin, slope, drift, values = ctx.saved_tensors
        along = torch.addcmul(by_arc_length, by_cross_track, drift, value=-1)
        along = torch.addcmul(along, by_heading, values[:, 5])
        along = torch.addcmul(along, by_curvature, values[:, 8])
        along = torch.addcmul(along, by_speed, values[:, 9]) / slope
        x = torch.addcmul(along * cos, by_cross_track, sin, value=-1)
        y = torch.addcmul(along * sin, by_cross_track, cos)
        return torch.stack((x, y), -1), None, None


_Planar = tuple[Tensor, Tensor]


def _seen_from(pose: Tensor, x: Tensor, y: Tensor) -> tuple[_Planar, _Planar, Tensor, Tensor]:
    """Return how far positions are from path points, and how fast they fall behind along the path.

    The forward component of the second is the slope of Newton's method. Its rates are those of the
    very cubics that are sampled, not the curvature, which is a spline of its own: so the derivative
    of the projection is exact. Then follow cosine and sine of the heading.
    """
    px, py, heading, dx, dy, bend = pose.unbind(-1)
    gap_x, gap_y = x - px, y - py
    fall = torch.addcmul(dx, bend, gap_y, value=-1), torch.addcmul(dy, bend, gap_x)
    return (gap_x, gap_y), fall, torch.cos(heading), torch.sin(heading)


def _forward(vector: _Planar, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the component along a heading."""
    return torch.addcmul(vector[0] * cos, vector[1], sin)


def _left(vector: _Planar, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the component to the left of a heading."""
    return torch.addcmul(vector[1] * cos, vector[0], sin, value=-1)
