"""What the tracking network sees."""

from collections.abc import Callable
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState
from diffcar.path.reference import PathPoint
from diffcar.sim.contract import CarState, map_tensors

__all__ = ["PathObserver"]

RoadT = TypeVar("RoadT")


class _Entry(NamedTuple, Generic[RoadT]):
    """An entry of the observation, or one for each preview distance."""

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
_AHEAD = (
    _Entry[PathPoint]("curvature", 0.8, -1.0, lambda _, ahead: ahead.curvature),
    _Entry[PathPoint]("speed", 1.0, 1.0, lambda state, ahead: ahead.speed - state.speed[:, None]),
)


def _previews(config: ControllerConfig) -> tuple[list[float], ...]:
    """Return the distances ahead [m] of each entry of `_AHEAD`."""
    return config.curvature_preview, config.speed_preview


class PathObserver:
    """What the network sees: errors, the car's motion, and the road ahead, each of order one."""

    def __init__(self, config: ControllerConfig) -> None:
        previews = _previews(config)
        self._distances = torch.tensor([d for own in previews for d in own], dtype=torch.float64)
        first = len(previews[0])
        self._columns = (slice(first), slice(first, None))
        self._scales = torch.tensor([entry.scale for entry in _HERE], dtype=torch.float64)
        ahead = [e.sign for e, own in zip(_AHEAD, previews, strict=True) for _ in own]
        self._signs = torch.tensor([*(entry.sign for entry in _HERE), *ahead])

    @staticmethod
    def size(config: ControllerConfig) -> int:
        """Return the number of entries of an observation."""
        return len(PathObserver.names(config))

    @staticmethod
    def names(config: ControllerConfig) -> tuple[str, ...]:
        """Return what the entries of an observation are called, previews with their distance."""
        ahead = zip(_AHEAD, _previews(config), strict=True)
        return (
            *(entry.name for entry in _HERE),
            *(f"{entry.name}_{distance:.10g}m" for entry, own in ahead for distance in own),
        )

    def mirror(self, observation: Tensor) -> Tensor:
        """Return what cars would observe, (B, size), if left and right were exchanged."""
        return observation * self._signs.to(observation)

    def observe(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return the observation, shape (B, size)."""
        here = torch.stack([e.of(state, errors) for e in _HERE], -1) / self._scales.to(state.speed)
        points = errors.path.preview(errors.arc_length, self._distances.to(state.speed))
        ahead = [
            entry.of(state, map_tensors(points, itemgetter((slice(None), own)))) / entry.scale
            for entry, own in zip(_AHEAD, self._columns, strict=True)
        ]
        return torch.cat([here, *ahead], dim=-1)
