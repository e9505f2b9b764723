"""Turns somebody's own car, MJCF or URDF, into a model as diffcar reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffcar.errors import ModelError
from diffcar.sim.vehicle import SPIN_JOINTS, STEERING_JOINTS

__all__ = ["AdoptedModel", "adopt_model"]

_STEERING_WORDS = ("steer", "knuckle", "ackermann")
_WHEEL_WORDS = ("wheel", "spin", "roll", "tire", "tyre")
# Servos of a model that has none: steering settles in about a tenth of a second, the motors reach
# the commanded speed in about a third and give at most half of what the tyres hold.
_STEERING_FREQUENCY = 30.0
_MOTOR_TIME = 0.3
_MOTOR_SHARE = 0.5
_STEERING_TORQUE_PER_GAIN = 0.5
_GRAVITY = 9.81
_ALIGNED = 0.9


@dataclass(frozen=True)
class AdoptedModel:
    """A model rewritten."""

    file: Path
    """MJCF with a free base, diffcar's names of joints and a servo on each."""
    notes: tuple[str, ...]
    """What had to be found or assumed."""


def adopt_model(
    file: Path,
    folder: Path,
    *,
    steering_joints: tuple[str, ...] = (),
    wheel_joints: tuple[str, ...] = (),
) -> AdoptedModel:
    """Rewrite a car as MJCF with a free base, known joint names and servos.

    Args:
        file: MJCF or URDF.
        folder: Where the rewritten model goes.
        steering_joints: Names of the two steering joints; empty looks for names that say so.
        wheel_joints: Names of the four wheel joints, in any order; empty looks for names.

    Returns:
        The rewritten model.

    Raises:
        ModelError: If the file cannot be read or the joints are not to be found.
    """
    import mujoco

    if not file.is_file():
        raise ModelError(f"the vehicle model {str(file)!r} does not exist")
    try:
        spec = mujoco.MjSpec.from_file(str(file))
        notes = _free_the_base(spec)
        # Paths in the model are relative to it, and the copy lies elsewhere.
        for folder_name in ("meshdir", "texturedir"):
            setattr(spec, folder_name, str((file.parent / getattr(spec, folder_name)).resolve()))
        model = spec.compile()
        steering = _find(file, model, "steering", steering_joints, _STEERING_WORDS, 2)
        wheels = _find(file, model, "wheel", wheel_joints, _WHEEL_WORDS, 4, without=steering)
        if not (steering_joints and wheel_joints):
            notes.append(f"steering joints {', '.join(steering)}; wheel joints {', '.join(wheels)}")
        steering, wheels = _in_order(model, steering), _in_order(model, wheels)
        _point_axes(spec, model, steering, 2)
        _point_axes(spec, model, wheels, 1)
        notes += _add_servos(spec, model, steering, wheels[2:])
        for old, new in zip((*steering, *wheels), (*STEERING_JOINTS, *SPIN_JOINTS), strict=True):
            _rename(spec, old, new)
        spec.compile()
        text = spec.to_xml()
    except (ValueError, RuntimeError, mujoco.FatalError) as error:
        raise ModelError(f"{str(file)!r} cannot be read as a car: {error}") from None
    adopted = folder / f"{file.stem}.xml"
    adopted.write_text(text)
    return AdoptedModel(adopted, tuple(notes))


def _free_the_base(spec: Any) -> list[str]:  # noqa: ANN401
    """Give the one body of the world a free joint where it has none."""
    import mujoco

    bodies = [body for body in spec.worldbody.bodies if list(body.find_all("joint")) or body.bodies]
    if len(bodies) != 1:
        raise ValueError(f"a car is one body with parts; the world holds {len(bodies)} such bodies")
    joints = list(bodies[0].joints)
    if not joints:
        bodies[0].add_freejoint()
        return ["the base was fixed and is free now"]
    if joints[0].type != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"the base moves on the joint {joints[0].name!r}, not freely")
    return []


