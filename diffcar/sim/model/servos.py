"""Servos for a car that comes without, or with others than diffcar drives."""

from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError
from diffcar.sim.model.vehicle import CarReader

if TYPE_CHECKING:
    import mujoco

__all__ = ["ensure_servos"]

# Steering settles in about a tenth of a second, the motors reach the commanded speed in about a
# third and give at most half of what the tyres hold.
_STEERING_FREQUENCY = 30.0
_MOTOR_TIME = 0.3
_MOTOR_SHARE = 0.5
_STEERING_TORQUE_PER_GAIN = 0.5
_GRAVITY = 9.81


def ensure_servos(
    car: CarReader, spec: "mujoco.MjSpec", steering: tuple[str, ...], driven: tuple[str, ...]
) -> list[str]:
    """Put servos on steering and driven joints, unless every one of them has what it takes.

    That is one position servo on each steering and one velocity servo on each driven joint, with
    a limited force. Otherwise all actuators of these joints are replaced in `spec`, of which
    the model was compiled, and what was assumed is returned in words. A steering joint without
    a range, or a wheel that does not collide, is an error.
    """
    import mujoco

    feedbacks = dict.fromkeys(steering, 1) | dict.fromkeys(driven, 2)
    lacking = [name for name, feedback in feedbacks.items() if not _has_servo(car, name, feedback)]
    if not lacking:
        return []
    on_joints = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)
    servos = [actuator for actuator in spec.actuators if actuator.trntype in on_joints]
    replaced = [actuator for actuator in servos if actuator.target in feedbacks]
    for actuator in replaced:
        spec.delete(actuator)
    stiffness, damping = _add_steering(car, spec, steering)
    gain, torque = _add_motors(car, spec, driven)
    instead = f" instead of {len(replaced)} given" if replaced else ""
    return [
        f"no servos with a limited force on {', '.join(lacking)}: assumed{instead} {stiffness:.3g} "
        f"N m/rad with {damping:.3g} N m s/rad for steering, and {gain:.3g} N m s/rad up to "
        f"{torque:.3g} N m for the rear wheels"
    ]


def _has_servo(car: CarReader, joint: str, feedback: int) -> bool:
    """Return whether a joint has exactly one servo with feedback of position or speed."""
    try:
        car.servo(joint, feedback=feedback)
    except ModelError:
        return False
    return True


def _add_steering(
    car: CarReader, spec: "mujoco.MjSpec", names: tuple[str, ...]
) -> tuple[float, float]:
    """Add position servos with damping in the joints; return both gains."""
    model = car.model
    inertia = max(float(model.dof_M0[model.joint(name).dofadr[0]]) for name in names)
    stiffness, damping = inertia * _STEERING_FREQUENCY**2, 2 * inertia * _STEERING_FREQUENCY
    for name in names:
        joint = spec.joint(name)
        if not joint.range[1] > joint.range[0]:
            raise car.error(
                f": the steering joint {name!r} has no range",
                "limit it to the angle that the wheel reaches to either side",
            )
        limit = min(abs(value) for value in joint.range)
        joint.range = [-limit, limit]
        _damp(joint, damping)
        _add_servo(spec, name, 1, stiffness, _STEERING_TORQUE_PER_GAIN * stiffness)
    return stiffness, damping


def _add_motors(
    car: CarReader, spec: "mujoco.MjSpec", names: tuple[str, ...]
) -> tuple[float, float]:
    """Add velocity servos; return their gain and limit."""
    mass, radius = float(car.model.body_subtreemass[0]), car.wheel(names[0])[1]
    torque = _MOTOR_SHARE * mass * _GRAVITY / 4 * radius
    gain = mass * radius**2 / 2 / _MOTOR_TIME
    for name in names:
        _add_servo(spec, name, 2, gain, torque)
    return gain, torque


def _add_servo(spec: "mujoco.MjSpec", name: str, feedback: int, gain: float, limit: float) -> None:
    """Add an actuator with proportional feedback of position (1) or speed (2)."""
    import mujoco

    bias = [0.0] * 10
    bias[feedback] = -gain
    spec.add_actuator(
        name=f"{name}_servo",
        target=name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        gainprm=[gain] + [0.0] * 9,
        biasprm=bias,
        forcelimited=True,
        forcerange=[-limit, limit],
    )


def _damp(joint: "mujoco.MjsJoint", least: float) -> None:
    """Raise a joint's damping, which MuJoCo's later releases keep as a polynomial of the speed."""
    import numpy as np

    damping = np.array(joint.damping, dtype=np.float64)
    damping.flat[0] = max(float(damping.flat[0]), least)
    joint.damping = damping if damping.ndim else float(damping)
