"""The car's parameters, read from its MJCF model so that no other place repeats them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcar.base.errors import ModelError
from diffcar.base.files import resource_path
from diffcar.sim.model.model_file import reference_pose, shape_name

if TYPE_CHECKING:
    import mujoco

__all__ = ["SPIN_JOINTS", "STEERING_JOINTS", "CarReader", "Vehicle", "load_vehicle"]

STEERING_JOINTS = ("front_left_steering", "front_right_steering")
# Contacts of one body with a plane; Genesis's limit of twenty for what is not listed.
_CONTACTS = {"sphere": 2, "ellipsoid": 2, "cylinder": 5, "capsule": 5, "box": 8}
_ROUND = ("sphere", "ellipsoid", "cylinder", "capsule")
SPIN_JOINTS = ("front_left_spin", "front_right_spin", "rear_left_spin", "rear_right_spin")
_GIVE_MJCF = "write one after assets/car.xml, or leave `model` out for that car"


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
        raise ModelError(f"the vehicle model {str(file)!r} does not exist", _GIVE_MJCF)
    try:
        mj_model = mujoco.MjModel.from_xml_path(str(file))
    except (ValueError, RuntimeError, mujoco.FatalError) as error:
        told = f"{str(file)!r} is not a valid MJCF model: {str(error).strip()}"
        raise ModelError(told, _GIVE_MJCF) from None
    return CarReader(file, mj_model).vehicle(lenient)


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
        pose = reference_pose(model)
        base = int(model.body_rootid[model.jnt_bodyid[joints[STEERING_JOINTS[0]]]])
        self._require_free_base(base, lenient)
        centres = [
            [float(x) for x in pose.xanchor[joints[name]] - pose.xpos[base]] for name in SPIN_JOINTS
        ]
        front, _, rear_left, rear_right = centres
        if front[0] <= rear_left[0] or rear_left[1] <= rear_right[1]:
            raise self.error(
                ": the front wheels are not ahead of the rear ones, or left is not left",
                "in the model's reference pose the car must face along x, with y to its left",
            )
        wheels = [self.wheel(name) for name in SPIN_JOINTS]
        servos = [self.servo(name, feedback=1) for name in STEERING_JOINTS]
        motors = [self.servo(name, feedback=2) for name in SPIN_JOINTS[2:]]
        shape, radius, friction = self._same("shape, radius and friction of the wheels", wheels)
        if shape not in _ROUND and not lenient:
            raise self.error(
                f": the wheels collide as a {shape}, whose gradient is not right where it changes "
                "the corner that it stands on",
                "give each wheel a colliding sphere of its radius and a cylinder that only shows "
                '(contype="0" conaffinity="0"), as in assets/car.xml',
            )
        steering_gain, steering_limit = self._same("the steering servos", servos)
        drive_gain, drive_limit = self._same("the motors", motors)
        return Vehicle(
            file=self.file,
            mass=float(model.body_subtreemass[base]),
            wheelbase=front[0] - rear_left[0],
            track=rear_left[1] - rear_right[1],
            rear_axle_x=rear_left[0],
            wheel_radius=radius,
            base_height=radius - rear_left[2],
            max_joint_angle=self._joint_limit(),
            steering_gain=steering_gain,
            max_steering_torque=steering_limit,
            drive_gain=drive_gain,
            max_drive_torque=drive_limit,
            friction=friction,
            max_contacts=sum(_CONTACTS.get(kind, 20) for kind in self._colliding().values()),
            wheel_shape=shape,
        )

    def wheel(self, joint: str) -> tuple[str, float, float]:
        """Return shape, radius [m] and friction of the first thing that collides of a wheel."""
        model, joint_id = self.model, self.model.joint(joint).id
        for geom, shape in self._colliding().items():
            if model.geom_bodyid[geom] == model.jnt_bodyid[joint_id]:
                # Of round shapes MuJoCo's first size is the radius, of an ellipsoid the semi-axes.
                size = model.geom_size[geom] if shape != "mesh" else model.geom_aabb[geom][3:]
                radius = size[0] if shape in ("sphere", "cylinder", "capsule") else max(size)
                return shape, float(radius), float(model.geom_friction[geom][0])
        raise self.error(f": the wheel on {joint!r} does not collide")

    def servo(self, joint: str, *, feedback: int) -> tuple[float, float]:
        """Return gain [N m/rad or N m s/rad] and torque limit [N m] of the one servo on a joint.

        A position servo feeds back the position (index 1 of MuJoCo's bias), a speed servo the speed
        (index 2), each with minus the gain; a plain motor feeds back nothing. It is an error if
        there is no such servo, or something else acts on the joint too.
        """
        model = self.model
        acts_on_joint = model.actuator_trntype <= 1  # mjTRN_JOINT or mjTRN_JOINTINPARENT
        is_on_it = model.actuator_trnid[:, 0] == model.joint(joint).id
        actuators = (acts_on_joint & is_on_it).nonzero()[0]
        if len(actuators) != 1:
            raise self.error(
                f" has {len(actuators) or 'no'} actuators on the joint {joint!r}",
                "give each steering joint one <position>, each rear wheel one <velocity> servo",
            )
        gain = float(model.actuator_gainprm[actuators[0]][0])
        limit = float(model.actuator_forcerange[actuators[0]][1])
        bias = float(model.actuator_biasprm[actuators[0]][feedback])
        if not (gain > 0 and limit > 0 and math.isclose(bias, -gain)):
            kind = f"<{('position', 'velocity')[feedback - 1]}> servo with a positive forcerange"
            raise self.error(f": the actuator on {joint!r} is no {kind}")
        return gain, limit

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
        if any(model.body_weldid[model.geom_bodyid[geom]] == 0 for geom in self._colliding()):
            raise self.error(
                " has colliding geometries besides the car, such as a floor",
                "remove them: diffcar lays the road itself",
            )

    def _joint_limit(self) -> float:
        """Return the symmetric limit that both steering joints share [rad]."""
        ranges = [tuple(map(float, self.model.joint(name).range)) for name in STEERING_JOINTS]
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
