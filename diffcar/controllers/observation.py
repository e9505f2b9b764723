"""What the tracking network sees."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from diffcar.base.geometry import constant
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState
from diffcar.path.reference import PathPoint
from diffcar.sim.contract import CarState

__all__ = ["LEAST_MISFIT", "LEAST_MOTION", "LEAST_REGRESSOR", "PathObserver"]

RoadT = TypeVar("RoadT")


class _Entry(NamedTuple, Generic[RoadT]):
    """An entry of the observation, or one for each preview."""

    name: str
    scale: float
    """Its characteristic size, of the shipped car."""
    power: float
    """Of a car's size that it grows with."""
    sign: float
    """Its factor if left and right are exchanged."""
    of: Callable[[CarState, RoadT], Tensor]


_HERE = (
    _Entry[ErrorState]("cross_track", 0.1, 1, -1.0, lambda _, errors: errors.cross_track_error),
    _Entry[ErrorState]("heading_error", 0.2, 0, -1.0, lambda _, errors: errors.heading_error),
    _Entry[ErrorState]("speed_error", 1.0, 0.5, 1.0, lambda _, errors: errors.speed_error),
    _Entry[ErrorState]("speed", 2.0, 0.5, 1.0, lambda state, _: state.speed),
    _Entry[ErrorState]("yaw_rate", 2.0, -0.5, -1.0, lambda state, _: state.yaw_rate),
    _Entry[ErrorState]("lateral_velocity", 0.2, 0.5, -1.0, lambda car, _: car.lateral_velocity),
    _Entry[ErrorState]("steering_angle", 0.3, 0, -1.0, lambda car, _: car.steering_angles.mean(-1)),
)


class _Past(NamedTuple):
    """An entry of the observation for each step that is remembered."""

    name: str
    scale: float
    power: float
    sign: float
    told_from_speed: float
    """Whether it is told from the present speed."""


_PAST = (
    _Past("steering_command", 0.3, 0.0, -1.0, 0.0),
    _Past("speed_command", 0.5, 0.5, 1.0, 1.0),
    _Past("steering_angle", 0.3, 0.0, -1.0, 0.0),
    _Past("speed", 0.5, 0.5, 1.0, 1.0),
)
# Below these little is known: of the squared steering motion [rad²], of the share of it that is
# left unexplained, and of the square of what explains it [rad²]. Smaller ones tell delays sooner,
# but so abruptly that gradients become useless where the steering nearly rests.
LEAST_MOTION, LEAST_MISFIT, LEAST_REGRESSOR = 3e-5, 5e-4, 3e-6


def _lateness(angle: Tensor, commands: Tensor, num_delays: int) -> Tensor:
    """Return how well each delay explains how the steering has come to its angle, (B, num_delays).

    The delays are from none on, two of them at least.

    What a servo does in a step is a sum of parts of its angle, of its motion the step before, of a
    constant, and of the command that has come to it. What all but the command tell of the motions
    is taken away from these and from the commands of as many steps before as each delay has. What
    the latter then leave unexplained tells how likely the delay is, whatever the servo's gains and
    its offset; where the steering rests, all are alike.
    """
    num_steps = commands.shape[1] - num_delays + 1
    angles = torch.cat([angle[:, None], commands[..., 2]], 1)
    before = angles[:, 1 : num_steps + 1]
    motion, earlier = angles[:, :num_steps] - before, before - angles[:, 2 : num_steps + 2]
    given = commands[..., 0].unfold(1, num_steps, 1)
    series = (motion[:, None], given, before[:, None], earlier[:, None])
    motion, given, before, earlier = (own - own.mean(-1, keepdim=True) for own in series)
    earlier = _without(earlier, before)
    left, given = (_without(_without(own, before), earlier) for own in (motion, given))
    misfit = _without(left, given).square().sum(-1) / (motion.square().sum(-1) + LEAST_MOTION)
    fit = 1 / (LEAST_MISFIT + misfit)
    return fit / fit.sum(-1, keepdim=True)


def _without(series: Tensor, other: Tensor) -> Tensor:
    """Return what is left of series (..., N) once others have told of them what they can."""
    along = (series * other).sum(-1, keepdim=True)
    return series - along / (other.square().sum(-1, keepdim=True) + LEAST_REGRESSOR) * other


_AHEAD = {
    unit: (
        _Entry[PathPoint]("curvature", scale, -1, -1.0, lambda _, ahead: ahead.curvature),
        _Entry[PathPoint](
            "speed", 1.0, 0.5, 1.0, lambda car, road: road.speed - car.speed[:, None]
        ),
    )
    for unit, scale in (("m", 0.8), ("s", 1.6))
}
# Where the reference is slower, a car in seconds looks as far ahead as at this speed [m/s], of the
# shipped one's size; at twice that, turns count twice as much as at rest.
_LEAST_SPEED = 1.0


def _previews(config: ControllerConfig) -> tuple[list[float], ...]:
    """Return how far ahead each entry of `_AHEAD` is."""
    return config.curvature_preview, config.speed_preview


