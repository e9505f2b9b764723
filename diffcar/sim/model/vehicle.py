"""The car's parameters, read from its MJCF model so that no other place repeats them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcar.base.errors import ModelError
from diffcar.base.files import resource_path

if TYPE_CHECKING:
    import mujoco

__all__ = ["SPIN_JOINTS", "STEERING_JOINTS", "Vehicle", "load_vehicle", "read_servo", "read_wheel"]

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
    """Largest angle of a steering joint to either side [rad]."""
    steering_gain: float
    """Position servo on each steering joint [N m/rad]."""
    max_steering_torque: float
    """Limit of a steering servo [N m]."""
    drive_gain: float
    """Speed servo on each driven wheel [N m s/rad]."""
    max_drive_torque: float
    """Limit of a driven wheel's motor [N m]."""
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
    import mujoco

    file = resource_path("assets/car.xml") if model is None else Path(model)
    if not file.is_file():
        raise ModelError(f"the vehicle model {str(file)!r} does not exist")
    try:
        mj_model = mujoco.MjModel.from_xml_path(str(file))
    except (ValueError, RuntimeError, mujoco.FatalError) as error:
        raise ModelError(f"{str(file)!r} is not a valid MJCF model: {error}") from None
    return _read_vehicle(file, mj_model, lenient)


def _read_vehicle(file: Path, model: "mujoco.MjModel", lenient: bool) -> Vehicle:
    """Collect the parameters from a compiled model in its reference pose."""
    import mujoco

    joint_ids = {}
    for name in (*STEERING_JOINTS, *SPIN_JOINTS):
        joint_ids[name] = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if joint_ids[name] < 0:
            raise ModelError(
                f"{str(file)!r} has no joint {name!r}",
                hint=f"a car needs the joints {', '.join((*STEERING_JOINTS, *SPIN_JOINTS))}",
            )
    pose = mujoco.MjData(model)
    mujoco.mj_forward(model, pose)
    base = int(model.body_rootid[model.jnt_bodyid[joint_ids[STEERING_JOINTS[0]]]])
    _require_free_base(file, model, base, lenient)

    def centre(joint: str) -> tuple[float, float, float]:
        x, y, z = pose.xanchor[joint_ids[joint]] - pose.xpos[base]
        return float(x), float(y), float(z)

    front, _, rear_left, rear_right = map(centre, SPIN_JOINTS)
    if front[0] <= rear_left[0] or rear_left[1] <= rear_right[1]:
        raise ModelError(
            f"{str(file)!r}: the front wheels are not ahead of the rear ones, or left is not left",
            hint="in the model's reference pose the car must face along x, with y to its left",
        )
    wheels = [read_wheel(file, model, joint_ids[name]) for name in SPIN_JOINTS]
    servos = [read_servo(file, model, joint_ids[name], feedback=1) for name in STEERING_JOINTS]
    motors = [read_servo(file, model, joint_ids[name], feedback=2) for name in SPIN_JOINTS[2:]]
    shape, radius, friction = _same(file, "shape, radius and friction of the wheels", wheels)
    if shape not in _ROUND and not lenient:
        raise ModelError(
            f"{str(file)!r}: the wheels collide as a {shape}, whose gradient is not right where it "
            "changes the corner that it stands on",
            hint="give each wheel a colliding sphere of its radius and a cylinder that only shows "
            '(contype="0" conaffinity="0"), as in assets/car.xml',
        )
    steering_gain, steering_limit = _same(file, "the steering servos", servos)
    drive_gain, drive_limit = _same(file, "the motors", motors)
    return Vehicle(
        file=file,
        mass=float(model.body_subtreemass[base]),
        wheelbase=front[0] - rear_left[0],
        track=rear_left[1] - rear_right[1],
        rear_axle_x=rear_left[0],
        wheel_radius=radius,
        base_height=radius - rear_left[2],
        max_joint_angle=_joint_limit(file, model, joint_ids),
        steering_gain=steering_gain,
        max_steering_torque=steering_limit,
        drive_gain=drive_gain,
        max_drive_torque=drive_limit,
        friction=friction,
        max_contacts=sum(_CONTACTS.get(kind, 20) for kind in _colliding(model).values()),
        wheel_shape=shape,
    )


