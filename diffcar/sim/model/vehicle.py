"""The car's parameters, read from its MJCF model so that no other place repeats them."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError
from diffcar.base.files import digests, is_there, resource_path
from diffcar.sim.config import DrivenWheels
from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import GIVE_MJCF, explain_errors, files_of_model, open_model
from diffcar.sim.model.reader import SPIN_JOINTS, STEERING_JOINTS, CarReader
from diffcar.sim.model.rules import collision_faults, world_faults

if TYPE_CHECKING:
    import mujoco
    from numpy import ndarray

__all__ = ["SHIPPED", "Vehicle", "load_vehicle", "shipped_file"]

SHIPPED = ("car", "racer", "buggy", "sedan")
"""Cars that come with diffcar, by the name of their file in `assets/`."""

_URDF = ("buggy",)
# Of the car that defaults were made for [m], and the sharpest turns of the roads for it [1/m].
_SHIPPED_WHEELBASE, _SHARPEST_TURN = 0.3302, 1.3
# Their inertia about the vertical, over mass and wheelbase squared, and a little more.
_SHIPPED_INERTIA = 0.116
_DEFAULT_DENSITY = 1000.0
# Contacts of one body with a plane; Genesis's limit of twenty for what is not listed.
_CONTACTS = {"sphere": 2, "ellipsoid": 2, "cylinder": 5, "capsule": 5, "box": 8}
_ROUND = ("sphere", "ellipsoid", "cylinder", "capsule")


@dataclass(frozen=True)
class Vehicle:
    """Geometry, limits and servo gains of a front-steered car, driven by one axle or by both."""

    file: Path
    """The MJCF model."""
    mass: float
    """Total mass [kg]."""
    inertia: tuple[float, float, float]
    """About the base's x, y and z axes through the centre of mass, wheels ahead [kg m²]."""
    centre_of_mass: tuple[float, float, float]
    """In the frame of the base, wheels ahead [m]."""
    wheelbase: float
    """Distance between the axles [m]."""
    track: float
    """Distance between the rear wheels' centres [m]."""
    rear_axle_x: float
    """Position of the rear axle in the frame of the base [m], negative."""
    wheel_radius: float
    """Radius of all wheels [m]."""
    base_height: float
    """Height of the base's frame over the road with the wheels touching it [m]."""
    max_joint_angle: float
    """Largest angle of a steering joint to either side, by its range and its servo's [rad]."""
    steering_gain: float
    """Position servo on each steering joint [N m/rad]."""
    max_steering_torque: float
    """Limit of a steering servo [N m]."""
    drive_gains: tuple[float, ...]
    """Speed servo on each driven wheel, in the order of `driven_joints` [N m s/rad]."""
    max_drive_torques: tuple[float, ...]
    """Limit of each driven wheel's motor [N m]."""
    max_wheel_speed: float
    """Largest speed that a motor can be commanded, infinite without a limit [rad/s]."""
    friction: float
    """Sliding friction coefficient between wheels and road."""
    max_contacts: int
    """Contact points that the model's colliding geometries can make with the road at once."""
    wheel_shape: str = "sphere"
    """What the wheels collide as: sphere, ellipsoid, cylinder, capsule, box or mesh."""
    steering_joints: tuple[str, str] = STEERING_JOINTS
    """Names of the steering joints, left and right."""
    wheel_joints: tuple[str, str, str, str] = SPIN_JOINTS
    """Names of the wheels' spin joints: front left, front right, rear left, rear right."""
    driven_joints: tuple[str, ...] = SPIN_JOINTS[2:]
    """Names of the driven wheels' joints, in the order of `wheel_joints`: two or all four."""
    assumptions: tuple[str, ...] = ()
    """What the model does not say and was assumed, in words."""
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """What a model of one's own was read from: name and digest of each file."""
    origin: Path | None = field(default=None, compare=False)
    """The file of somebody's own from which the model was rewritten, if it was."""

    @property
    def drive(self) -> DrivenWheels:
        """Which wheels are driven."""
        if len(self.driven_joints) == 4:
            return "all"
        return "rear" if self.driven_joints == self.wheel_joints[2:] else "front"

    @property
    def driven_axles(self) -> tuple[bool, ...]:
        """Whether each pair of driven wheels is the one that steers."""
        return {"rear": (False,), "front": (True,), "all": (True, False)}[self.drive]

    @property
    def torque_split(self) -> float:
        """Return the front wheels' share of what all motors can give, 0 to 1."""
        front = sum(self.max_drive_torques[:2]) if self.driven_axles[0] else 0.0
        return front / sum(self.max_drive_torques)

    @property
    def drive_gain(self) -> float:
        """Return the largest of `drive_gains` [N m s/rad]."""
        return max(self.drive_gains)

    @property
    def max_drive_torque(self) -> float:
        """Return the largest of `max_drive_torques` [N m]."""
        return max(self.max_drive_torques)

    @property
    def max_steering(self) -> float:
        """Largest steering angle of the car as a bicycle, where the inner wheel is at its limit."""
        rear_radius = self.wheelbase / math.tan(self.max_joint_angle) + self.track / 2
        return math.atan(self.wheelbase / rear_radius)

    @property
    def max_curvature(self) -> float:
        """Sharpest turn of the rear axle's middle [1/m]."""
        return math.tan(self.max_steering) / self.wheelbase

    @cached_property
    def size(self) -> float:
        """How large the car is beside the shipped one: by its wheelbase, or by its sharpest turn.

        To three digits; 1 for whatever is as large and turns as sharply as that.
        """
        own = max(self.wheelbase / _SHIPPED_WHEELBASE, _SHARPEST_TURN / self.max_curvature)
        return float(f"{own:.3g}")

    @cached_property
    def root_size(self) -> float:
        """By how much times and speeds are larger, at the same accelerations (Froude)."""
        return math.sqrt(self.size)

    @cached_property
    def sluggishness(self) -> float:
        """Inertia about the vertical, over mass and wheelbase squared, beside the shipped cars'.

        At least 1, which those have; full-size cars have twice as much.
        """
        return max(1.0, self.inertia[2] / self.mass / self.wheelbase**2 / _SHIPPED_INERTIA)

    @property
    def height(self) -> float:
        """Of the centre of mass over the road [m]."""
        return self.base_height + self.centre_of_mass[2]

    @property
    def driven_load(self) -> float:
        """Share of the weight on the driven wheels when they hold the car back or drive it on.

        At the limit of their grip, whichever leaves less: the rear is relieved by braking, the
        front by speeding up.
        """
        if self.drive == "all":
            return 1.0
        front = (self.centre_of_mass[0] - self.rear_axle_x) / self.wheelbase
        share = front if self.drive == "front" else 1 - front
        return share / (1 + self.friction * self.height / self.wheelbase)

    @property
    def top_speed(self) -> float:
        """Largest speed at which motors can be commanded to turn the wheels [m/s]."""
        return self.max_wheel_speed * self.wheel_radius

    @property
    def speed_increment(self) -> float:
        """Commanded minus actual speed at which the motors give their most [m/s]."""
        motors = zip(self.max_drive_torques, self.drive_gains, strict=True)
        return max(torque / gain for torque, gain in motors) * self.wheel_radius

    def driven_by(self, drive: DrivenWheels, torque_split: float = 0.5) -> "Vehicle":
        """Return the car with its motors' gain and torque shared out anew, the same in all.

        Args:
            drive: Which wheels are driven.
            torque_split: The front wheels' share where all are.
        """
        front = {"rear": 0.0, "front": 1.0, "all": torque_split}[drive]
        shares = {name: front / 2 for name in self.wheel_joints[:2]}
        shares |= {name: (1 - front) / 2 for name in self.wheel_joints[2:]}
        joints = tuple(name for name in self.wheel_joints if shares[name])

        def shared(total: float) -> tuple[float, ...]:
            return tuple(total * shares[name] for name in joints)

        return replace(
            self,
            driven_joints=joints,
            drive_gains=shared(sum(self.drive_gains)),
            max_drive_torques=shared(sum(self.max_drive_torques)),
        )