class PathObserver:
    """What the network sees: errors, the car's motion, and the road ahead, each of order one."""

    def __init__(self, config: ControllerConfig) -> None:
        previews = _previews(config)
        self.config = config
        """What is seen."""
        self._ahead = _AHEAD[config.preview_unit]
        self._reach = tuple(reach for own in previews for reach in own)
        self._widths = [len(own) for own in previews]
        self.least_speed = _LEAST_SPEED * math.sqrt(config.car_size)
        """Where the reference is slower, as far is looked ahead in seconds as at it [m/s]."""

        def scales(entries: Sequence[_Entry[Any] | _Past]) -> tuple[float, ...]:
            return tuple(own.scale * config.car_size**own.power for own in entries)

        ahead = [entry for entry, own in zip(self._ahead, previews, strict=True) for _ in own]
        own: tuple[_Entry[Any], ...] = (*_HERE, *ahead)
        past, late = config.past_commands, [1.0] * config.num_delays
        self._own_scales, self._past_scales = scales(own), scales(_PAST)
        self.scales = (*self._own_scales, *self._past_scales * past, *late)
        """What each entry is divided by."""
        self.signs = (*(e.sign for e in own), *[e.sign for e in _PAST] * past, *late)
        """Factor of each if left and right are exchanged."""

    @staticmethod
    def size(config: ControllerConfig) -> int:
        """Return the number of entries of an observation."""
        return len(PathObserver.names(config))

    @staticmethod
    def names(config: ControllerConfig) -> tuple[str, ...]:
        """Return what the entries of an observation are called, previews with how far they are."""
        unit, past = config.preview_unit, range(1, config.past_commands + 1)
        ahead = zip(_AHEAD[unit], _previews(config), strict=True)
        return (
            *(entry.name for entry in _HERE),
            *(f"{entry.name}_{reach:.10g}{unit}" for entry, own in ahead for reach in own),
            *(f"{entry.name}_{ago}" for ago in past for entry in _PAST),
            *(f"lateness_{delay}" for delay in range(config.num_delays)),
        )

    def mirror(self, observation: Tensor) -> Tensor:
        """Return what cars would observe, (B, size), if left and right were exchanged."""
        return observation * _like(observation, self.signs)

    def observe(self, state: CarState, errors: ErrorState, *, is_exported: bool = False) -> Tensor:
        """Return the observation, shape (B, size).

        Args:
            is_exported: Whether by operations that other formats have, too, instead of a fused one.
        """
        reach = _like(state.speed, self._reach)
        if self.config.preview_unit == "s":
            reference = state.speed - errors.speed_error
            least = _like(state.speed, (self.least_speed,))
            pace = _hypot(reference, least) if is_exported else torch.hypot(reference, least)
            reach = pace[:, None] * reach
        points = errors.path.preview(errors.arc_length, reach)
        here = [entry.of(state, errors) for entry in _HERE]
        everywhere = [entry.of(state, points) for entry in self._ahead]
        if self.config.preview_unit == "s":
            # The faster a car is the gentler its turns are, and the more of them matters.
            everywhere[0] = everywhere[0] * (1 + state.speed[:, None] / (2 * self.least_speed))
        join = _joined if is_exported else _Row.apply
        row = join(_like(state.speed, self._own_scales), self._widths, *here, *everywhere)
        return row if not self.config.past_commands else torch.cat([row, self._past(state)], -1)

    def _past(self, state: CarState) -> Tensor:
        """Return the entries of the last commands, shape (B, their number)."""
        assert state.commands is not None
        commands = state.commands[:, : self.config.past_commands]
        told_from_speed = tuple(entry.told_from_speed for entry in _PAST)
        present = state.speed[:, None, None] * _like(state.speed, told_from_speed)
        past = (commands - present) / _like(state.speed, self._past_scales)
        if not self.config.num_delays:
            return past.flatten(1)
        late = _lateness(state.steering_angles.mean(-1), commands, self.config.num_delays)
        return torch.cat([past.flatten(1), late], -1)


def _hypot(a: Tensor, b: Tensor) -> Tensor:
    """Return what torch has an operation for that ONNX lacks."""
    return (a * a + b * b).sqrt()


def _joined(scales: Tensor, widths: list[int], *entries: Tensor) -> Tensor:
    """Join entries (B,), then entries (B, K) with as many own columns each, in their order."""
    num_here = len(entries) - len(widths)
    ahead = [
        entry.split_with_sizes(widths, -1)[number]
        for number, entry in enumerate(entries[num_here:])
    ]
    return torch.cat([torch.stack(entries[:num_here], -1), *ahead], -1) / scales


class _Row(Function):
    """Entries beside each other over their scales, in one operation; once differentiable."""

    @staticmethod
    def forward(ctx: Any, scales: Tensor, widths: list[int], *entries: Tensor) -> Tensor:  # noqa: ANN401
        """Take what `_joined` takes."""
        ctx.scales, ctx.widths = scales, [len(entries) - len(widths), *widths]
        return _joined(scales, widths, *entries)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        here, *ahead = (gradient / ctx.scales).split_with_sizes(ctx.widths, -1)
        widths = ctx.widths[1:]
        everywhere = [
            pad(own, (sum(widths[:number]), sum(widths[number + 1 :])))
            for number, own in enumerate(ahead)
        ]
        return None, None, *here.unbind(-1), *everywhere


def _like(tensor: Tensor, values: tuple[float, ...]) -> Tensor:
    """Return numbers in the precision and on the device of a tensor."""
    return constant(values, tensor.dtype, tensor.device)
