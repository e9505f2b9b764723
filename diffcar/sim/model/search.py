"""Which joints of somebody's car steer and roll: by where they are and what they carry."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffcar.base.errors import ModelError
from diffcar.sim.config import CarReadingConfig
from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import collides, shape_name

if TYPE_CHECKING:
    import mujoco

__all__ = ["Found", "Tyre", "find_joints", "tyre_of"]

_STEERING_WORDS = ("steer", "knuckle", "ackermann")
_WHEEL_WORDS = ("wheel", "spin", "roll", "tire", "tyre")
# Of the radius: how far from round as a mesh or an ellipsoid, or off its axle, a wheel may be, and
# off the ground.
_ROUND, _OVAL, _ECCENTRIC, _LIFTED = 0.9, 0.02, 0.1, 0.3
_NUM_SECTORS = 8
_KINDS = "diffcar trains cars with four wheels of which the front ones are steered"


@dataclass(frozen=True)
class Tyre:
    """The largest round geometry about a joint's axis."""

    geom: int
    """Its index in the model."""
    radius: float
    """[m]."""
    centre: np.ndarray
    """On the axis, in the frame of the base [m]."""
    collides: bool
    """Or it only shows."""


@dataclass(frozen=True)
class Found:
    """Joints of a car, front to rear and left to right."""

    steering: tuple[str, ...]
    """Names of the two that steer."""
    wheels: tuple[str, ...]
    """Names of the four that roll."""
    notes: tuple[str, ...]
    """How they were found, where they were not named."""


def find_joints(
    file: Path, model: "mujoco.MjModel", layout: Layout, reading: CarReadingConfig
) -> Found:
    """Return the two steering and four wheel joints, those that are given or those that are found.

    A wheel is a hinge across the car with something round about it that is on the ground, steering
    a hinge about the vertical above one front wheel. What joints are called decides only where
    that does not.

    Raises:
        ModelError: If there are others, in words about the kind of robot that it is.
    """
    search = _Search(file, model, layout)
    steering, wheels = reading.steering_joints, reading.wheel_joints
    own_wheels = search.given("wheel", wheels) if wheels else search.wheels()
    own_steering = search.given("steering", steering) if steering else search.steering(own_wheels)
    turning, rolling = _in_order(layout, own_steering), _in_order(layout, own_wheels)
    search.require_front(turning, rolling)
    told = f"steering joints {', '.join(turning)}; wheel joints {', '.join(rolling)}"
    return Found(turning, rolling, () if steering and wheels else (told,))


def tyre_of(model: "mujoco.MjModel", layout: Layout, joint: str) -> Tyre | None:
    """Return what is round about a joint's axis; what collides comes before what only shows."""
    body = int(model.joint(joint).bodyid[0])
    own = [
        geom for geom in range(model.ngeom) if model.body_weldid[model.geom_bodyid[geom]] == body
    ]
    tyres = [tyre for geom in own if (tyre := _tyre(model, layout, joint, geom)) is not None]
    return max(tyres, key=lambda tyre: (tyre.collides, tyre.radius), default=None)


def _tyre(model: "mujoco.MjModel", layout: Layout, joint: str, geom: int) -> Tyre | None:
    """Return a geometry as a tyre, if it is round about a joint's axis."""
    axis, anchor = layout.axis(joint), layout.anchor(joint)
    shape = shape_name(model.geom_type[geom])
    if shape == "sphere":
        radius = float(model.geom_size[geom][0])
    elif shape in ("cylinder", "capsule", "ellipsoid"):
        around = layout.radii_about(joint, geom)
        if not around.size or np.ptp(around) > _OVAL * around[0]:
            return None
        radius = float(around.mean())
    elif shape == "mesh":
        points = layout.vertices(geom) - anchor
        points = points - np.outer(points @ axis, axis)
        ahead = np.cross(axis, (0.0, 0.0, 1.0))
        angles = np.arctan2(points[:, 2], points @ ahead)
        distances = np.linalg.norm(points, axis=1)
        radius = float(distances.max())
        sectors = ((angles / (2 * np.pi) + 0.5) * _NUM_SECTORS).astype(int) % _NUM_SECTORS
        furthest = [distances[sectors == n].max(initial=0.0) for n in range(_NUM_SECTORS)]
        if min(furthest) < _ROUND * radius:
            return None
    else:
        return None
    offset = layout.centre(geom) - anchor
    along_axle = axis * (offset @ axis)
    if np.linalg.norm(offset - along_axle) > _ECCENTRIC * radius or radius <= 0:
        return None
    return Tyre(geom, radius, anchor + along_axle, collides(model, geom))


