"""Servos for a car that comes without, or with others than diffcar drives."""

from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError
from diffcar.sim.model.reader import CarReader
from diffcar.sim.model.rules import GRAVITY
from diffcar.sim.model.vehicle import Vehicle

if TYPE_CHECKING:
    import mujoco

__all__ = ["ensure_servos", "limit_speeds", "replace_servos"]

# Steering settles in about a tenth of a second, the motors reach the commanded speed in about a
# third and give at most half of what the tyres hold.
_STEERING_FREQUENCY = 30.0
_MOTOR_TIME = 0.3
_MOTOR_SHARE = 0.5
_STEERING_TORQUE_PER_GAIN = 0.5


def ensure_servos(
    car: CarReader, spec: "mujoco.MjSpec", steering: tuple[str, ...], driven: tuple[str, ...]
) -> list[str]:
    """Put servos on the steering joints, or on the driven ones, unless all of them have some.

    That is one position servo on each steering and one velocity servo on each driven joint, with
    a limited force. Otherwise all actuators of these joints are replaced in `spec`, of which
    the model was compiled. Actuators of anything else are left out. What was done and assumed is
    returned in words. A wheel that does not collide is an error.
    """
    import mujoco

    on_joints = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)
    others = [
        each
        for each in spec.actuators
        if each.trntype not in on_joints or each.target not in steering + driven
    ]
    notes = [f"the actuator {each.name!r} is left out: nobody would command it" for each in others]
    for actuator in others:
        spec.delete(actuator)
    for names, feedback, add in ((steering, 1, _add_steering), (driven, 2, _add_motors)):
        found = {name: _unfit(car, name, feedback) for name in names}
        lacking = {name: reason for name, reason in found.items() if reason is not None}
        if not lacking:
            continue
        replaced = [each for each in spec.actuators if each.target in names]
        for actuator in replaced:
            spec.delete(actuator)
        instead = f" instead of {len(replaced)} given" if replaced else ""
        reasons = "; ".join(filter(None, lacking.values()))
        notes.append(
            f"no servos with a limited force on {', '.join(lacking)}"
            f"{f' ({reasons})' if reasons else ''}: assumed{instead} {add(car, spec, names)}"
        )
    return notes


def limit_speeds(
    spec: "mujoco.MjSpec", driven: tuple[str, ...], speeds: dict[str, float]
) -> list[str]:
    """Let motors be asked for no more than the least of their joints' largest speeds [rad/s]."""
    known = [speeds[name] for name in driven if name in speeds]
    if not known:
        return []
    most = min(known)
    for actuator in spec.actuators:
        if actuator.target in driven:
            actuator.ctrllimited, actuator.ctrlrange = 1, [-most, most]
    return [f"the motors reach {most:g} rad/s, the `velocity` of their joints"]


def replace_servos(spec: "mujoco.MjSpec", vehicle: Vehicle) -> None:
    """Give a model the servos that a car has by now, whichever wheels its file drives."""
    # Sensors and keyframes refer to actuators, and nobody asks for either.
    for element in (*spec.sensors, *spec.keys, *spec.actuators):
        spec.delete(element)
    for name in vehicle.steering_joints:
        _add_servo(spec, name, 1, vehicle.steering_gain, vehicle.max_steering_torque)
    motors = zip(vehicle.driven_joints, vehicle.drive_gains, vehicle.max_drive_torques, strict=True)
    for name, gain, limit in motors:
        _add_servo(spec, name, 2, gain, limit)


def _unfit(car: CarReader, joint: str, feedback: int) -> str | None:
    """Return why a joint's actuator is no servo of the car, empty if it has none; None if it is."""
    try:
        car.servo(joint, feedback=feedback)
    except ModelError as error:
        told = error.message.removeprefix(repr(str(car.file))).removeprefix(": ").strip()
        return "" if told.startswith("has no") else told
    return None


def _add_steering(car: CarReader, spec: "mujoco.MjSpec", names: tuple[str, ...]) -> str:
    """Add position servos with damping in the joints; return both gains in words."""
    model = car.model
    inertia = max(float(model.dof_M0[model.joint(name).dofadr[0]]) for name in names)
    stiffness, damping = inertia * _STEERING_FREQUENCY**2, 2 * inertia * _STEERING_FREQUENCY
    for name in names:
        _damp(spec.joint(name), damping)
        _add_servo(spec, name, 1, stiffness, _STEERING_TORQUE_PER_GAIN * stiffness)
    return f"{stiffness:.3g} N m/rad with {damping:.3g} N m s/rad for steering"


def _add_motors(car: CarReader, spec: "mujoco.MjSpec", names: tuple[str, ...]) -> str:
    """Add velocity servos; return their gain and limit in words."""
    mass, (_, radius, friction) = float(car.model.body_subtreemass[0]), car.wheel(names[0])
    # Of what a quarter of the car holds.
    torque = _MOTOR_SHARE * min(1.0, friction) * mass * GRAVITY / 4 * radius
    gain = mass * radius**2 / len(names) / _MOTOR_TIME
    for name in names:
        _add_servo(spec, name, 2, gain, torque)
    return f"{gain:.3g} N m s/rad up to {torque:.3g} N m for each driven wheel"


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
