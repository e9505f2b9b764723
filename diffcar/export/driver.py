"""The way from what a car measures to what it is commanded, by operations that all formats have.

Rollouts evaluate paths and observations by fused autograd functions, which cannot be exported. Here
the same is said plainly, for one car, and in a way that 32 bits are enough for: a place on the path
is the piece that it lies on and how far on it, so that nothing small is lost beside a long way.
"""

import copy
import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from diffcar.base.geometry import wrap_angle
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.path.cubics import LONGEST_STEP, MIN_SLOPE
from diffcar.path.reference import PathPoint, ReferencePath, Road
from diffcar.sim.contract import CarState

__all__ = ["LONGEST_WAY", "NEWTON_STEPS", "Driver", "PlainRoad", "measured", "state_of"]

_HEADING = 2
NEWTON_STEPS = 3
"""On the way to the nearest point; from one call to the next two are enough."""
# Between the points that are looked at where nobody knows where on the path a car is [m].
_SEARCH_SPACING = 0.25
LONGEST_WAY = 1e6
"""What is further along a path is no memory, as what is no number is none [m]."""


def measured(state: CarState) -> Tensor:
    """Return what a car measures, shape (B, 7), in the order of the contract's inputs."""
    motion = state.yaw, state.speed, state.lateral_velocity, state.yaw_rate
    entries = [*state.position.unbind(-1), *motion, state.steering_angles.mean(-1)]
    return torch.stack(entries, -1)


def state_of(rows: Tensor) -> CarState:
    """Return the states of cars that measure something, shape (B, 7), without what nobody sees."""
    yaw, speed, lateral, yaw_rate = (rows[:, column] for column in range(2, 6))
    unseen = rows[:, :0]
    steering = rows[:, 6:]
    return CarState(rows[:, :2], yaw, speed, lateral, yaw_rate, steering, unseen, unseen, unseen)


