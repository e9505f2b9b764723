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
        self.scales = (*(entry.scale for entry in _HERE), *(entry.scale for entry in ahead))
        """What each entry is divided by."""
        self.signs = (*(entry.sign for entry in _HERE), *(entry.sign for entry in ahead))
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
            *(entry.name for entry in _HERE),
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
            reference, least = state.speed - errors.speed_error, _like(state.speed, (_LEAST_SPEED,))
            pace = _hypot(reference, least) if is_exported else torch.hypot(reference, least)
            reach = pace[:, None] * reach
        points = errors.path.preview(errors.arc_length, reach)
        here = [entry.of(state, errors) for entry in _HERE]
        everywhere = [entry.of(state, points) for entry in self._ahead]
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
