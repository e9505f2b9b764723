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

__all__ = ["LEAST_MISFIT", "LEAST_MOTION", "PathObserver"]

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


def _past(number: int) -> list[_Entry[ErrorState]]:
    """Return the entries of so many steps ago: what was commanded, and how the car was then."""

    def entry(
        name: str, scale: float, power: float, sign: float, column: int
    ) -> _Entry[ErrorState]:
        def of(state: CarState, _: ErrorState) -> Tensor:
            assert state.commands is not None
            own = state.commands[:, number - 1, column]
            return own - state.speed if column % 2 else own

        return _Entry(f"{name}_{number}", scale, power, sign, of)

    names = ("steering_command", "speed_command", "steering_angle", "speed")
    how = ((0.3, 0.0, -1.0), (0.5, 0.5, 1.0)) * 2
    return [
        entry(name, *own, column) for column, (name, own) in enumerate(zip(names, how, strict=True))
    ]


# Of the squared steering motion [rad²], and of a share: below these, nothing is known.
LEAST_MOTION, LEAST_MISFIT = 1e-5, 0.01


def _lateness(state: CarState, num_commands: int) -> Tensor:
    """Return how well each delay explains how the steering has moved, shape (B, K // 2).

    A servo moves in proportion to what is missing to its command. So the last motions correlate
    best with what was missing to the commands as many steps before as commands are late. What a
    delay leaves unexplained tells how likely it is; where the steering rests, all are alike.
    """
    assert state.commands is not None
    num_delays = num_commands // 2
    num_steps = num_commands - num_delays + 1
    angles = torch.cat(
        [state.steering_angles.mean(-1)[:, None], state.commands[:, :num_steps, 2]], 1
    )
    motion, before = angles[:, :-1] - angles[:, 1:], angles[:, 1:]
    commands = state.commands[:, :num_commands, 0].unfold(1, num_steps, 1)[:, :num_delays]
    missing = commands - before[:, None]
    together = (missing * motion[:, None]).sum(-1).clamp_min(0.0)
    most = (missing.square().sum(-1) + LEAST_MOTION) * (
        motion.square().sum(-1, keepdim=True) + LEAST_MOTION
    )
    fit = 1 / (1 + LEAST_MISFIT - together.square() / most)
    return fit / fit.sum(-1, keepdim=True)


_SPEED_AHEAD = _Entry[PathPoint](
    "speed", 1.0, 0.5, 1.0, lambda state, ahead: ahead.speed - state.speed[:, None]
)
_AHEAD = {
    "m": (
        _Entry[PathPoint]("curvature", 0.8, -1, -1.0, lambda _, ahead: ahead.curvature),
        _SPEED_AHEAD,
    ),
    "s": (
        _Entry[PathPoint]("curvature", 1.6, -1, -1.0, lambda _, ahead: ahead.curvature),
        _SPEED_AHEAD,
    ),
}
# Where the reference is slower, a car in seconds looks as far ahead as at this speed [m/s], of the
# shipped one's size; at twice that, turns count twice as much as at rest.
_LEAST_SPEED = 1.0


def _here(config: ControllerConfig) -> list[_Entry[ErrorState]]:
    """Return the entries that are no previews."""
    past = (entry for number in range(config.past_commands) for entry in _past(number + 1))
    return [*_HERE, *past]


def _delays(config: ControllerConfig) -> list[str]:
    """Return the names of the entries of `_lateness`."""
    return [f"lateness_{number}" for number in range(config.past_commands // 2)]


def _previews(config: ControllerConfig) -> tuple[list[float], ...]:
    """Return how far ahead each entry of `_AHEAD` is."""
    return config.curvature_preview, config.speed_preview


class PathObserver:
    """What the network sees: errors, the car's motion, and the road ahead, each of order one."""

    def __init__(self, config: ControllerConfig) -> None:
        previews = _previews(config)
        self.config = config
        """What is seen."""
        self._unit = config.preview_unit
        self._ahead = _AHEAD[self._unit]
        self._reach = tuple(reach for own in previews for reach in own)
        self._widths = [len(own) for own in previews]
        ahead = [entry for entry, own in zip(self._ahead, previews, strict=True) for _ in own]
        self.past_commands = config.past_commands
        """How many of the last commands are seen."""
        self._here = _here(config)
        self.least_speed = _LEAST_SPEED * math.sqrt(config.car_size)
        """Where the reference is slower, as far is looked ahead in seconds as at it [m/s]."""
        here, late = self._here, [1.0 for _ in _delays(config)]

        def scales(entries: Sequence[_Entry[Any]]) -> list[float]:
            return [own.scale * config.car_size**own.power for own in entries]

        self.scales = (*scales(here), *late, *scales(ahead))
        """What each entry is divided by."""
        self.signs = (*(own.sign for own in here), *late, *(own.sign for own in ahead))
        """Factor of each if left and right are exchanged."""

    @staticmethod
    def size(config: ControllerConfig) -> int:
        """Return the number of entries of an observation."""
        return len(PathObserver.names(config))

    @staticmethod
    def names(config: ControllerConfig) -> tuple[str, ...]:
        """Return what the entries of an observation are called, previews with how far they are."""
        unit = config.preview_unit
        ahead = zip(_AHEAD[unit], _previews(config), strict=True)
        return (
            *(entry.name for entry in _here(config)),
            *_delays(config),
            *(f"{entry.name}_{reach:.10g}{unit}" for entry, own in ahead for reach in own),
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
        if self._unit == "s":
            reference = state.speed - errors.speed_error
            least = _like(state.speed, (self.least_speed,))
            pace = _hypot(reference, least) if is_exported else torch.hypot(reference, least)
            reach = pace[:, None] * reach
        points = errors.path.preview(errors.arc_length, reach)
        here = [entry.of(state, errors) for entry in self._here]
        if self.past_commands > 1:
            here += _lateness(state, self.past_commands).unbind(-1)
        everywhere = [entry.of(state, points) for entry in self._ahead]
        if self._unit == "s":
            # The faster a car is the gentler its turns are, and the more of them matters.
            everywhere[0] = everywhere[0] * (1 + state.speed[:, None] / (2 * self.least_speed))
        scales = _like(state.speed, self.scales)
        join = _joined if is_exported else _Row.apply
        return join(scales, self._widths, *here, *everywhere)


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
