"""What is changed of somebody's car so that both engines simulate it alike, and how it is told."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import UnfitError, shape_name
from diffcar.sim.model.reader import CarReader
from diffcar.sim.model.search import Found

if TYPE_CHECKING:
    import mujoco

__all__ = [
    "choose_car",
    "clear_the_world",
    "free_the_base",
    "hold_other_joints",
    "limit_steering",
    "loosen",
    "point_axes",
    "separate_axles",
    "weigh_the_massless",
]

# A hinge this far from where it should point is a slip of rounding and is straightened, one further
# off is meant so [cosine of a degree]; less than the other is not worth a word.
_STRAIGHT, _NEGLIGIBLE = math.cos(math.radians(1.0)), math.cos(math.radians(0.01))
_MASS_SHARE, _WATER = 1e-3, 1000.0


def choose_car(spec: "mujoco.MjSpec") -> "tuple[mujoco.MjsBody, list[str]]":
    """Return the one body of the world that is a car, others that move left out."""
    import mujoco

    moving = [body for body in spec.worldbody.bodies if list(body.find_all("joint"))]
    hinge = mujoco.mjtJoint.mjJNT_HINGE
    cars = [
        body for body in moving if sum(joint.type == hinge for joint in body.find_all("joint")) > 1
    ]
    if len(cars) > 1:
        names = ", ".join(repr(body.name) for body in cars)
        raise UnfitError(
            f"the world holds {len(cars)} bodies with hinges, {names}: more than one car",
            "keep one of them in the file: diffcar makes as many of it as are trained",
        )
    if not cars and len(moving) != 1:
        raise ValueError(
            f"a car is one body with moving parts; the world holds {len(moving)} such bodies"
        )
    car = (cars or moving)[0]
    others = [body for body in moving if body is not car]
    car.name = car.name or "diffcar base"
    told = [f"removed from the world: the body {body.name!r}, which moves" for body in others]
    for body in others:
        spec.delete(body)
    return car, told


def free_the_base(base: "mujoco.MjsBody", *, is_urdf: bool) -> list[str]:
    """Give a car's base a free joint where it has none; a URDF cannot say that it has one."""
    import mujoco

    joints = list(base.joints)
    if not joints:
        base.add_freejoint()
        return [] if is_urdf else ["the base was fixed and is free now"]
    if joints[0].type != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"the base moves on the joint {joints[0].name!r}, not freely")
    return []


def clear_the_world(spec: "mujoco.MjSpec", base: "mujoco.MjsBody") -> list[str]:
    """Remove what stands beside the car, such as a floor: diffcar lays the road itself."""
    beside = [body for body in spec.worldbody.bodies if body.name != base.name]
    geoms = [*spec.worldbody.geoms, *(geom for body in beside for geom in body.find_all("geom"))]
    told = [repr(geom.name) if geom.name else f"a {shape_name(geom.type)}" for geom in geoms]
    if [*spec.worldbody.lights]:
        told.append("lights")
    # What only measures or shows, and what refers to what is removed here or renamed later.
    others = (spec.sensors, spec.keys, spec.pairs, spec.excludes, spec.lights, spec.cameras)
    for element in (*geoms, *(own for kind in others for own in kind), *beside, *spec.hfields):
        spec.delete(element)
    if not told:
        return []
    return [f"removed from the world beside the car: {', '.join(told)}; diffcar lays the road"]


def weigh_the_massless(spec: "mujoco.MjSpec") -> list[str]:
    """Give a little mass to what moves and has none, and balance impossible inertias."""
    massless, told = [], []
    total = sum(max(0.0, body.mass) for body in spec.bodies if body.explicitinertial)
    light = _MASS_SHARE * (total or 1.0)
    radius = (3 * light / (4 * math.pi * _WATER)) ** (1 / 3)
    for body in spec.bodies:
        if list(body.joints) and not _is_heavy(body):
            body.explicitinertial, body.mass = True, light
            body.inertia, body.ipos = [0.4 * light * radius**2] * 3, [0, 0, 0]
            body.fullinertia = [math.nan] + [0.0] * 5
            massless.append(body.name)
        elif body.explicitinertial and body.mass > 0:
            moments = np.sort(_moments(body))
            if moments[2] > (moments[0] + moments[1]) * (1 + 1e-6):
                told.append(
                    f"no body has the inertia of {body.name!r}, {moments[0]:.3g}, {moments[1]:.3g} "
                    f"and {moments[2]:.3g} kg m²: its mean is taken"
                )
    spec.compiler.balanceinertia = True
    if massless:
        told.append(
            f"moving without a mass, taken for balls of {light:.2g} kg: {', '.join(massless)}"
        )
    return told


def _is_heavy(body: "mujoco.MjsBody") -> bool:
    """Return whether a body, or what is fixed to it, has a mass."""
    own = body.mass > 0 if body.explicitinertial else any(map(_has_mass, body.geoms))
    return own or any(_is_heavy(part) for part in body.bodies if not list(part.joints))


def _has_mass(geom: "mujoco.MjsGeom") -> bool:
    """Return whether MuJoCo takes a geometry to weigh something."""
    return geom.mass > 0 if not math.isnan(geom.mass) else geom.density > 0


