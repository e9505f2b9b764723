"""What the tracking network sees."""

from collections.abc import Callable
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

__all__ = ["PathObserver"]

RoadT = TypeVar("RoadT")


class _Entry(NamedTuple, Generic[RoadT]):
    """An entry of the observation, or one for each preview."""

    name: str
    scale: float
    """Its characteristic size."""
    sign: float
    """Its factor if left and right are exchanged."""
    of: Callable[[CarState, RoadT], Tensor]


_HERE = (
    _Entry[ErrorState]("cross_track", 0.1, -1.0, lambda _, errors: errors.cross_track_error),
    _Entry[ErrorState]("heading_error", 0.2, -1.0, lambda _, errors: errors.heading_error),
    _Entry[ErrorState]("speed_error", 1.0, 1.0, lambda _, errors: errors.speed_error),
    _Entry[ErrorState]("speed", 2.0, 1.0, lambda state, _: state.speed),
    _Entry[ErrorState]("yaw_rate", 2.0, -1.0, lambda state, _: state.yaw_rate),
    _Entry[ErrorState]("lateral_velocity", 0.2, -1.0, lambda state, _: state.lateral_velocity),
    _Entry[ErrorState]("steering_angle", 0.3, -1.0, lambda car, _: car.steering_angles.mean(-1)),
)

# Of a step in the past: its name, scale and sign, and whether it is told from the present speed.
_PAST = (
    ("steering_command", 0.3, -1.0, 0.0),
    ("speed_command", 0.5, 1.0, 1.0),
    ("steering_angle", 0.3, -1.0, 0.0),
    ("speed", 0.5, 1.0, 1.0),
)
# Of the squared steering motion [rad²], and of a share: below these, nothing is known.
_LEAST_MOTION, _LEAST_MISFIT = 1e-5, 0.01


def _lateness(angle: Tensor, commands: Tensor) -> Tensor:
    """Return how well each delay explains how the steering has come to its angle, (B, K // 2).

    A servo moves in proportion to what is missing to its command. So the last motions correlate
    best with what was missing to the commands as many steps before as commands are late. What a
    delay leaves unexplained tells how likely it is; where the steering rests, all are alike.
    """
    num_steps = commands.shape[1] - commands.shape[1] // 2 + 1
    before = commands[:, :num_steps, 2]
    motion = torch.cat([angle[:, None], before[:, :-1]], 1) - before
    given = commands[..., 0].unfold(1, num_steps, 1)
    missing = given - before[:, None]
    together = (missing * motion[:, None]).sum(-1).clamp_min(0.0)
    most = (missing.square().sum(-1) + _LEAST_MOTION) * (
        motion.square().sum(-1, keepdim=True) + _LEAST_MOTION
    )
    fit = 1 / (1 + _LEAST_MISFIT - together.square() / most)
    return fit / fit.sum(-1, keepdim=True)


_SPEED_AHEAD = _Entry[PathPoint](
    "speed", 1.0, 1.0, lambda state, ahead: ahead.speed - state.speed[:, None]
)
_AHEAD = {
    "m": (
        _Entry[PathPoint]("curvature", 0.8, -1.0, lambda _, ahead: ahead.curvature),
        _SPEED_AHEAD,
    ),
    "s": (
        # The faster a car is the gentler its turns are, and the more of them matters.
        _Entry[PathPoint](
            "curvature", 1.6, -1.0, lambda state, ahead: ahead.curvature * _faster(state.speed)
        ),
        _SPEED_AHEAD,
    ),
}
# Where the reference is slower, a car in seconds looks as far ahead as at this speed [m/s].
_LEAST_SPEED = 1.0


def _faster(speed: Tensor) -> Tensor:
    """Return a factor that grows from one at rest in proportion to the speed, shape (B, 1)."""
    return 1 + speed[:, None] / 2


def _past_names(num_commands: int) -> list[str]:
    """Return what the entries are called that the last commands are seen by."""
    past = [f"{name}_{ago}" for ago in range(1, num_commands + 1) for name, *_ in _PAST]
    return past + [f"lateness_{delay}" for delay in range(num_commands // 2)]


def _previews(config: ControllerConfig) -> tuple[list[float], ...]:
    """Return how far ahead each entry of `_AHEAD` is."""
    return config.curvature_preview, config.speed_preview


class PathObserver:
    """What the network sees: errors, the car's motion, and the road ahead, each of order one."""

    def __init__(self, config: ControllerConfig) -> None:
        previews = _previews(config)
        self._unit = config.preview_unit
        self._ahead = _AHEAD[self._unit]
        self._reach = tuple(reach for own in previews for reach in own)
        self._widths = [len(own) for own in previews]
        ahead = [entry for entry, own in zip(self._ahead, previews, strict=True) for _ in own]
        self.past_commands = config.past_commands
        """How many of the last commands are seen."""
        self._scales = (*(entry.scale for entry in _HERE), *(entry.scale for entry in ahead))
        past = [sign for _ in range(self.past_commands) for _, _, sign, _ in _PAST]
        past += [1.0] * (self.past_commands // 2)
        self._signs = (*(own.sign for own in _HERE), *(own.sign for own in ahead), *past)

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
            *(entry.name for entry in _HERE),
            *(f"{entry.name}_{reach:.10g}{unit}" for entry, own in ahead for reach in own),
            *_past_names(config.past_commands),
        )

    def mirror(self, observation: Tensor) -> Tensor:
        """Return what cars would observe, (B, size), if left and right were exchanged."""
        return observation * _like(observation, self._signs)

    def observe(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return the observation, shape (B, size)."""
        reach = _like(state.speed, self._reach)
        if self._unit == "s":
            pace = torch.hypot(
                state.speed - errors.speed_error, _like(state.speed, (_LEAST_SPEED,))
            )
            reach = pace[:, None] * reach
        points = errors.path.preview(errors.arc_length, reach)
        here = [entry.of(state, errors) for entry in _HERE]
        everywhere = [entry.of(state, points) for entry in self._ahead]
        row = _Row.apply(_like(state.speed, self._scales), self._widths, *here, *everywhere)
        return row if not self.past_commands else torch.cat([row, self._past(state)], -1)

    def _past(self, state: CarState) -> Tensor:
        """Return the entries of the last commands, shape (B, their number)."""
        assert state.commands is not None
        commands = state.commands[:, : self.past_commands]
        scales = _like(state.speed, tuple(scale for _, scale, _, _ in _PAST))
        from_speed = _like(state.speed, tuple(share for _, _, _, share in _PAST))
        past = (commands - state.speed[:, None, None] * from_speed) / scales
        if self.past_commands == 1:
            return past.flatten(1)
        return torch.cat([past.flatten(1), _lateness(state.steering_angles.mean(-1), commands)], -1)


class _Row(Function):
    """Entries beside each other over their scales, in one operation; once differentiable."""

    @staticmethod
    def forward(ctx: Any, scales: Tensor, widths: list[int], *entries: Tensor) -> Tensor:  # noqa: ANN401
        """Take entries (B,), then entries (B, K) with as many own columns each, in their order."""
        num_here = len(entries) - len(widths)
        ahead = [
            entry.split_with_sizes(widths, -1)[number]
            for number, entry in enumerate(entries[num_here:])
        ]
        ctx.scales, ctx.widths = scales, [num_here, *widths]
        return torch.cat([torch.stack(entries[:num_here], -1), *ahead], -1) / scales

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
