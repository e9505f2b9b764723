"""Turns somebody's own car, MJCF or URDF, into a model as diffcar reads it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError
from diffcar.base.files import digests
from diffcar.sim.config import CarReadingConfig
from diffcar.sim.model import mend
from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import explain_errors, files_of_model
from diffcar.sim.model.named import read_named_model, require_model
from diffcar.sim.model.reader import SPIN_JOINTS, STEERING_JOINTS, CarReader
from diffcar.sim.model.search import Found, find_joints
from diffcar.sim.model.servos import ensure_servos, limit_speeds
from diffcar.sim.model.source import Source, open_source
from diffcar.sim.model.spheres import collide_as_spheres
from diffcar.sim.model.ties import untie
from diffcar.sim.model.vehicle import Vehicle

if TYPE_CHECKING:
    import mujoco

__all__ = ["adopt_model"]

_READING = CarReadingConfig()


def adopt_model(
    file: Path, folder: Path, reading: CarReadingConfig = _READING, *, lenient: bool = False
) -> Vehicle:
    """Rewrite an MJCF or URDF car as MJCF with a free base, known joint names and servos.

    What had to be found, assumed or changed is among its `assumptions`.

    Args:
        folder: Where the rewritten model goes.
        reading: Which joints are which, where that is not left to where they are, and whether
            wheels become spheres.
        lenient: Whether the car is examined alone: its wheels may be boxes or meshes, and it may
            have further joints.

    Raises:
        ModelError: If the file cannot be read, the joints are not to be found, or the car lacks
            something that is not made up for; the error names the user's file.
    """
    require_model(file)
    adopted = folder / "car.xml"
    with explain_errors(file, "cannot be read as a car"):
        source = open_source(file, folder)
        files = digests(files_of_model(file, source.spec))
        spec, found, notes = _mended(file, source, reading, lenient=lenient)
        ours = (*STEERING_JOINTS, *SPIN_JOINTS)
        _rename(spec, dict(zip((*found.steering, *found.wheels), ours, strict=True)))
        spec.compile()
        adopted.write_text(spec.to_xml())
        try:
            vehicle = read_named_model(adopted, lenient=lenient)
        except ModelError as error:
            told = error.message.replace(str(adopted), str(file))
            raise ModelError(told, error.hint) from None
    return replace(vehicle, origin=file, files=files, assumptions=(*notes, *vehicle.assumptions))


def _mended(
    file: Path, source: Source, reading: CarReadingConfig, *, lenient: bool
) -> "tuple[mujoco.MjSpec, Found, list[str]]":
    """Return a car that diffcar can drive, its joints, and what was done to it."""
    import mujoco

    spec, notes = source.spec, source.notes
    base, told = mend.choose_car(spec)
    notes += [
        *told,
        *mend.free_the_base(base, is_urdf=source.is_urdf),
        *mend.clear_the_world(spec, base),
    ]
    for number, joint in enumerate(spec.joints):
        joint.name = joint.name or f"joint {number}"
    notes += mend.weigh_the_massless(spec)
    model, layout = _compiled(spec)
    found = find_joints(file, model, layout, reading)
    notes += found.notes
    notes += untie(spec, model, found)
    notes += mend.loosen(spec, found)
    if not lenient:
        notes += mend.hold_other_joints(spec, found)
    notes += mend.point_axes(spec, layout, found.steering, 2)
    notes += mend.point_axes(spec, layout, found.wheels, 1)
    notes += mend.limit_steering(spec, CarReader(file, model), found.steering, source.limits)
    if reading.wheels == "spheres":
        notes += collide_as_spheres(spec, model, layout, found, is_urdf=source.is_urdf)
    model, _ = _compiled(spec)
    steered = {int(model.joint(name).bodyid[0]) for name in found.steering}
    if any(int(model.joint(name).bodyid[0]) in steered for name in found.wheels):
        text, told = mend.separate_axles(spec.to_xml(), found)
        spec = mujoco.MjSpec.from_string(text)
        notes += [*told, *mend.weigh_the_massless(spec)]
        model, _ = _compiled(spec)
    driven = _driven(spec, found.wheels, source.actuated)
    notes += ensure_servos(CarReader(file, model), spec, found.steering, driven)
    notes += limit_speeds(spec, driven, source.speeds)
    return spec, found, notes


def _compiled(spec: "mujoco.MjSpec") -> "tuple[mujoco.MjModel, Layout]":
    """Compile a car, which is the one body of the world."""
    spec.compiler.fusestatic = True
    model = spec.compile()
    return model, Layout(model, 1)


def _driven(spec: "mujoco.MjSpec", wheels: tuple[str, ...], actuated: set[str]) -> tuple[str, ...]:
    """Return the wheels of each axle whose wheels have an actuator each, or else the rear ones."""
    targets = {actuator.target for actuator in spec.actuators} or actuated
    driven = [axle for axle in (wheels[:2], wheels[2:]) if targets >= {*axle}]
    return tuple(name for axle in driven or [wheels[2:]] for name in axle)


def _rename(spec: "mujoco.MjSpec", names: dict[str, str]) -> None:
    """Give joints other names, also where actuators refer to them."""
    joints = {new: spec.joint(old) for old, new in names.items()}
    for new, joint in joints.items():  # one may be called by now as another will be
        joint.name = f"{new} to be"
    for new, joint in joints.items():
        joint.name = new
    for actuator in spec.actuators:
        actuator.target = names.get(actuator.target, actuator.target)
