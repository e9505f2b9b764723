"""What makes Genesis's gradients right where they are withheld or wrong, one fault a file.

`REPAIRS` are those of a built scene. The collision shape of a scaled tool must be repaired before:
see `tool_shape`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diffcar.base.registry import Registry
from diffcar.sim.repairs.control_tape import repair_control_tape
from diffcar.sim.repairs.rolling_contact import repair_rolling_contact
from diffcar.sim.repairs.svd_adjoint import repair_svd_adjoint
from diffcar.sim.repairs.tool_inputs import repair_tool_inputs

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["REPAIRS"]


def _repair(apply: Callable[..., bool | None], things: list[Any]) -> bool:
    """Apply a repair to each thing; return whether it was of use to any."""
    return any([apply(thing) is not False for thing in things])


REPAIRS: Registry[Callable[["Scene"], bool]] = Registry(
    "repair",
    {
        "control tape": lambda scene: _repair(
            repair_control_tape,
            [entity for entity in scene.sim.rigid_solver.entities if entity.n_dofs],
        ),
        "rolling contact": lambda scene: _repair(
            repair_rolling_contact, [scene] if scene.sim.rigid_solver.is_active else []
        ),
        "tool inputs": lambda scene: _repair(repair_tool_inputs, scene.sim.tool_solver.entities),
        "corotated stress": lambda scene: _repair(
            repair_svd_adjoint, [scene.sim.mpm_solver] if scene.sim.mpm_solver.is_active else []
        ),
    },
)
"""By fault, what repairs it in a built differentiable scene, and returns whether it was of use."""
