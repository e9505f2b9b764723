"""What couples the joints of somebody's car, taken away: each wheel turns by itself."""

from typing import TYPE_CHECKING

import numpy as np

from diffcar.sim.model.model_file import UnfitError
from diffcar.sim.model.search import Found

if TYPE_CHECKING:
    import mujoco

__all__ = ["untie"]


def untie(spec: "mujoco.MjSpec", model: "mujoco.MjModel", found: Found) -> list[str]:
    """Remove what couples joints: each wheel of diffcar's turns by itself.

    An actuator on joints that are coupled by a tendon becomes one on each of them, which is the
    same where they turn alike.
    """
    import mujoco

    own, told = {*found.steering, *found.wheels}, []
    for tie in [*spec.equalities]:
        if tie.type != mujoco.mjtEq.mjEQ_JOINT:
            kind = str(tie.type.name).removeprefix("mjEQ_").lower()
            raise UnfitError(
                f"an <equality> of the kind {kind} closes a loop or ties bodies together, and it "
                "is not certain what the car would be without it",
                "leave it out, and the rods that it holds: diffcar turns each front wheel as "
                "Ackermann has it",
            )
        told.append(f"{tie.name1} and {tie.name2 or 'a number'} by <equality>")
        spec.delete(tie)
    tendons = {tendon.name: _joints_of(model, tendon.name) for tendon in spec.tendons}
    for actuator in [*spec.actuators]:
        if actuator.trntype == mujoco.mjtTrn.mjTRN_TENDON:
            coupled = tendons.get(actuator.target, {})
            if coupled and own >= coupled.keys() and len({*map(abs, coupled.values())}) == 1:
                _share_out(spec, actuator, coupled)
                told.append(f"{', '.join(coupled)} by a tendon, and driven by an actuator each")
            spec.delete(actuator)
    for tendon in [*spec.tendons]:
        if not tendons[tendon.name] or np.any(np.asarray(tendon.stiffness)):
            raise UnfitError(
                f"the tendon {tendon.name!r} pulls or runs through space, and it is not certain "
                "what the car would be without it",
                "leave it out",
            )
        spec.delete(tendon)
    return [f"no longer coupled: {'; '.join(told)}"] if told else []


def _joints_of(model: "mujoco.MjModel", tendon: str) -> dict[str, float]:
    """Return joints and coefficients of a fixed tendon; none of one that runs through space."""
    import mujoco

    own = model.tendon(tendon).id
    first, count = int(model.tendon_adr[own]), int(model.tendon_num[own])
    part = range(first, first + count)
    if any(model.wrap_type[index] != mujoco.mjtWrap.mjWRAP_JOINT for index in part):
        return {}
    joints = [model.joint(int(model.wrap_objid[index])).name for index in part]
    return dict(zip(joints, map(float, model.wrap_prm[first : first + count]), strict=True))


def _share_out(
    spec: "mujoco.MjSpec", actuator: "mujoco.MjsActuator", coupled: dict[str, float]
) -> None:
    """Put on each joint what an actuator of their tendon gives it."""
    import mujoco

    # The tendon's length is the sum of the joints' angles times the coefficient, whose sign is
    # that of how a joint's axis points.
    coefficient = abs(next(iter(coupled.values())))
    length = len(coupled) * coefficient
    alike = ("dyntype", "gaintype", "biastype", "gear", "forcelimited", "ctrllimited")
    for joint in coupled:
        own = spec.add_actuator(
            name=f"{actuator.name or 'actuator'}_{joint}",
            target=joint,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gainprm=np.asarray(actuator.gainprm) * length * coefficient,
            biasprm=np.asarray(actuator.biasprm) * length * coefficient,
            **{name: getattr(actuator, name) for name in alike},
        )
        own.forcerange = np.asarray(actuator.forcerange) * coefficient
        own.ctrlrange = np.asarray(actuator.ctrlrange) / length