def load_vehicle(
    model: str | Path | None = None,
    *,
    drive: DrivenWheels | None = None,
    torque_split: float = 0.5,
    lenient: bool = False,
) -> Vehicle:
    """Read a car from an MJCF file, or a shipped one by its name; None takes `car`.

    The joints must be named as in `assets/car.xml`, with a position actuator on each steering joint
    and a velocity actuator on each wheel of one axle or of both. A lenient look accepts what can be
    examined but should not be trained on: wheels that are boxes or meshes, and further joints, such
    as those of a suspension.

    Args:
        model: A file, or one of `SHIPPED`.
        drive: Which wheels are driven, with the torque that the model's motors have together; None
            leaves it to the model's actuators.
        torque_split: The front wheels' share where a `drive` of all is asked for.
        lenient: Whether such a look is enough.

    Raises:
        ModelError: If the file cannot be read or lacks a part of the car.
    """
    is_shipped = model is None or str(model) in SHIPPED
    file = shipped_file(str(model or "car")) if is_shipped else Path(str(model))
    if not is_there(str(file), Path.is_file):
        hint = f"{GIVE_MJCF}, or name a shipped one: {', '.join(SHIPPED)}"
        raise ModelError(f"the vehicle model {str(file)!r} does not exist", hint)
    with explain_errors(file, "is not a valid MJCF model"):
        spec = open_model(file)
        compiled = spec.compile()
        vehicle = _read(CarReader(file, compiled), lenient)
        files = () if is_shipped else digests(files_of_model(file, spec))
    vehicle = replace(vehicle, assumptions=_assumed_masses(spec, compiled), files=files)
    return vehicle if drive is None else vehicle.driven_by(drive, torque_split)


