"""What makes Genesis's gradients right where they are withheld or wrong, one fault a file.

`REPAIRS` are those of a built scene. The collision shape of a scaled tool must be repaired before:
see `tool_shape`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from diffcar.base.registry import Registry
from diffcar.sim.repairs.control_tape import repair_control_tape
from diffcar.sim.repairs.rolling_contact import repair_rolling_contact
from diffcar.sim.repairs.svd_adjoint import repair_svd_adjoint
from diffcar.sim.repairs.tool_inputs import repair_tool_inputs

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["REPAIRS"]


def _repair_controls(scene: "Scene") -> bool:
    """Repair whatever rigid entity can be controlled."""
    movable = [entity for entity in scene.sim.rigid_solver.entities if entity.n_dofs]
    for entity in movable:
        repair_control_tape(entity)
    return bool(movable)


def _repair_contacts(scene: "Scene") -> bool:
    """Repair what rolls."""
    return scene.sim.rigid_solver.is_active and repair_rolling_contact(scene)


def _repair_tools(scene: "Scene") -> bool:
    """Repair the tools."""
    repaired = [repair_tool_inputs(tool) for tool in scene.sim.tool_solver.entities]
    return any(repaired)


def _repair_stress(scene: "Scene") -> bool:
    """Repair the bodies of particles."""
    return scene.sim.mpm_solver.is_active and repair_svd_adjoint(scene.sim.mpm_solver)


REPAIRS: Registry[Callable[["Scene"], bool]] = Registry(
    "repair",
    {
        "control tape": _repair_controls,
        "rolling contact": _repair_contacts,
        "tool inputs": _repair_tools,
        "corotated stress": _repair_stress,
    },
)
"""By fault, what repairs it in a built scene and returns whether there was anything to repair."""
