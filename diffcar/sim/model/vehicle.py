"""The car's parameters, read from its MJCF model so that no other place repeats them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcar.base.errors import ModelError
from diffcar.base.files import resource_path
from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import explain_errors, open_model, shape_name
from diffcar.sim.model.rules import (
    Fault,
    actuator_faults,
    collision_faults,
    joint_faults,
    world_faults,
)

if TYPE_CHECKING:
    import mujoco
    from numpy import ndarray

__all__ = ["SPIN_JOINTS", "STEERING_JOINTS", "CarReader", "Vehicle", "load_vehicle"]

_DEFAULT_DENSITY = 1000.0
_MAX_TOLD = 5

STEERING_JOINTS = ("front_left_steering", "front_right_steering")
# Contacts of one body with a plane; Genesis's limit of twenty for what is not listed.
_CONTACTS = {"sphere": 2, "ellipsoid": 2, "cylinder": 5, "capsule": 5, "box": 8}
_ROUND = ("sphere", "ellipsoid", "cylinder", "capsule")
SPIN_JOINTS = ("front_left_spin", "front_right_spin", "rear_left_spin", "rear_right_spin")


@dataclass(frozen=True)
class Vehicle:
    """Geometry, limits and servo gains of a front-steered, rear-driven car."""

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
    drive_gain: float
    """Speed servo on each driven wheel [N m s/rad]."""
    max_drive_torque: float
    """Limit of a driven wheel's motor [N m]."""
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
    assumptions: tuple[str, ...] = ()
    """What the model does not say and was assumed, in words."""

    @property
    def driven_joints(self) -> tuple[str, str]:
        """Names of the driven wheels' joints, left and right."""
        return self.wheel_joints[2], self.wheel_joints[3]

    @property
    def max_steering(self) -> float:
        """Largest steering angle of the car as a bicycle, where the inner wheel is at its limit."""
        rear_radius = self.wheelbase / math.tan(self.max_joint_angle) + self.track / 2
        return math.atan(self.wheelbase / rear_radius)

    @property
    def max_curvature(self) -> float:
        """Sharpest turn of the rear axle's middle [1/m]."""
        return math.tan(self.max_steering) / self.wheelbase

    @property
    def speed_increment(self) -> float:
        """Commanded minus actual speed at which the motors give their most [m/s]."""
        return self.max_drive_torque / self.drive_gain * self.wheel_radius


def load_vehicle(model: str | Path | None = None, *, lenient: bool = False) -> Vehicle:
    """Read a car from an MJCF file; None takes the shipped one.

    The joints must be named as in `assets/car.xml`, with a position actuator on each steering joint
    and a velocity actuator on each rear wheel. A lenient look accepts what can be examined but
    should not be trained on: wheels that are boxes or meshes, and further joints, such as those of
    a suspension.

    Raises:
        ModelError: If the file cannot be read or lacks a part of the car.
    """
    file = resource_path("assets/car.xml") if model is None else Path(model)
    if not file.is_file():
        raise ModelError(f"the vehicle model {str(file)!r} does not exist")
    with explain_errors(file, "is not a valid MJCF model"):
        spec = open_model(file)
        compiled = spec.compile()
        vehicle = CarReader(file, compiled).vehicle(lenient)
    return replace(vehicle, assumptions=_assumed_masses(spec, compiled))


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


