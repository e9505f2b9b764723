"""Reads the car out of an MJCF model whose joints have diffcar's names."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcar.base.errors import ModelError, shortened
from diffcar.base.files import digests, is_there
from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import explain_errors, files_of_model, open_model
from diffcar.sim.model.reader import SPIN_JOINTS, STEERING_JOINTS, CarReader
from diffcar.sim.model.rules import collision_faults, world_faults
from diffcar.sim.model.vehicle import SHIPPED, Vehicle

if TYPE_CHECKING:
    import mujoco
    from numpy import ndarray

__all__ = ["read_named_model", "require_model"]

_DEFAULT_DENSITY = 1000.0
# Contacts of one body with a plane; Genesis's limit of twenty for what is not listed.
_CONTACTS = {"sphere": 2, "ellipsoid": 2, "cylinder": 5, "capsule": 5, "box": 8}
_IN_METRES = "lengths are in metres, radii and places: 50 mm are 0.05"
_ROUND = ("sphere", "ellipsoid", "cylinder", "capsule")


def require_model(file: Path) -> None:
    """Refuse what is no file.

    Raises:
        ModelError: If so.
    """
    if not is_there(str(file), Path.is_file):
        told = "is not a file" if is_there(str(file)) else "does not exist"
        hint = f"give an MJCF or URDF file, or a shipped car: {', '.join(SHIPPED)}"
        raise ModelError(f"the vehicle model {shortened(str(file))!r} {told}", hint)


def read_named_model(file: Path, *, lenient: bool = False) -> Vehicle:
    """Read a car whose joints are named as in `assets/car.xml`.

    It has a position actuator on each steering joint and a velocity actuator on each wheel of one
    axle or of both. A lenient look accepts what can be examined but should not be trained on:
    wheels that are boxes or meshes, and further joints, such as those of a suspension.

    Raises:
        ModelError: If the file cannot be read or lacks a part of the car.
    """
    require_model(file)
    with explain_errors(file, "is not a valid MJCF model"):
        spec = open_model(file)
        compiled = spec.compile()
        vehicle = _read(CarReader(file, compiled), lenient)
        files = digests(files_of_model(file, spec))
    return replace(vehicle, assumptions=_assumed_masses(spec, compiled), files=files)


def _read(car: CarReader, lenient: bool) -> Vehicle:
    """Return all parameters in the model's reference pose, or raise."""
    model = car.model
    base = car.find_base(lenient)
    layout = Layout(model, base)
    wheels = [car.wheel(name) for name in SPIN_JOINTS]
    shape, radius, friction = car.same("shape, radius and friction of the wheels", wheels)
    if shape not in _ROUND and not lenient:
        raise car.error(
            f": the wheels collide as a {shape}, whose gradient is not right where it changes "
            "the corner that it stands on",
            "give each wheel a colliding sphere of its radius and a cylinder that only shows "
            '(contype="0" conaffinity="0"), as in assets/car.xml',
        )
    geoms = {name: car.wheel_geom(name) for name in SPIN_JOINTS}
    centres = [layout.centre(geom) for geom in geoms.values()]
    ground = float(centres[2][2]) - radius
    others = [geom for geom in car.colliding() if geom not in geoms.values()]
    car.refuse(
        [
            *world_faults(model),
            *car.stray_actuators(),
            *car.joint_faults(layout),
            *(fault for geom in car.colliding() for fault in collision_faults(model, geom)),
            *(f for name in geoms for f in layout.wheel_faults(name, geoms[name], radius)),
            *layout.symmetry_faults(centres),
            *layout.ground_faults(others, ground),
        ]
    )
    wheelbase = float(centres[0][0] - centres[2][0])
    if 2 * radius > wheelbase:
        told = f": wheels of {radius:g} m radius, {wheelbase:g} m from axle to axle, overlap"
        raise car.error(told, _IN_METRES)
    servos = _servos(car)
    inertia, centre_of_mass = layout.mass()
    _, _, rear_left, rear_right = map(_three, centres)
    vehicle = Vehicle(
        file=car.file,
        mass=float(model.body_subtreemass[base]),
        chassis_mass=float(model.body_mass[model.body_weldid == base].sum()),
        inertia=_three(inertia.diagonal()),
        centre_of_mass=_three(centre_of_mass),
        wheelbase=wheelbase,
        track=rear_left[1] - rear_right[1],
        rear_axle_x=rear_left[0],
        wheel_radius=radius,
        wheel_inertia=max(float(model.dof_M0[model.joint(name).dofadr[0]]) for name in SPIN_JOINTS),
        base_height=radius - rear_left[2],
        friction=friction,
        max_contacts=sum(_CONTACTS.get(kind, 20) for kind in car.colliding().values()),
        wheel_shape=shape,
        **servos,
    )
    if endless := _endless(vehicle):
        told = f": not finite: {', '.join(endless)}"
        raise car.error(told, "its masses, places, sizes and frictions must be finite numbers")
    return vehicle


def _endless(car: Vehicle) -> list[str]:
    """Return which figures are not finite numbers; wheels may turn at any speed."""
    figures = {name: own if isinstance(own, tuple) else (own,) for name, own in vars(car).items()}
    del figures["max_wheel_speed"]
    return [
        name.replace("_", " ")
        for name, own in figures.items()
        if any(isinstance(each, float) and not math.isfinite(each) for each in own)
    ]


def _servos(car: CarReader) -> dict[str, Any]:
    """Return what steering and motors can do, by the names of a `Vehicle`'s fields."""
    servos = [car.servo(name, feedback=1) for name in STEERING_JOINTS]
    driven = car.driven_wheels()
    motors = [car.servo(name, feedback=2) for name in driven]
    for axle in (motors[:2], motors[2:]):
        if axle:
            car.same("the motors", axle)
    gains, limits, speeds = zip(*motors, strict=True)
    max_speed, _ = car.same(
        "the largest commands of the motors", [(speed, "rad/s") for speed in speeds]
    )
    steering_gain, steering_limit, max_target = car.same("the steering servos", servos)
    return {
        "max_joint_angle": min(car.joint_limit(), max_target),
        "steering_gain": steering_gain,
        "max_steering_torque": steering_limit,
        "drive_gains": gains,
        "max_drive_torques": limits,
        "max_wheel_speed": max_speed,
        "driven_joints": driven,
    }


def _three(values: "ndarray") -> tuple[float, float, float]:
    """Return coordinates as plain numbers."""
    x, y, z = map(float, values)
    return x, y, z


def _assumed_masses(spec: "mujoco.MjSpec", model: "mujoco.MjModel") -> tuple[str, ...]:
    """Say which bodies have a mass only because MuJoCo takes their geometries for water."""
    rows = [
        (body.name or "without a name", float(model.body_mass[body.id]))
        for body in spec.bodies
        if (not body.explicitinertial or spec.compiler.inertiafromgeom == 1)
        and any(math.isnan(g.mass) and g.density == _DEFAULT_DENSITY for g in body.geoms)
    ]
    return tuple(
        f"the body {name!r} has no mass of its own: its geometries at "
        f"{_DEFAULT_DENSITY:g} kg/m³ make it {mass:.3g} kg"
        for name, mass in rows
        if mass > 0
    )
