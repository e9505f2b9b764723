"""A compiled model, questioned about a car: its joints, servos and wheels, or what is wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcar.base.errors import ModelError
from diffcar.sim.model import rules
from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import collides, shape_name

if TYPE_CHECKING:
    import mujoco
    from numpy import ndarray

__all__ = ["SPIN_JOINTS", "STEERING_JOINTS", "CarReader"]

STEERING_JOINTS = ("front_left_steering", "front_right_steering")
SPIN_JOINTS = ("front_left_spin", "front_right_spin", "rear_left_spin", "rear_right_spin")
_MAX_TOLD = 5


@dataclass(frozen=True)
class CarReader:
    """What a compiled model says of a car; complaints name its file."""

    file: Path
    """Of the user's, which complaints are about."""
    model: "mujoco.MjModel"
    """What it was compiled to."""

    def error(self, told: str, hint: str | None = None) -> ModelError:
        """Return a complaint about the file, which stands before it."""
        return ModelError(f"{str(self.file)!r}{told}", hint)

    def wheel(self, joint: str) -> tuple[str, float, float]:
        """Return shape, radius [m] and friction of the one thing that collides of a wheel."""
        model, geom = self.model, self.wheel_geom(joint)
        shape = self.colliding()[geom]
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
                "give each steering joint one <position>, each driven wheel one <velocity> servo",
            )
        servo = int(found[0])
        self.refuse(rules.actuator_faults(model, servo, joint))
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

    def wheel_geom(self, joint: str) -> int:
        """Return the one geometry of a wheel that collides."""
        model, body = self.model, int(self.model.jnt_bodyid[self.model.joint(joint).id])
        bodies = {geom: int(model.geom_bodyid[geom]) for geom in self.colliding()}
        own = [geom for geom, of in bodies.items() if of == body]
        if not own:
            raise self.error(f": the wheel on {joint!r} does not collide")
        if (count := sum(model.body_weldid[of] == body for of in bodies.values())) > 1:
            raise self.error(
                f": {count} geometries collide of the wheel on {joint!r}",
                'let all but the tyre only show: contype="0" conaffinity="0"',
            )
        return own[0]

    def stray_actuators(self) -> list[rules.Fault]:
        """Return the actuators that are no servos of the car, which nobody would command."""
        model = self.model
        driven = [model.joint(name).id for name in (*STEERING_JOINTS, *SPIN_JOINTS)]
        return [
            (
                f"the actuator {model.actuator(i).name!r} is on no front steering or wheel",
                "leave it out",
            )
            for i in range(model.nu)
            if model.actuator_trntype[i] > 1 or model.actuator_trnid[i, 0] not in driven
        ]

    def driven_wheels(self) -> tuple[str, ...]:
        """Return the spin joints of each axle on which there is an actuator; else of the rear."""
        model = self.model
        on_joints = model.actuator_trnid[model.actuator_trntype <= 1, 0]
        axles = (SPIN_JOINTS[:2], SPIN_JOINTS[2:])
        driven = [a for a in axles if any(model.joint(name).id in on_joints for name in a)]
        return tuple(name for axle in driven or axles[1:] for name in axle)

    def joint_faults(self, layout: Layout) -> list[rules.Fault]:
        """Return what is wrong with the hinges, their axes and which wheel is on which."""
        faults = []
        for name in (*STEERING_JOINTS, *SPIN_JOINTS):
            is_wheel = name in SPIN_JOINTS
            faults += rules.joint_faults(self.model, name, is_wheel=is_wheel)
            faults += layout.axis_faults(name, 1 if is_wheel else 2)
        steered = [*STEERING_JOINTS, None, None]
        for wheel, wanted in zip(SPIN_JOINTS, steered, strict=True):
            own = [name for name in STEERING_JOINTS if layout.moves(name, wheel)]
            if own != ([wanted] if wanted else []):
                told = f"{wheel!r} is steered by {' and '.join(own) or 'nothing'}"
                faults.append((told, "left steers left, right right, and the rear is not steered"))
        return faults

    def refuse(self, faults: list[rules.Fault]) -> None:
        """Raise if there are faults, naming the first of them."""
        if faults:
            told = "; ".join(told for told, _ in faults[:_MAX_TOLD])
            more = f"; and {len(faults) - _MAX_TOLD} more" if len(faults) > _MAX_TOLD else ""
            raise self.error(f": {told}{more}", "; ".join(dict(faults[:_MAX_TOLD]).values()))

    def find_base(self, more_joints: bool) -> int:
        """Return the one body that a car hangs on: free, with two steering and four wheel joints.

        With `more_joints` it may have others.
        """
        import mujoco

        model, names = self.model, (*STEERING_JOINTS, *SPIN_JOINTS)
        joints = {name: mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name) for name in names}
        for name, joint in joints.items():
            if joint < 0:
                hint = f"a car needs the joints {', '.join(names)}"
                raise self.error(f" has no joint {name!r}", hint)
        base = int(model.body_rootid[model.jnt_bodyid[joints[STEERING_JOINTS[0]]]])
        first = int(model.body_jntadr[base])
        is_free = first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE
        if not is_free or (model.njnt != 1 + len(names) and not more_joints):
            raise self.error(
                f" has {model.njnt} joints and a base that is {'' if is_free else 'not '}free; "
                "a car has a free base and six hinges",
                "compare it with assets/car.xml",
            )
        if any(model.body_rootid[model.jnt_bodyid] != base):
            raise self.error(" has joints besides the car's", "leave other bodies out")
        if any(model.body_weldid[model.geom_bodyid[geom]] == 0 for geom in self.colliding()):
            raise self.error(
                " has colliding geometries besides the car, such as a floor",
                "remove them: diffcar lays the road itself",
            )
        return base

    def joint_limit(self) -> float:
        """Return the symmetric limit that both steering joints share [rad]."""
        joints = [self.model.joint(name) for name in STEERING_JOINTS]
        ranges = [tuple(map(float, j.range)) if j.limited[0] else (0.0, 0.0) for j in joints]
        low, high = self.same("the ranges of the steering joints", ranges)
        if high >= math.pi / 2:
            raise self.error(
                f": the wheels steer by {high:g} rad, more than a right angle",
                'a URDF, and MJCF with angle="radian", has radians: 25 degrees are 0.436',
            )
        if not (high > 0 and math.isclose(low, -high)):
            raise self.error(f": the steering range {low:g} to {high:g} rad is not symmetric")
        return high

    def same(self, what: str, values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the first of values that must all be equal, numbers up to rounding."""
        for other in values[1:]:
            for a, b in zip(values[0], other, strict=True):
                if not (a == b if isinstance(a, str) else math.isclose(a, b, rel_tol=1e-6)):
                    raise self.error(f": {what} must not differ, they are {values}")
        return values[0]

    def colliding(self) -> dict[int, str]:
        """Return the shapes of all geometries that can touch something, by index."""
        model = self.model
        own = [geom for geom in range(model.ngeom) if collides(model, geom)]
        return {geom: shape_name(model.geom_type[geom]) for geom in own}
