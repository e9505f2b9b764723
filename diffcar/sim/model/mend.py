"""What is changed of somebody's car so that both engines simulate it alike, and how it is told."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import UnfitError, shape_name
from diffcar.sim.model.reader import CarReader
from diffcar.sim.model.search import Found, tyre_of

if TYPE_CHECKING:
    import mujoco

__all__ = [
    "choose_car",
    "clear_the_world",
    "collide_as_spheres",
    "free_the_base",
    "hold_other_joints",
    "limit_steering",
    "loosen",
    "point_axes",
    "separate_axles",
    "untie",
    "weigh_the_massless",
]

# A hinge this far from where it should point is a slip of rounding and is straightened, one further
# off is meant so [cosine of a degree]; less than the other is not worth a word.
_STRAIGHT, _NEGLIGIBLE = math.cos(math.radians(1.0)), math.cos(math.radians(0.01))
# Of the radius: how far the wheels' radii may differ to be meant for one.
_ONE_RADIUS = 0.02
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


def free_the_base(base: "mujoco.MjsBody") -> list[str]:
    """Give a car's base a free joint where it has none."""
    import mujoco

    joints = list(base.joints)
    if not joints:
        base.add_freejoint()
        return ["the base was fixed and is free now"]
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
    for element in (*geoms, *(own for kind in others for own in kind), *beside):
        spec.delete(element)
    for own in [*spec.hfields]:
        spec.delete(own)
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


def untie(spec: "mujoco.MjSpec", model: "mujoco.MjModel", found: Found) -> list[str]:
    """Remove what couples joints: each wheel of diffcar's turns by itself.

    An actuator on joints that are coupled by a tendon becomes one on each of them, which is the
    same where they turn alike.
    """
    import mujoco

    own, told = {*found.steering, *found.wheels}, []
    for tie in [*spec.equalities]:
        if tie.type != mujoco.mjtEq.mjEQ_JOINT:
            kind = str(tie.type.name).removeprefix("mjEQ_").lower()
            raise UnfitError(
                f"an <equality> of the kind {kind} closes a loop or ties bodies together, and it "
                "is not certain what the car would be without it",
                "leave it out, and the rods that it holds: diffcar turns each front wheel as "
                "Ackermann has it",
            )
        told.append(f"{tie.name1} and {tie.name2 or 'a number'} by <equality>")
        spec.delete(tie)
    tendons = {tendon.name: _joints_of(model, tendon.name) for tendon in spec.tendons}
    for actuator in [*spec.actuators]:
        if actuator.trntype == mujoco.mjtTrn.mjTRN_TENDON:
            coupled = tendons.get(actuator.target, {})
            if coupled and own >= coupled.keys() and len({*map(abs, coupled.values())}) == 1:
                _share_out(spec, actuator, coupled)
                told.append(f"{', '.join(coupled)} by a tendon, and driven by an actuator each")
            spec.delete(actuator)
    for tendon in [*spec.tendons]:
        if not tendons[tendon.name] or np.any(np.asarray(tendon.stiffness)):
            raise UnfitError(
                f"the tendon {tendon.name!r} pulls or runs through space, and it is not certain "
                "what the car would be without it",
                "leave it out",
            )
        spec.delete(tendon)
    return [f"no longer coupled: {'; '.join(told)}"] if told else []


def _joints_of(model: "mujoco.MjModel", tendon: str) -> dict[str, float]:
    """Return joints and coefficients of a fixed tendon; none of one that runs through space."""
    import mujoco

    own = model.tendon(tendon).id
    first, count = int(model.tendon_adr[own]), int(model.tendon_num[own])
    part = range(first, first + count)
    if any(model.wrap_type[index] != mujoco.mjtWrap.mjWRAP_JOINT for index in part):
        return {}
    joints = [model.joint(int(model.wrap_objid[index])).name for index in part]
    return dict(zip(joints, map(float, model.wrap_prm[first : first + count]), strict=True))