def shipped_file(name: str) -> Path:
    """Return the file of one of `SHIPPED`."""
    return resource_path(f"assets/{name}.{'urdf' if name in _URDF else 'xml'}")


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
    servos = [car.servo(name, feedback=1) for name in STEERING_JOINTS]
    driven = car.driven_wheels()
    motors = {name: car.servo(name, feedback=2) for name in driven}
    for axle in (driven[:2], driven[2:]):
        if axle:
            car.same("the motors", [motors[name] for name in axle])
    max_wheel_speed, _ = car.same(
        "the largest commands of the motors", [(speed, "rad/s") for _, _, speed in motors.values()]
    )
    steering_gain, steering_limit, max_target = car.same("the steering servos", servos)
    inertia, centre_of_mass = layout.mass()
    front, _, rear_left, rear_right = map(_three, centres)
    return Vehicle(
        file=car.file,
        mass=float(model.body_subtreemass[base]),
        inertia=_three(inertia.diagonal()),
        centre_of_mass=_three(centre_of_mass),
        wheelbase=front[0] - rear_left[0],
        track=rear_left[1] - rear_right[1],
        rear_axle_x=rear_left[0],
        wheel_radius=radius,
        base_height=radius - rear_left[2],
        max_joint_angle=min(car.joint_limit(), max_target),
        steering_gain=steering_gain,
        max_steering_torque=steering_limit,
        drive_gains=tuple(gain for gain, _, _ in motors.values()),
        max_drive_torques=tuple(limit for _, limit, _ in motors.values()),
        max_wheel_speed=max_wheel_speed,
        friction=friction,
        max_contacts=sum(_CONTACTS.get(kind, 20) for kind in car.colliding().values()),
        wheel_shape=shape,
        driven_joints=driven,
    )


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