def _require_free_base(file: Path, model: "mujoco.MjModel", base: int, more_joints: bool) -> None:
    """Raise unless the model is one car: a free base, two steering and four wheel joints."""
    import mujoco

    first = int(model.body_jntadr[base])
    is_free = first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE
    num_joints = 1 + len(STEERING_JOINTS) + len(SPIN_JOINTS)
    if not is_free or (model.njnt != num_joints and not more_joints):
        raise ModelError(
            f"{str(file)!r} has {model.njnt} joints and a base that is "
            f"{'' if is_free else 'not '}free; a car has a free base and six hinges",
            hint="compare it with assets/car.xml",
        )
    if any(model.body_weldid[model.geom_bodyid[geom]] == 0 for geom in _colliding(model)):
        raise ModelError(
            f"{str(file)!r} has colliding geometries besides the car, such as a floor",
            hint="remove them: diffcar lays the road itself",
        )


def _joint_limit(file: Path, model: "mujoco.MjModel", joint_ids: dict[str, int]) -> float:
    """Return the symmetric limit that both steering joints share [rad]."""
    ranges = [tuple(float(x) for x in model.jnt_range[joint_ids[name]]) for name in STEERING_JOINTS]
    low, high = _same(file, "the ranges of the steering joints", ranges)
    if not (0 < high < math.pi / 2 and math.isclose(low, -high)):
        raise ModelError(
            f"{str(file)!r}: the steering range {low:g} to {high:g} rad is not symmetric and "
            "below a right angle"
        )
    return high


def _same(file: Path, what: str, values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the first of values that must all be equal, numbers up to rounding."""
    for other in values[1:]:
        for a, b in zip(values[0], other, strict=True):
            if not (a == b if isinstance(a, str) else math.isclose(a, b, rel_tol=1e-6)):
                raise ModelError(f"{str(file)!r}: {what} must not differ, they are {values}")
    return values[0]


def read_wheel(file: Path, model: "mujoco.MjModel", joint: int) -> tuple[str, float, float]:
    """Return shape, radius [m] and friction of the first thing that collides of a joint's wheel.

    Raises:
        ModelError: If nothing of the wheel collides.
    """
    for geom, shape in _colliding(model).items():
        if model.geom_bodyid[geom] == model.jnt_bodyid[joint]:
            # Of round shapes MuJoCo's first size is the radius, of an ellipsoid the semi-axes.
            size = model.geom_size[geom] if shape != "mesh" else model.geom_aabb[geom][3:]
            radius = size[0] if shape in ("sphere", "cylinder", "capsule") else max(size)
            return shape, float(radius), float(model.geom_friction[geom][0])
    raise ModelError(f"{str(file)!r}: the wheel on {model.joint(joint).name!r} does not collide")


def _colliding(model: "mujoco.MjModel") -> dict[int, str]:
    """Return the shapes of all geometries that can touch something, by index."""
    import mujoco

    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    kinds = {int(geom): mujoco.mjtGeom(model.geom_type[geom]) for geom in collides.nonzero()[0]}
    return {geom: kind.name.removeprefix("mjGEOM_").lower() for geom, kind in kinds.items()}


def read_servo(
    file: Path, model: "mujoco.MjModel", joint: int, *, feedback: int
) -> tuple[float, float]:
    """Return gain [N m/rad or N m s/rad] and torque limit [N m] of the one servo on a joint.

    A position servo feeds back the position (index 1 of MuJoCo's bias), a speed servo the speed
    (index 2), each with minus the gain; a plain motor feeds back nothing.

    Raises:
        ModelError: If there is no such servo, or something else acts on the joint too.
    """
    name = model.joint(joint).name
    acts_on_joint = model.actuator_trntype <= 1  # mjTRN_JOINT or mjTRN_JOINTINPARENT
    actuators = (acts_on_joint & (model.actuator_trnid[:, 0] == joint)).nonzero()[0]
    if len(actuators) != 1:
        raise ModelError(
            f"{str(file)!r} has {len(actuators) or 'no'} actuators on the joint {name!r}",
            hint="give each steering joint one <position>, each rear wheel one <velocity> servo",
        )
    gain = float(model.actuator_gainprm[actuators[0]][0])
    limit = float(model.actuator_forcerange[actuators[0]][1])
    bias = float(model.actuator_biasprm[actuators[0]][feedback])
    if not (gain > 0 and limit > 0 and math.isclose(bias, -gain)):
        kind = f"<{('position', 'velocity')[feedback - 1]}> servo with a positive forcerange"
        raise ModelError(f"{str(file)!r}: the actuator on {name!r} is no {kind}")
    return gain, limit
