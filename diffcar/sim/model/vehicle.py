"""A car's parameters, so that no other place repeats what its model says."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from diffcar.sim.config import DrivenWheels
from diffcar.sim.model.reader import SPIN_JOINTS, STEERING_JOINTS

__all__ = ["SHIPPED", "SHIPPED_MASS", "Vehicle"]

SHIPPED = ("car", "racer", "buggy", "sedan")
"""Cars that come with diffcar, by the name of their file in `assets/`."""

SHIPPED_MASS = 3.74
"""Of the car that defaults were made for [kg]."""

# Of that car [m], and the sharpest turns of the roads for it [1/m].
_SHIPPED_WHEELBASE, _SHARPEST_TURN = 0.3302, 1.3
# Their inertia about the vertical, over mass and wheelbase squared, and a little more.
_SHIPPED_INERTIA = 0.116


@dataclass(frozen=True)
class Vehicle:
    """Geometry, limits and servo gains of a front-steered car, driven by one axle or by both."""

    file: Path
    """The MJCF model."""
    mass: float
    """Total mass [kg]."""
    chassis_mass: float
    """Mass of the base and of what is fixed to it [kg]."""
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
    wheel_inertia: float
    """Largest of a wheel about its axle, with the armature of its joint [kg m²]."""
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
    steering_joints: ClassVar[tuple[str, str]] = STEERING_JOINTS
    """Names of the steering joints, left and right."""
    wheel_joints: ClassVar[tuple[str, str, str, str]] = SPIN_JOINTS
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
    def front_load(self) -> float:
        """Share of the weight on the front wheels at rest."""
        return (self.centre_of_mass[0] - self.rear_axle_x) / self.wheelbase

    @property
    def driven_load(self) -> float:
        """Share of the weight on the driven wheels when they hold the car back or drive it on.

        At the limit of their grip, whichever leaves less: the rear is relieved by braking, the
        front by speeding up.
        """
        if self.drive == "all":
            return 1.0
        share = self.front_load if self.drive == "front" else 1 - self.front_load
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
