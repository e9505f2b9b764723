"""What a model must not say, since one engine or both would not simulate it: tables of rules."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from diffcar.sim.model.model_file import shape_name

if TYPE_CHECKING:
    import mujoco

__all__ = [
    "GRAVITY",
    "Fault",
    "actuator_faults",
    "collision_faults",
    "joint_faults",
    "world_faults",
]


GRAVITY = 9.81
"""In both engines [m/s²], down."""


class Rule(NamedTuple):
    """What a field of a compiled model must be."""

    field: str
    """Its name; one that this MuJoCo lacks holds."""
    value: float | tuple[float, ...]
    """What it must be; MuJoCo's default."""
    told: str
    """What people call it in MJCF."""
    hint: str = "leave it out"
    """What to do instead."""


_WORLD = (
    Rule("neq", 0, "<equality>"),
    Rule("ntendon", 0, "<tendon>"),
    Rule("nflex", 0, "<flex>"),
    Rule("npair", 0, "<contact><pair>"),
    Rule("nplugin", 0, "<plugin>"),
    Rule("ngravcomp", 0, "gravcomp"),
)
_OPTIONS = (
    Rule("density", 0, "<option density>"),
    Rule("viscosity", 0, "<option viscosity>"),
    Rule("wind", (0, 0, 0), "<option wind>"),
    Rule("disableflags", 0, "<option><flag> that disables something"),
    Rule("disableactuator", 0, "<option actuatorgroupdisable>"),
)
_HINT = f"it is {GRAVITY} m/s² down; leave it out"
_GRAVITY = Rule("gravity", (0, 0, -GRAVITY), "<option gravity>", _HINT)
_GRAVITY_TOLERANCE = 0.02
_JOINT = (
    Rule("jnt_margin", 0, "margin"),
    Rule("jnt_stiffness", 0, "stiffness"),
    Rule("jnt_stiffnesspoly", 0, "stiffness that grows"),
    Rule("jnt_actgravcomp", 0, "actuatorgravcomp"),
)
_WHEEL = (*_JOINT, Rule("jnt_limited", 0, "range", "a wheel turns without end; leave it out"))
_DOF = (
    Rule("dof_frictionloss", 0, "frictionloss", "give it damping (URDF: <dynamics friction>)"),
    Rule("dof_dampingpoly", 0, "damping that grows"),
)
_ACTUATOR = (
    Rule(
        "actuator_gear",
        (1,),
        "gear",
        "multiply kp or kv by its square and forcerange by it, and divide ctrlrange",
    ),
    Rule("actuator_dyntype", 0, "timeconst, or another activation", "a servo without it"),
    Rule("actuator_gaintype", 0, "gaintype"),
    Rule("actuator_delay", 0, "delay"),
    Rule("actuator_armature", 0, "armature", "give it to the joint"),
    Rule("actuator_damping", 0, "damping", "give it to the joint"),
    Rule("actuator_dampingpoly", 0, "damping that grows"),
)
_COLLISION = (
    Rule("geom_condim", 3, "condim"),
    Rule("geom_margin", 0, "margin"),
    Rule("geom_gap", 0, "gap"),
    Rule("geom_priority", 0, "priority"),
    Rule("geom_solmix", 1, "solmix"),
    Rule("geom_adhesion", 0, "adhesion"),
    Rule("geom_surfacevel", 0, "surfacevel"),
)

Fault = tuple[str, str]
"""What is wrong, and what to do about it."""


def world_faults(model: "mujoco.MjModel") -> list[Fault]:
    """Return what is wrong with all that is neither joint, actuator nor geometry."""
    import mujoco

    # What only measures; the rest overrides contacts or lets bodies sleep.
    harmless = mujoco.mjtEnableBit.mjENBL_ENERGY | mujoco.mjtEnableBit.mjENBL_FWDINV
    enabled = int(model.opt.enableflags) & ~int(harmless)
    faults = [*_broken(_WORLD, model, "the model"), *_broken(_OPTIONS, model.opt, "the model")]
    if enabled:
        faults.append(("the model has <option><flag> that enables something", "leave it out"))
    return faults + _broken([_GRAVITY], model.opt, "the model", tolerance=_GRAVITY_TOLERANCE)


def joint_faults(model: "mujoco.MjModel", joint: str, *, is_wheel: bool) -> list[Fault]:
    """Return what is wrong with a hinge that steers or rolls."""
    import mujoco

    own, told = model.joint(joint).id, f"the joint {joint!r}"
    if model.jnt_type[own] != mujoco.mjtJoint.mjJNT_HINGE:
        return [(f"{told} is no hinge", 'give it type="hinge" (URDF: revolute or continuous)')]
    faults = _broken(_WHEEL if is_wheel else _JOINT, model, told, own)
    faults += _broken(_DOF, model, told, int(model.jnt_dofadr[own]))
    ref = Rule("qpos0", 0, "ref", "let it stand straight ahead at zero")
    return faults + _broken([ref], model, told, int(model.jnt_qposadr[own]))


def actuator_faults(model: "mujoco.MjModel", actuator: int, joint: str) -> list[Fault]:
    """Return what is wrong with a servo, its gains and limits left out."""
    return _broken(_ACTUATOR, model, f"the actuator on {joint!r}", actuator)


def collision_faults(model: "mujoco.MjModel", geom: int) -> list[Fault]:
    """Return what is wrong with how a geometry collides."""
    name = model.geom(geom).name or f"a {shape_name(model.geom_type[geom])}"
    return _broken(_COLLISION, model, f"the geometry {name!r}", geom)


def _broken(
    rules: Iterable[Rule],
    holder: Any,  # noqa: ANN401
    told: str,
    index: int | None = None,
    *,
    tolerance: float = 1e-9,
) -> list[Fault]:
    """Return what breaks a rule, of one row of the fields where there is an index."""
    import numpy as np

    faults = []
    for rule in rules:
        values = getattr(holder, rule.field, None)
        if values is None:
            continue
        found = np.atleast_1d(values if index is None else values[index]).astype(np.float64)
        wanted = np.atleast_1d(np.asarray(rule.value, dtype=np.float64))
        # Of a gear, only the first number acts on a hinge.
        found = found[: wanted.size] if wanted.size > 1 or rule.field == "actuator_gear" else found
        if not (np.abs(found - wanted) <= tolerance).all():
            shown = " ".join(f"{value:g}" for value in found[:3])
            faults.append((f"{told} has {rule.told} ({shown})", rule.hint))
    return faults