def _moments(body: "mujoco.MjsBody") -> np.ndarray:
    """Return the principal moments of inertia that a file gives [kg m²]."""
    if not np.isfinite(body.fullinertia).all():
        return np.asarray(body.inertia)
    xx, yy, zz, xy, xz, yz = body.fullinertia
    return np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def hold_other_joints(spec: "mujoco.MjSpec", found: Found) -> list[str]:
    """Hold what neither steers nor rolls at its zero: a driver's wheel, a suspension, a sensor."""
    import mujoco

    own = {*found.steering, *found.wheels}
    free = mujoco.mjtJoint.mjJNT_FREE
    others = [joint for joint in spec.joints if joint.type != free and joint.name not in own]
    told = [joint.name for joint in others]
    for actuator in [own for own in spec.actuators if own.target in told]:
        spec.delete(actuator)
    for joint in others:
        spec.delete(joint)
    return [f"held at zero, since it neither steers nor rolls: {', '.join(told)}"] if told else []


def loosen(spec: "mujoco.MjSpec", found: Found) -> list[str]:
    """Take dry friction, whose gradient is none, out of the joints, and ends out of the wheels."""
    dry = [name for name in (*found.steering, *found.wheels) if spec.joint(name).frictionloss]
    told = [f"{name} ({spec.joint(name).frictionloss:.3g} N m)" for name in dry]
    for name in dry:
        spec.joint(name).frictionloss = 0.0
    notes = [f"dry friction of joints is left out: {', '.join(told)}"] if told else []
    turn = 360.0 if spec.compiler.degree else 2 * math.pi
    ended = []
    for name in found.wheels:
        joint = spec.joint(name)
        low, high = map(float, joint.range)
        if high - low >= turn:
            joint.range, joint.limited = [0, 0], 0
            ended.append(name)
    if ended:
        notes.append(f"wheels turn without end, whatever their range: {', '.join(ended)}")
    return notes


def limit_steering(
    spec: "mujoco.MjSpec",
    car: CarReader,
    steering: Sequence[str],
    limits: dict[str, tuple[float, float]],
) -> list[str]:
    """Let both steering joints reach as far to either side."""
    unit = "deg" if spec.compiler.degree else "rad"
    told, ranges = [], {}
    if endless := [name for name in steering if name in limits]:
        told.append(f"declared continuous, with limits, which hold: {', '.join(endless)}")
    for name in steering:
        joint = spec.joint(name)
        joint.range = limits.get(name, joint.range)
        low, high = map(float, joint.range)
        if low == high == 0:
            turn = 180 / math.pi if spec.compiler.degree else 1.0  # commands are in radians
            low, high = (turn * end for end in _commands_of(spec, name))
            told.append(f"{name} is limited as the commands of its servo are")
        if not low < 0 < high:
            swapped = "its ends are swapped: the lower comes first" if high < 0 < low else None
            raise car.error(
                f": the steering joint {name!r} has no range about zero",
                swapped or "limit it to the angle that the wheel reaches to either side",
            )
        ranges[name] = low, high
    reach = min(min(-low, high) for low, high in ranges.values())
    for name, (low, high) in ranges.items():
        spec.joint(name).range, spec.joint(name).limited = [-reach, reach], 1
        if not (math.isclose(low, -reach) and math.isclose(high, reach)):
            told.append(
                f"the range {low:g} to {high:g} {unit} of the steering joint {name!r} is taken for "
                f"{reach:g} {unit} to either side"
            )
    return told


def _commands_of(spec: "mujoco.MjSpec", joint: str) -> tuple[float, float]:
    """Return what a joint's servo can be asked for; nothing where that is not said."""
    ranges = [tuple(map(float, own.ctrlrange)) for own in spec.actuators if own.target == joint]
    return (ranges[0][0], ranges[0][1]) if len(ranges) == 1 else (0.0, 0.0)


def point_axes(
    spec: "mujoco.MjSpec", layout: Layout, names: Iterable[str], direction: int
) -> list[str]:
    """Let joints point along y (wheels) or z (steering), not against it nor a little beside it."""
    straightened = []
    for name in names:
        if not layout.is_along(name, direction):
            raise UnfitError(
                f"the axis of the joint {name!r} is not along {'xyz'[direction]}",
                "turn the model so that, seen from its base, it faces along x, with y to its left "
                "and z up; wheels turn about y, steering joints about z",
            )
        joint, cosine = spec.joint(name), float(layout.axis(name)[direction])
        if cosine < 0:
            low, high = joint.range
            joint.axis, joint.range = -joint.axis, [-high, -low]
        if abs(cosine) >= _STRAIGHT:
            joint.axis = layout.local_axis(name, direction)
            if abs(cosine) < _NEGLIGIBLE:
                angle = math.degrees(math.acos(min(1.0, abs(cosine))))
                straightened.append(f"{name} ({angle:.2g}°)")
    if not straightened:
        return []
    return [f"turned a little, to point along {'xyz'[direction]}: {', '.join(straightened)}"]


def separate_axles(xml: str, found: Found) -> tuple[str, list[str]]:
    """Give wheels bodies of their own that share one with their steering joint."""
    root, notes = ET.fromstring(xml), []
    for body in [*root.iter("body")]:
        joints = [joint.get("name") for joint in body.findall("joint")]
        steering = [name for name in joints if name in found.steering]
        wheels = [name for name in joints if name in found.wheels]
        if not (steering and wheels):
            continue
        if joints.index(wheels[0]) < joints.index(steering[0]):
            notes.append(f"{steering[0]} comes before {wheels[0]} now: it turns the axle, too")
        inner = ET.Element("body", name=f"{wheels[0]}_body")
        for part in [*body]:
            if not (part.tag == "joint" and part.get("name") == steering[0]):
                body.remove(part)
                inner.append(part)
        body.append(inner)
    return ET.tostring(root, "unicode"), notes