class Driver(nn.Module):
    """A trained controller on a path, which is given back what it has to remember.

    That is where on the path the car was, and its past commands where the network sees them.

    Args:
        controller: The network with its observer and the car's limits.
        path: What is to be followed.
        dt: Time from call to call [s].
        dtype: The precision of everything.
    """

    def __init__(
        self, controller: TrackingMLP, path: ReferencePath, dt: float, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.network = copy.deepcopy(controller.network).to("cpu", dtype).requires_grad_(False)
        for number, layer in enumerate(self.network.network):
            if isinstance(layer, nn.ELU) and dtype == torch.float64:
                self.network.network[number] = _ExactELU()
        self.road = PlainRoad(path, dtype)
        self.controller = replace(controller, network=self.network)
        self.dt = dt
        self.num_commands = controller.past_commands
        self.memory_size = 1 + 4 * self.num_commands
        """How many numbers it remembers."""

    def forward(self, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return steering angle [rad] and speed [m/s] to command, shape (2,), and the memory.

        Args:
            state: What is measured, shape (7,), as `measured` orders it.
            memory: What the call before has returned, shape (memory_size,): the arc length [m], and
                past commands as `CarState.commands` has them. If the first is no number, nothing is
                remembered, and the whole path is searched.
        """
        car, expected = state_of(state[None]), memory[:1] + self.dt * state[3]
        if self.num_commands:
            rolling = car.remembering(self.num_commands).commands
            past = memory[1:].reshape(1, self.num_commands, 4)
            known = expected.abs() < LONGEST_WAY
            car = replace(car, commands=torch.where(known, past, cast(Tensor, rolling)))
        start = self.road.find(car.position, expected)
        place, left, heading, curvature, speed = self.road.nearest(car.position, start)
        errors = ErrorState(
            arc_length=self.road.arc_length(place),
            cross_track_error=left,
            heading_error=wrap_angle(car.yaw - heading),
            speed_error=car.speed - speed,
            curvature=curvature,
            reference_speed=speed,
            path=cast(Road, _Ahead(self.road, place)),
        )
        observation = self.controller.observer.observe(car, errors, is_exported=True)
        action = self.controller.command(self.controller.output(observation), car)[0]
        if car.commands is None:
            return action, errors.arc_length
        now = [errors.arc_length, action, state[6:], state[3:4]]
        return action, torch.cat([*now, car.commands[0, :-1].flatten()])


class _ExactELU(nn.Module):
    """ELU by other operations: ONNX Runtime has none of 64 bits."""

    def forward(self, value: Tensor) -> Tensor:
        return torch.relu(value) + torch.exp(value.clamp_max(0.0)) - 1


Place = tuple[Tensor, Tensor]
"""The number of a piece of the path, and the way from where it begins, which may lead beyond it."""


class PlainRoad(nn.Module):
    """A path as tables of cubics, for one car: what is not said otherwise has shape (1,)."""

    knots: Tensor
    """Where pieces begin, x and y [m], shape (rows, 2)."""
    marks: Tensor
    """Those that a search looks at."""
    points: Tensor
    """Cubics of x and y of the knot and from it on, heading, curvature, speed and rate of the
    heading, shape (rows, 4, 8)."""
    profile: Tensor
    """Cubics of curvature and speed, shape (rows, 8)."""
    exponents: Tensor
    """Of the powers in a cubic."""

    def __init__(self, path: ReferencePath, dtype: torch.dtype) -> None:
        super().__init__()
        cubics = torch.from_numpy(path.coefficients)
        heading = cubics[:, _HEADING, 3]
        cubics[:, _HEADING, 3] = heading - 2 * math.pi * torch.round(heading / (2 * math.pi))
        # Positions are counted from where a piece begins; what rounding takes from that is not
        # lost, but stays in the cubic.
        knots = cubics[:, :2, 3].to(dtype, copy=True)
        cubics[:, :2, 3] -= knots
        self.num_pieces = len(path.grid) - 1
        self.step = path.length / self.num_pieces
        self.is_closed = path.closed
        self.cubics = cubics
        """All of them in 64 bits, shape (rows, 5, 4)."""
        self.stride = max(1, min(round(_SEARCH_SPACING / self.step), self.num_pieces // 50))
        """Of the pieces whose beginnings are looked at in a search."""
        bend = cubics[:, _HEADING] * cubics.new_tensor([3.0, 2.0, 1.0, 0.0])
        constant = torch.stack([torch.zeros_like(knots)] * 3 + [knots], -1)
        columns = [constant, cubics, bend.roll(1, -1)[:, None]]
        tables = {
            "knots": knots,
            "marks": knots[: self.num_pieces : self.stride].clone(),
            "points": torch.cat(columns, 1).transpose(1, 2),
            "profile": cubics[:, 3:].transpose(1, 2).flatten(1),
            "exponents": cubics.new_tensor([3.0, 2.0, 1.0, 0.0]),
        }
        for name, table in tables.items():
            self.register_buffer(name, table.to(dtype).contiguous())

    def find(self, position: Tensor, arc_length: Tensor) -> Place:
        """Return about where a car is, at a position (1, 2), that is expected at an arc length [m].

        If that is no number, the path is searched.
        """
        is_known = arc_length.abs() < LONGEST_WAY
        mark = (self.marks - position).square().sum(-1).argmin().to(position)
        piece = torch.where(is_known, 0.0, mark * self.stride)
        return piece, torch.where(is_known, arc_length, 0.0)

    def nearest(
        self, position: Tensor, place: Place
    ) -> tuple[Place, Tensor, Tensor, Tensor, Tensor]:
        """Return where the path is nearest to a position (1, 2), by Newton's method from a place.

        Always as many steps: an exported graph has no end in between.

        Returns:
            The place, and how far the position is to the left of it [m]; heading [rad], curvature
            [1/m] and speed [m/s] of the path there.
        """
        for steps_left in range(NEWTON_STEPS, -1, -1):
            place, here = self._point(place)
            knot, on_from_it, heading, curvature, speed, bend = here
            gap_x, gap_y = (position[0] - knot - on_from_it).split(1)
            cos, sin = torch.cos(heading), torch.sin(heading)
            left = gap_y * cos - gap_x * sin
            if steps_left:
                along = gap_x * cos + gap_y * sin
                step = along / (1 - bend * left).clamp_min(MIN_SLOPE)
                place = place[0], place[1] + step.clamp(-LONGEST_STEP, LONGEST_STEP)
        return place, left, heading, curvature, speed

    def arc_length(self, place: Place) -> Tensor:
        """Return how far along the path a place is [m], within the lap of a closed one."""
        piece, way = place
        if self.is_closed:
            piece = self._row(piece).to(way.dtype)
        return piece * self.step + way

    def preview(self, place: Place, distances: Tensor) -> PathPoint:
        """Return curvature and speed at distances (K,) ahead; nobody asks for the rest."""
        (piece, way), row = self._on_a_piece((place[0], place[1] + distances))
        a, b, c, d = torch.nn.functional.embedding(row, self.profile).chunk(4, -1)
        t = way[:, None]
        curvature, speed = (((a * t + b) * t + c) * t + d).unbind(-1)
        return PathPoint(piece[None, :0], piece[None, :0], curvature[None], speed[None])

    def _point(self, place: Place) -> tuple[Place, tuple[Tensor, ...]]:
        """Return a place with its own piece, and the values of its row in the table of points."""
        place, row = self._on_a_piece(place)
        powers = place[1] ** self.exponents
        return place, (powers @ self.points[row])[0].split([2, 2, 1, 1, 1, 1])

    def _on_a_piece(self, place: Place) -> tuple[Place, Tensor]:
        """Return places with the pieces that they lie on, and where in the tables these are.

        An open path goes straight on before its first piece and after its last one.
        """
        piece, way = place
        further = torch.floor(way / self.step)
        if not self.is_closed:
            further = (piece + further).clamp(-1.0, float(self.num_pieces)) - piece
        piece = piece + further
        return (piece, way - further * self.step), self._row(piece)

    def _row(self, piece: Tensor) -> Tensor:
        """Return where in the tables pieces are; what is no number stays none, but is no index."""
        return piece.long() % len(self.points)


@dataclass(frozen=True)
class _Ahead:
    """The road as it is seen from a place on it, which says more digits than an arc length does."""

    road: PlainRoad
    place: Place

    def preview(self, arc_length: Tensor, distances: Tensor) -> PathPoint:
        """Return the points at distances (K,) or (1, K) ahead of the place."""
        return self.road.preview(self.place, distances.flatten())
