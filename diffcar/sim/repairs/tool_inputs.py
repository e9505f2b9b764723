"""Makes the gradient of a tool's inputs right.

Fault of Genesis 1.4.5: a `ToolEntity` carries its velocity, angular velocity, position and
orientation from frame to frame, and `process_input_grad` reads the adjoint of one of them at the
frame where an input overwrote it, but leaves it there. The reverse pass then carries it on to the
earlier frames, although what the input overwrote had no effect, so the gradient that is handed out
for step t is the sum over all steps from t on: with velocities set at every step it is wrong by a
factor that grows with the horizon, and nothing warns.

The repair clears the adjoint at every frame where an input was written, whether or not that input
tracks gradients: an input without gradients cuts the past off just the same.
"""

from types import MethodType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffcar.sim.upstream import is_as_known, lacking, refuse_lacking

if TYPE_CHECKING:
    from genesis.engine.entities.tool_entity.tool_entity import ToolEntity

__all__ = ["repair_tool_inputs"]

# Of ToolEntity.process_input_grad in genesis-world 1.4.5.
_KNOWN_INPUT_GRAD = "550be7cd80b3d235"
_INPUTS = ("vel", "ang", "pos", "quat")
_NEEDED = (
    "process_input_grad",
    "_sim",
    "_tgt_buffer",
    *(f"set_{name}_grad" for name in _INPUTS),
    *(f"set_frame_add_grad_{name}" for name in _INPUTS),
)


def repair_tool_inputs(tool: "ToolEntity") -> bool:
    """Repair the adjoint of the inputs of one tool of a built differentiable scene.

    Returns whether it was; not, with a warning, if Genesis treats the inputs otherwise by now, and
    raises if this Genesis lacks what the repair rests on.
    """
    refuse_lacking(lacking(tool, _NEEDED), " in its tools, which differentiable tool inputs need")
    upstream = type(tool).process_input_grad
    if not is_as_known(upstream, _KNOWN_INPUT_GRAD, repair="tool inputs"):
        return False
    tool.process_input_grad = MethodType(_process_input_grad_and_clear, tool)
    return True


def _process_input_grad_and_clear(tool: "ToolEntity") -> list[tuple[Tensor, Tensor]]:
    """Return (input, gradient) pairs of a step, and cut the adjoint off where inputs were set."""
    step = tool._sim.cur_step_local
    frame = step * tool._sim.substeps
    pairs = []
    for name in _INPUTS:
        value = tool._tgt_buffer[name].pop()
        if value is None:
            continue
        gradient = torch.zeros_like(value)
        getattr(tool, f"set_{name}_grad")(step, gradient)
        getattr(tool, f"set_frame_add_grad_{name}")(frame, -gradient)
        if value.requires_grad:
            pairs.append((value, gradient))
    return pairs