def _find(
    file: Path,
    model: Any,  # noqa: ANN401
    kind: str,
    given: tuple[str, ...],
    words: tuple[str, ...],
    count: int,
    without: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the names of joints that were given, or whose names say what they are."""
    import mujoco

    hinges = [
        model.joint(joint).name
        for joint in range(model.njnt)
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
    ]
    found = tuple(given) or tuple(
        name
        for name in hinges
        if name not in without and any(word in name.lower() for word in words)
    )
    unknown = [name for name in found if name not in hinges]
    if unknown or len(set(found)) != count:
        told = (
            f"no hinge {', '.join(map(repr, unknown))}"
            if unknown
            else (f"{len(set(found))} {kind} joints instead of {count}")
        )
        raise ModelError(
            f"{str(file)!r} has {told}",
            hint=f"name them with --{kind}-joints; its hinges are {', '.join(hinges) or 'none'}",
        )
    return found


def _pose(model: Any) -> Any:  # noqa: ANN401
    """Return the model in its reference pose."""
    import mujoco

    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def _in_order(model: Any, names: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ANN401
    """Return joints front to rear and left to right, by where they are."""
    pose = _pose(model)
    places = {name: pose.xanchor[model.joint(name).id] for name in names}
    by_x = sorted(names, key=lambda name: -places[name][0])
    pairs = [by_x[index : index + 2] for index in range(0, len(by_x), 2)]
    return tuple(name for pair in pairs for name in sorted(pair, key=lambda name: -places[name][1]))


def _point_axes(
    spec: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    names: tuple[str, ...],
    direction: int,
) -> None:
    """Turn joint axes so that they point along y (wheels) or z (steering), not against it."""
    pose = _pose(model)
    for name in names:
        along = float(pose.xaxis[model.joint(name).id][direction])
        if abs(along) < _ALIGNED:
            raise ValueError(f"the axis of the joint {name!r} is not along {'xyz'[direction]}")
        if along < 0:
            joint = spec.joint(name)
            low, high = joint.range
            joint.axis, joint.range = -joint.axis, [-high, -low]


def _add_servos(
    spec: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    steering: tuple[str, ...],
    driven: tuple[str, ...],
) -> list[str]:
    """Put servos on steering and driven joints, unless every one of them has an actuator."""
    names = (*steering, *driven)
    targets = {actuator.target: actuator for actuator in spec.actuators}
    if all(name in targets for name in names):
        return []
    for name in names:
        if name in targets:
            spec.delete(targets[name])
    inertia = max(float(model.dof_M0[model.joint(name).dofadr[0]]) for name in steering)
    stiffness = inertia * _STEERING_FREQUENCY**2
    for name in steering:
        joint = spec.joint(name)
        if not joint.range[1] > joint.range[0]:
            raise ValueError(f"the steering joint {name!r} has no range")
        limit = min(abs(value) for value in joint.range)
        joint.range = [-limit, limit]
        _damp(joint, 2 * inertia * _STEERING_FREQUENCY)
        _servo(spec, name, 1, stiffness, _STEERING_TORQUE_PER_GAIN * stiffness)
    mass, radius = float(model.body_subtreemass[0]), _wheel_radius(model, driven[0])
    torque = _MOTOR_SHARE * mass * _GRAVITY / 4 * radius
    gain = mass * radius**2 / 2 / _MOTOR_TIME
    for name in driven:
        _servo(spec, name, 2, gain, torque)
    return [
        f"no servos on all steering and rear wheel joints: assumed {stiffness:.3g} N m/rad with "
        f"{2 * inertia * _STEERING_FREQUENCY:.3g} N m s/rad, and {gain:.3g} N m s/rad up to "
        f"{torque:.3g} N m"
    ]


def _servo(
    spec: Any,  # noqa: ANN401
    name: str,
    feedback: int,
    gain: float,
    limit: float,
) -> None:
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


def _damp(joint: Any, least: float) -> None:  # noqa: ANN401
    """Raise a joint's damping, which MuJoCo's later releases keep as a polynomial of the speed."""
    import numpy as np

    damping = np.array(joint.damping, dtype=np.float64)
    damping.flat[0] = max(float(damping.flat[0]), least)
    joint.damping = damping if damping.ndim else float(damping)


def _wheel_radius(model: Any, joint: str) -> float:  # noqa: ANN401
    """Return the height of a wheel's axle over the lowest point of what it collides as."""
    body = int(model.jnt_bodyid[model.joint(joint).id])
    sizes = [
        float(max(model.geom_aabb[geom][3:]))
        for geom in range(model.ngeom)
        if model.geom_bodyid[geom] == body and model.geom_contype[geom]
    ]
    if not sizes:
        raise ValueError(f"the wheel on the joint {joint!r} does not collide")
    return max(sizes)


def _rename(spec: Any, old: str, new: str) -> None:  # noqa: ANN401
    """Give a joint another name, also where actuators refer to it."""
    spec.joint(old).name = new
    for actuator in spec.actuators:
        if actuator.target == old:
            actuator.target = new