class _Search:
    """The hinges of one model."""

    def __init__(self, file: Path, model: "mujoco.MjModel", layout: Layout) -> None:
        import mujoco

        self._file, self._model, self._layout = file, model, layout
        is_hinge = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
        self._hinges = [model.joint(joint).name for joint in is_hinge.nonzero()[0]]

    def given(self, kind: str, names: Sequence[str]) -> tuple[str, ...]:
        """Return names that a user gives, which must be hinges, as many as a car has."""
        count = 2 if kind == "steering" else 4
        unknown = [repr(name) for name in names if name not in self._hinges]
        if unknown:
            raise self._error(f" has no hinge {', '.join(unknown)}", kind)
        if len(set(names)) != count:
            raise self._error(f" has {len(set(names))} {kind} joints instead of {count}", kind)
        return tuple(names)

    def wheels(self) -> tuple[str, ...]:
        """Return the four hinges that roll on the ground."""
        layout = self._layout
        across = [name for name in self._hinges if layout.is_along(name, 1)]
        tyres = {n: tyre for n in across if (tyre := tyre_of(self._model, layout, n)) is not None}
        ground = min((own.centre[2] - own.radius for own in tyres.values()), default=0.0)
        rolling = tuple(
            name
            for name, own in tyres.items()
            if own.centre[2] - own.radius - ground < _LIFTED * own.radius
        )
        if len(rolling) == 4:
            return rolling
        named = tuple(
            name
            for name in self._hinges
            if any(word in name.lower() for word in _WHEEL_WORDS)
            and not any(word in name.lower() for word in _STEERING_WORDS)
        )
        if len(named) == 4:
            return named
        raise self._error(self._kind_of_robot(max(rolling, named, key=len)), "wheel")

    def steering(self, wheels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the two hinges that turn a wheel each."""
        above = {name: self._below(name, wheels) for name in self._hinges if name not in wheels}
        single = [name for name, own in above.items() if len(own) == 1]
        turning = tuple(name for name in single if self._layout.is_along(name, 2))
        if len(turning) == 2:
            return turning
        words = _STEERING_WORDS
        named = tuple(n for n in single if any(word in n.lower() for word in words))
        if len(named) == 2:
            return named
        if len(turning) == 4:
            raise self._error(
                f" steers all four wheels, by {', '.join(turning)}; {_KINDS}",
                "steering",
                "name the front ones, so that the rear ones are held straight",
            )
        upright = [name for name in above if self._layout.is_along(name, 2)]
        if whole := [name for name in upright if len(above[name]) > 1]:
            told = f" turns a whole axle on the hinge {whole[0]!r}; {_KINDS}, each on its own"
            hint = "give each front wheel a hinge of its own about the vertical"
            raise ModelError(f"{str(self._file)!r}{told}", hint)
        if not turning and not named:
            raise self._error(
                " has four wheels and 0 steering joints above them: a robot that turns by driving "
                f"its left and right wheels at different speeds (skid steering); {_KINDS}",
                "steering",
                "if it does steer, give each front wheel a hinge about the vertical between body "
                "and wheel",
            )
        told = f" has {len(turning or named)} steering joints instead of 2"
        raise self._error(f"{told}: {', '.join(turning or named)}", "steering")

    def require_front(self, steering: tuple[str, ...], wheels: tuple[str, ...]) -> None:
        """Refuse a car whose rear wheels are steered."""
        steered = [wheel for name in steering for wheel in self._below(name, wheels)]
        if steered and set(steered) <= {*wheels[2:]}:
            raise ModelError(
                f"{str(self._file)!r} steers its rear wheels, {' and '.join(steered)}; {_KINDS}",
                "seen from its base a car faces along x: if this one faces the other way, turn "
                "what is in the base by half a turn about z; if it does steer behind, diffcar "
                "cannot drive it",
            )

    def _kind_of_robot(self, wheels: tuple[str, ...]) -> str:
        """Say what a robot is that has not four wheels."""
        told = f" has {len(wheels)} wheel joints instead of 4"
        match len(wheels):
            case 0:
                return f"{told}: no hinge across the car carries something round on the ground"
            case 2:
                return (
                    f"{told}, {' and '.join(wheels)}: a robot with two driven wheels, which turns "
                    "by driving them at different speeds (differential drive, perhaps with a "
                    f"caster); {_KINDS}"
                )
            case _:
                return f"{told}: {', '.join(wheels)}; {_KINDS}"

    def _below(self, joint: str, wheels: Sequence[str]) -> list[str]:
        """Return the wheels that a joint moves: those in its own body and below it."""
        return [wheel for wheel in wheels if self._layout.moves(joint, wheel)]

    def _error(self, told: str, kind: str, hint: str = "") -> ModelError:
        """Return an error about the file, with how joints are named."""
        names = "A,B" if kind == "steering" else "A,B,C,D"
        hint = f"{hint}; or " if hint else ""
        known = ", ".join(self._hinges) or "none"
        hint = f"{hint}name them: --{kind}-joints {names}; its hinges are {known}"
        return ModelError(f"{str(self._file)!r}{told}", hint)


def _in_order(layout: Layout, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return joints front to rear and left to right, by where they are."""
    places = {name: layout.anchor(name) for name in names}
    by_x = sorted(names, key=lambda name: -places[name][0])
    pairs = [by_x[index : index + 2] for index in range(0, len(by_x), 2)]
    return tuple(name for pair in pairs for name in sorted(pair, key=lambda name: -places[name][1]))
