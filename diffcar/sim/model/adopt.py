"""Turns somebody's own car, MJCF or URDF, into a model as diffcar reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError
from diffcar.base.files import is_there
from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import explain_errors, open_model, shape_name
from diffcar.sim.model.reader import SPIN_JOINTS, STEERING_JOINTS, CarReader
from diffcar.sim.model.servos import ensure_servos
from diffcar.sim.model.vehicle import Vehicle, load_vehicle

if TYPE_CHECKING:
    import mujoco

__all__ = ["AdoptedModel", "adopt_model"]

_STEERING_WORDS = ("steer", "knuckle", "ackermann")
_WHEEL_WORDS = ("wheel", "spin", "roll", "tire", "tyre")


@dataclass(frozen=True)
class AdoptedModel:
    """A model rewritten."""

    vehicle: Vehicle
    """The car, its file an MJCF with a free base, diffcar's names of joints and servos."""
    notes: tuple[str, ...]
    """What had to be found or assumed."""


def adopt_model(
    file: Path,
    folder: Path,
    *,
    steering_joints: tuple[str, ...] = (),
    wheel_joints: tuple[str, ...] = (),
) -> AdoptedModel:
    """Rewrite an MJCF or URDF car as MJCF with a free base, known joint names and servos.

    Its two steering and four wheel joints are given in any order, or found where their names say
    what they are. The rewritten car is read leniently: its wheels may be boxes or meshes.

    Raises:
        ModelError: If the file cannot be read, the joints are not to be found, or the car lacks
            something that is not made up for; the error names the user's file.
    """
    if not is_there(str(file), Path.is_file):
        told = "is not a file" if is_there(str(file)) else "does not exist"
        raise ModelError(f"the vehicle model {str(file)!r} {told}")
    adopted = folder / "adopted.xml"
    with explain_errors(file, "cannot be read as a car"):
        spec = open_model(file)
        notes = [*_free_the_base(spec), *_clear_the_world(spec)]
        model = spec.compile()
        steering = _find(file, model, "steering", steering_joints, _STEERING_WORDS, 2)
        wheels = _find(file, model, "wheel", wheel_joints, _WHEEL_WORDS, 4, without=steering)
        if not (steering_joints and wheel_joints):
            notes.append(f"steering joints {', '.join(steering)}; wheel joints {', '.join(wheels)}")
        layout = Layout(model, int(model.body_rootid[model.joint(steering[0]).bodyid[0]]))
        steering, wheels = _in_order(layout, steering), _in_order(layout, wheels)
        _point_axes(spec, layout, steering, 2)
        _point_axes(spec, layout, wheels, 1)
        notes += ensure_servos(CarReader(file, model), spec, steering, _driven(spec, wheels))
        for old, new in zip((*steering, *wheels), (*STEERING_JOINTS, *SPIN_JOINTS), strict=True):
            _rename(spec, old, new)
        spec.compile()
        adopted.write_text(spec.to_xml())
        try:
            vehicle = load_vehicle(adopted, lenient=True)
        except ModelError as error:
            told = error.message.replace(str(adopted), str(file))
            raise ModelError(told, error.hint) from None
    return AdoptedModel(vehicle, tuple(notes))


def _driven(spec: "mujoco.MjSpec", wheels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the wheels of each axle whose wheels have an actuator each, or else the rear ones."""
    targets = {actuator.target for actuator in spec.actuators}
    driven = [axle for axle in (wheels[:2], wheels[2:]) if targets >= {*axle}]
    return tuple(name for axle in driven or [wheels[2:]] for name in axle)


def _free_the_base(spec: "mujoco.MjSpec") -> list[str]:
    """Give the one body of the world a free joint where it has none."""
    import mujoco

    bodies = [body for body in spec.worldbody.bodies if list(body.find_all("joint"))]
    if len(bodies) != 1:
        raise ValueError(
            f"a car is one body with moving parts; the world holds {len(bodies)} such bodies"
        )
    joints = list(bodies[0].joints)
    if not joints:
        bodies[0].add_freejoint()
        return ["the base was fixed and is free now"]
    if joints[0].type != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"the base moves on the joint {joints[0].name!r}, not freely")
    return []


def _clear_the_world(spec: "mujoco.MjSpec") -> list[str]:
    """Remove what stands beside the car, such as a floor: diffcar lays the road itself."""
    beside = [body for body in spec.worldbody.bodies if not list(body.find_all("joint"))]
    geoms = [*spec.worldbody.geoms, *(geom for body in beside for geom in body.find_all("geom"))]
    told = [repr(geom.name) if geom.name else f"a {shape_name(geom.type)}" for geom in geoms]
    names = {geom.name for geom in geoms if geom.name}
    # These refer to what is removed here or renamed later, and diffcar has no use for them.
    pairs = [pair for pair in spec.pairs if names & {pair.geomname1, pair.geomname2}]
    for element in (*geoms, *pairs, *spec.sensors, *spec.keys):
        spec.delete(element)
    if not told:
        return []
    return [f"removed from the world beside the car: {', '.join(told)}; diffcar lays the road"]


def _find(
    file: Path,
    model: "mujoco.MjModel",
    kind: str,
    given: tuple[str, ...],
    words: tuple[str, ...],
    count: int,
    without: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the names of joints that were given, or whose names say what they are."""
    import mujoco

    is_hinge = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    hinges = [model.joint(joint).name for joint in is_hinge.nonzero()[0]]
    free = [name for name in hinges if name not in without]
    found = given or tuple(name for name in free if any(word in name.lower() for word in words))
    unknown = [repr(name) for name in found if name not in hinges]
    if unknown or len(set(found)) != count:
        told = f"{len(set(found))} {kind} joints instead of {count}"
        if unknown:
            told = f"no hinge {', '.join(unknown)}"
        raise ModelError(
            f"{str(file)!r} has {told}",
            hint=f"name them with --{kind}-joints; its hinges are {', '.join(hinges) or 'none'}",
        )
    return found


def _in_order(layout: Layout, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return joints front to rear and left to right, by where they are."""
    places = {name: layout.anchor(name) for name in names}
    by_x = sorted(names, key=lambda name: -places[name][0])
    pairs = [by_x[index : index + 2] for index in range(0, len(by_x), 2)]
    return tuple(name for pair in pairs for name in sorted(pair, key=lambda name: -places[name][1]))


def _point_axes(
    spec: "mujoco.MjSpec", layout: Layout, names: tuple[str, ...], direction: int
) -> None:
    """Turn joint axes so that they point along y (wheels) or z (steering), not against it."""
    for name in names:
        if not layout.is_along(name, direction):
            raise ValueError(f"the axis of the joint {name!r} is not along {'xyz'[direction]}")
        if layout.axis(name)[direction] < 0:
            joint = spec.joint(name)
            low, high = joint.range
            joint.axis, joint.range = -joint.axis, [-high, -low]


def _rename(spec: "mujoco.MjSpec", old: str, new: str) -> None:
    """Give a joint another name, also where actuators refer to it."""
    spec.joint(old).name = new
    for actuator in spec.actuators:
        if actuator.target == old:
            actuator.target = new