@dataclass(frozen=True)
class CarReader:
    """What a compiled model says of a car; complaints name its file."""

    file: Path
    model: "mujoco.MjModel"

    def error(self, told: str, hint: str | None = None) -> ModelError:
        """Return a complaint about the file, which stands before it."""
        return ModelError(f"{str(self.file)!r}{told}", hint)

    def vehicle(self, lenient: bool) -> Vehicle:
        """Return all parameters in the model's reference pose."""
        import mujoco

        model, names = self.model, (*STEERING_JOINTS, *SPIN_JOINTS)
        joints = {name: mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name) for name in names}
        for name, joint in joints.items():
            if joint < 0:
                hint = f"a car needs the joints {', '.join(names)}"
                raise self.error(f" has no joint {name!r}", hint)
        base = int(model.body_rootid[model.jnt_bodyid[joints[STEERING_JOINTS[0]]]])
        self._require_free_base(base, lenient)
        layout = Layout(model, base)
        wheels = [self.wheel(name) for name in SPIN_JOINTS]
        shape, radius, friction = self._same("shape, radius and friction of the wheels", wheels)
        if shape not in _ROUND and not lenient:
            raise self.error(
                f": the wheels collide as a {shape}, whose gradient is not right where it changes "
                "the corner that it stands on",
                "give each wheel a colliding sphere of its radius and a cylinder that only shows "
                '(contype="0" conaffinity="0"), as in assets/car.xml',
            )
        geoms = {name: self._wheel_geom(name) for name in SPIN_JOINTS}
        centres = [layout.centre(geom) for geom in geoms.values()]
        ground = float(centres[2][2]) - radius
        others = [geom for geom in self._colliding() if geom not in geoms.values()]
        self._refuse(
            [
                *world_faults(model),
                *self._stray_actuators(),
                *self._joint_faults(layout),
                *(fault for geom in self._colliding() for fault in collision_faults(model, geom)),
                *(f for name in geoms for f in layout.wheel_faults(name, geoms[name], radius)),
                *layout.symmetry_faults(centres),
                *layout.ground_faults(others, ground),
            ]
        )
        servos = [self.servo(name, feedback=1) for name in STEERING_JOINTS]
        motors = [self.servo(name, feedback=2) for name in SPIN_JOINTS[2:]]
        steering_gain, steering_limit, max_target = self._same("the steering servos", servos)
        drive_gain, drive_limit, max_wheel_speed = self._same("the motors", motors)
        inertia, centre_of_mass = layout.mass()
        front, _, rear_left, rear_right = map(_three, centres)
        return Vehicle(
            file=self.file,
            mass=float(model.body_subtreemass[base]),
            inertia=_three(inertia.diagonal()),
            centre_of_mass=_three(centre_of_mass),
            wheelbase=front[0] - rear_left[0],
            track=rear_left[1] - rear_right[1],
            rear_axle_x=rear_left[0],
            wheel_radius=radius,
            base_height=radius - rear_left[2],
            max_joint_angle=min(self._joint_limit(), max_target),
            steering_gain=steering_gain,
            max_steering_torque=steering_limit,
            drive_gain=drive_gain,
            max_drive_torque=drive_limit,
            max_wheel_speed=max_wheel_speed,
            friction=friction,
            max_contacts=sum(_CONTACTS.get(kind, 20) for kind in self._colliding().values()),
            wheel_shape=shape,
        )

    def wheel(self, joint: str) -> tuple[str, float, float]:
        """Return shape, radius [m] and friction of the one thing that collides of a wheel."""
        model, geom = self.model, self._wheel_geom(joint)
        shape = self._colliding()[geom]
        # Of round shapes MuJoCo's first size is the radius, of an ellipsoid the semi-axes.
        size = model.geom_size[geom] if shape != "mesh" else model.geom_aabb[geom][3:]
        radius = size[0] if shape in ("sphere", "cylinder", "capsule") else max(size)
        return shape, float(radius), float(model.geom_friction[geom][0])

    def servo(self, joint: str, *, feedback: int) -> tuple[float, float, float]:
        """Return gain [N m/rad or N m s/rad], torque limit [N m] and largest command of a servo.

        A position servo feeds back the position (index 1 of MuJoCo's bias), a speed servo the speed
        (index 2), each with minus the gain; a plain motor feeds back nothing. It is an error if
        a joint has no such servo, one that says more, or something else acts on it too.
        """
        model, joint_id = self.model, self.model.joint(joint).id
        acts_on_joint = model.actuator_trntype <= 1  # mjTRN_JOINT or mjTRN_JOINTINPARENT
        found = (acts_on_joint & (model.actuator_trnid[:, 0] == joint_id)).nonzero()[0]
        if len(found) != 1:
            raise self.error(
                f" has {len(found) or 'no'} actuators on the joint {joint!r}",
                "give each steering joint one <position>, each rear wheel one <velocity> servo",
            )
        servo = int(found[0])
        self._refuse(actuator_faults(model, servo, joint))
        told = f": the actuator on {joint!r}"
        gain, bias = float(model.actuator_gainprm[servo][0]), model.actuator_biasprm[servo][:3]
        limit = min(
            self._limit(model.actuator_forcelimited, model.actuator_forcerange, servo, told),
            self._limit(model.jnt_actfrclimited, model.jnt_actfrcrange, joint_id, told),
        )
        if not (gain > 0 and math.isclose(bias[feedback], -gain) and 0 < limit < math.inf):
            kind = f"<{('position', 'velocity')[feedback - 1]}> servo with a positive forcerange"
            raise self.error(f"{told} is no {kind}")
        if bias[0] or bias[3 - feedback]:
            other = ("kv, it feeds back the speed", "a position that it feeds back")[feedback - 1]
            raise self.error(f"{told} has {other}, too", "give the joint damping instead")
        command = self._limit(model.actuator_ctrllimited, model.actuator_ctrlrange, servo, told)
        return gain, limit, command

    def _limit(self, is_limited: "ndarray", ranges: "ndarray", index: int, told: str) -> float:
        """Return the limit to either side of what is limited, which must be the same."""
        if not is_limited[index]:
            return math.inf
        low, high = map(float, ranges[index])
        if not (high > 0 and math.isclose(low, -high)):
            hint = "the car steers and drives alike to either side: make them so"
            raise self.error(f"{told} has limits that are not symmetric, {low:g} to {high:g}", hint)
        return high

    def _wheel_geom(self, joint: str) -> int:
        """Return the one geometry of a wheel that collides."""
        model, body = self.model, int(self.model.jnt_bodyid[self.model.joint(joint).id])
        bodies = {geom: int(model.geom_bodyid[geom]) for geom in self._colliding()}
        own = [geom for geom, of in bodies.items() if of == body]
        if not own:
            raise self.error(f": the wheel on {joint!r} does not collide")
        if (count := sum(model.body_weldid[of] == body for of in bodies.values())) > 1:
            raise self.error(
                f": {count} geometries collide of the wheel on {joint!r}",
                'let all but the tyre only show: contype="0" conaffinity="0"',
            )
        return own[0]

    def _stray_actuators(self) -> list[Fault]:
        """Return the actuators that are no servos of the car, which nobody would command."""
        model = self.model
        driven = [model.joint(name).id for name in (*STEERING_JOINTS, *SPIN_JOINTS[2:])]
        return [
            (
                f"the actuator {model.actuator(i).name!r} is on no front steering or rear wheel",
                "leave it out",
            )
            for i in range(model.nu)
            if model.actuator_trntype[i] > 1 or model.actuator_trnid[i, 0] not in driven
        ]

    def _joint_faults(self, layout: Layout) -> list[Fault]:
        """Return what is wrong with the hinges, their axes and which wheel is on which."""
        faults = []
        for name in (*STEERING_JOINTS, *SPIN_JOINTS):
            is_wheel = name in SPIN_JOINTS
            faults += joint_faults(self.model, name, is_wheel=is_wheel)
            faults += layout.axis_faults(name, 1 if is_wheel else 2)
        steered = [*STEERING_JOINTS, None, None]
        for wheel, wanted in zip(SPIN_JOINTS, steered, strict=True):
            own = [name for name in STEERING_JOINTS if self._is_above(name, wheel)]
            if own != ([wanted] if wanted else []):
                told = f"{wheel!r} is steered by {' and '.join(own) or 'nothing'}"
                faults.append((told, "left steers left, right right, and the rear is not steered"))
        return faults

    def _is_above(self, upper: str, lower: str) -> bool:
        """Return whether a joint moves the body of another."""
        model = self.model
        wanted, body = (int(model.joint(name).bodyid[0]) for name in (upper, lower))
        while body not in (0, wanted):
            body = int(model.body_parentid[body])
        return body == wanted

    def _refuse(self, faults: list[Fault]) -> None:
        """Raise if there are faults, naming the first of them."""
        if faults:
            told = "; ".join(told for told, _ in faults[:_MAX_TOLD])
            more = f"; and {len(faults) - _MAX_TOLD} more" if len(faults) > _MAX_TOLD else ""
            raise self.error(f": {told}{more}", "; ".join(dict(faults[:_MAX_TOLD]).values()))

    def _require_free_base(self, base: int, more_joints: bool) -> None:
        """Raise unless the model is one car: a free base, two steering and four wheel joints."""
        import mujoco

        model = self.model
        first = int(model.body_jntadr[base])
        is_free = first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE
        num_joints = 1 + len(STEERING_JOINTS) + len(SPIN_JOINTS)
        if not is_free or (model.njnt != num_joints and not more_joints):
            raise self.error(
                f" has {model.njnt} joints and a base that is {'' if is_free else 'not '}free; "
                "a car has a free base and six hinges",
                "compare it with assets/car.xml",
            )
        if any(model.body_rootid[model.jnt_bodyid] != base):
            raise self.error(" has joints besides the car's", "leave other bodies out")
        if any(model.body_weldid[model.geom_bodyid[geom]] == 0 for geom in self._colliding()):
            raise self.error(
                " has colliding geometries besides the car, such as a floor",
                "remove them: diffcar lays the road itself",
            )

    def _joint_limit(self) -> float:
        """Return the symmetric limit that both steering joints share [rad]."""
        joints = [self.model.joint(name) for name in STEERING_JOINTS]
        ranges = [tuple(map(float, j.range)) if j.limited[0] else (0.0, 0.0) for j in joints]
        low, high = self._same("the ranges of the steering joints", ranges)
        if not (0 < high < math.pi / 2 and math.isclose(low, -high)):
            raise self.error(
                f": the steering range {low:g} to {high:g} rad is not symmetric and below a right "
                "angle"
            )
        return high

    def _same(self, what: str, values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the first of values that must all be equal, numbers up to rounding."""
        for other in values[1:]:
            for a, b in zip(values[0], other, strict=True):
                if not (a == b if isinstance(a, str) else math.isclose(a, b, rel_tol=1e-6)):
                    raise self.error(f": {what} must not differ, they are {values}")
        return values[0]

    def _colliding(self) -> dict[int, str]:
        """Return the shapes of all geometries that can touch something, by index."""
        model = self.model
        collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
        return {int(geom): shape_name(model.geom_type[geom]) for geom in collides.nonzero()[0]}


def _three(values: "ndarray") -> tuple[float, float, float]:
    """Return coordinates as plain numbers."""
    x, y, z = map(float, values)
    return x, y, z