def _share_out(
    spec: "mujoco.MjSpec", actuator: "mujoco.MjsActuator", coupled: dict[str, float]
) -> None:
    """Put on each joint what an actuator of their tendon gives it."""
    import mujoco

    # The tendon's length is the sum of the joints' angles times the coefficient, whose sign is
    # that of how a joint's axis points.
    coefficient = abs(next(iter(coupled.values())))
    length = len(coupled) * coefficient
    for joint in coupled:
        own = spec.add_actuator(
            name=f"{actuator.name or 'actuator'}_{joint}",
            target=joint,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            dyntype=actuator.dyntype,
            gaintype=actuator.gaintype,
            biastype=actuator.biastype,
            gainprm=np.asarray(actuator.gainprm) * length * coefficient,
            biasprm=np.asarray(actuator.biasprm) * length * coefficient,
            gear=actuator.gear,
            forcelimited=actuator.forcelimited,
            ctrllimited=actuator.ctrllimited,
        )
        own.forcerange = np.asarray(actuator.forcerange) * coefficient
        own.ctrlrange = np.asarray(actuator.ctrlrange) / length


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
            raise car.error(
                f": the steering joint {name!r} has no range about zero",
                "limit it to the angle that the wheel reaches to either side",
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


def collide_as_spheres(
    spec: "mujoco.MjSpec", model: "mujoco.MjModel", layout: Layout, found: Found, *, is_urdf: bool
) -> list[str]:
    """Let each wheel collide as a sphere, and nothing else of the car.

    Raises:
        UnfitError: If their radii differ by more than a slip, or one has nothing round about it.
    """
    import mujoco

    tyres = {}
    for name in found.wheels:
        tyre = tyre_of(model, layout, name)
        if tyre is None:
            raise UnfitError(
                f"the wheel on {name!r} has nothing round about its axle",
                "give it a sphere or a cylinder of its radius as <collision> (MJCF: a geom)",
            )
        tyres[name] = tyre
    radii = {name: tyre.radius for name, tyre in tyres.items()}
    radius = sum(radii.values()) / len(radii)
    told = ", ".join(f"{name} {own:.4g} m" for name, own in radii.items())
    notes, spread = [], max(radii.values()) - min(radii.values())
    if spread > _ONE_RADIUS * radius:
        raise UnfitError(
            f"diffcar drives cars on four wheels of one radius, and here they differ: {told}",
            f"give all of them the same, such as their mean, {radius:.4g} m, and their axles one "
            "height",
        )
    if spread > 1e-6 * radius:
        notes.append(f"the wheels' radii are taken for {radius:.4g} m: {told}")
    frictions = {float(model.geom_friction[tyre.geom][0]) for tyre in tyres.values()}
    if len(frictions) > 1:
        raise UnfitError(
            f"the wheels differ in friction: {', '.join(f'{own:g}' for own in sorted(frictions))}",
            "give all of them the same",
        )
    if is_urdf:
        notes.append(f"friction {frictions.copy().pop():g} of the wheels, since URDF has none")
    kinds = sorted({shape_name(model.geom_type[tyre.geom]) for tyre in tyres.values()} - {"sphere"})
    if kinds:
        notes.append(
            f"the wheels collide as spheres of {radius:.4g} m and show as they did "
            f"({', '.join(kinds)}): --wheels as-is keeps what collides"
        )
    shown_only = [name for name, tyre in tyres.items() if not tyre.collides]
    if shown_only:
        notes.append(f"their looks say how large these wheels are: {', '.join(shown_only)}")
    own = {int(model.joint(name).bodyid[0]) for name in found.wheels}
    others = [
        geom
        for geom in range(model.ngeom)
        if (model.geom_contype[geom] or model.geom_conaffinity[geom])
        and int(model.body_weldid[model.geom_bodyid[geom]]) not in own
    ]
    if others:
        notes.append(f"the wheels alone touch the road: {len(others)} other shapes only show")
    contact = {"contype": 1, "conaffinity": 1, "condim": 3, "friction": [*frictions, 0, 0]}
    contact |= {"size": [radius, 0, 0], "priority": 0, "solmix": 1.0, "margin": 0.0, "gap": 0.0}
    geoms = {geom.id: geom for geom in spec.geoms}
    for geom in geoms.values():
        geom.contype = geom.conaffinity = 0
    for name, tyre in tyres.items():
        if tyre.collides and shape_name(model.geom_type[tyre.geom]) == "sphere":
            for field, value in contact.items():
                setattr(geoms[tyre.geom], field, value)
            continue
        spec.joint(name).parent.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=layout.local_place(name, tyre.centre),
            fromto=[math.nan] * 6,  # in case the model's defaults set one
            mass=0.0,
            group=3,
            rgba=[0, 0, 0, 0],
            **contact,
        )
    return notes
