"""Keeps control writes off the autograd graph, and hands out the adjoint of PD targets.

Two faults of Genesis 1.4.5, both in how a `RigidEntity` tapes its control inputs:

1. `control_dofs_*` writes a tensor that tracks gradients into a zero-copy view of the solver's own
   buffer. The buffer thereby joins the autograd graph and its history grows by two nodes a step for
   as long as the scene lives, policy activations included; and a buffer first written under
   `torch.no_grad` refuses the next write with gradients. The tape needs no such record: the input's
   gradient reaches autograd through the step node. Writing under `torch.no_grad` loses nothing.
2. `process_input_grad` raises for targets of `control_dofs_position` and `control_dofs_velocity`
   that track gradients, although the reverse pass of a step does compute their adjoint, summed over
   the substeps, in `dyn_state.dofs.ctrl_pos.grad` and `ctrl_vel.grad`. It only is neither handed
   out nor cleared. Handing it out at the step that wrote a target, and clearing it there, is right:
   until the next write the target is held, so what later steps add belongs to the same input.

Both rest on private attributes. `repair_control_tape` therefore refuses an entity that lacks them,
leaves the targets alone where Genesis treats them otherwise by now, and `diffcar.sim.build` proves
the result by a finite difference before it is used.
"""

from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.sim.upstream import is_as_known, refuse_lacking

if TYPE_CHECKING:
    from genesis.engine.entities import RigidEntity

__all__ = ["repair_control_tape"]

# Of the entity's process_input_grad in genesis-world 1.4.5.
_KNOWN_INPUT_GRAD = "32bf1955d0bba321"
_TARGETS = {
    "control_dofs_position": {"position": "ctrl_pos"},
    "control_dofs_velocity": {"velocity": "ctrl_vel"},
    "control_dofs_position_velocity": {"position": "ctrl_pos", "velocity": "ctrl_vel"},
}


def repair_control_tape(entity: "RigidEntity", *, with_targets: bool = True) -> None:
    """Repair the control tape of one entity of a built differentiable scene.

    Control it afterwards under `torch.no_grad`, or with any tensors. `with_targets` says whether to
    hand out the adjoint of PD targets (fault 2), too. Raises if this Genesis does not tape control
    inputs as 1.4.5 does.
    """
    import genesis as gs

    dofs = getattr(getattr(entity.solver, "dyn_state", None), "dofs", None)
    expected = {
        "zero-copy buffers (GS_ENABLE_ZEROCOPY)": bool(getattr(gs, "use_zerocopy", False)),
        "entity.process_input": hasattr(entity, "process_input"),
        "entity.process_input_grad": hasattr(entity, "process_input_grad"),
        "entity._tgt_buffer": isinstance(getattr(entity, "_tgt_buffer", None), list),
        "dofs.ctrl_pos.grad": getattr(getattr(dofs, "ctrl_pos", None), "grad", None) is not None,
        "dofs.ctrl_vel.grad": getattr(getattr(dofs, "ctrl_vel", None), "grad", None) is not None,
    }
    missing = [name for name, present in expected.items() if not present]
    refuse_lacking(missing, ", which differentiable control needs")
    entity.process_input = MethodType(_process_input_off_graph, entity)
    upstream = type(entity).process_input_grad
    if with_targets and is_as_known(upstream, _KNOWN_INPUT_GRAD, repair="PD targets"):
        entity.process_input_grad = MethodType(_process_input_grad_with_targets, entity)


def _process_input_off_graph(entity: "RigidEntity", in_backward: bool = False) -> Any:  # noqa: ANN401
    """Replay the taped inputs without recording the writes (fault 1)."""
    with torch.no_grad():
        return type(entity).process_input(entity, in_backward=in_backward)


def _process_input_grad_with_targets(entity: "RigidEntity") -> list[tuple[Tensor, Tensor]]:
    """Return (input, gradient) pairs of a step, those of PD targets included (fault 2)."""
    taped = entity._tgt_buffer[entity._sim.cur_step_local - entity._sim._steps_local]
    pairs = []
    for (method, *_), arguments in reversed(list(taped.items())):
        for argument, buffer in _TARGETS.get(method, {}).items():
            target = arguments[argument]
            # Taken even where nobody asked for it: what is left would count for the write before.
            gradient = _take_adjoint(entity, buffer, arguments)
            if isinstance(target, Tensor) and target.requires_grad:
                pairs.append((target, gradient.expand_as(target).to(target).contiguous()))
                # What is left on the tape no longer tracks gradients, so Genesis accepts it.
                arguments[argument] = target.detach()
    return pairs + type(entity).process_input_grad(entity)


def _take_adjoint(entity: "RigidEntity", buffer: str, arguments: dict[str, Any]) -> Tensor:
    """Read the adjoint of the commanded dofs, shape (envs, dofs), and clear it."""
    from genesis.utils.misc import qd_to_torch

    # A view, not a copy: clearing it below must clear the solver's own buffer.
    adjoint = qd_to_torch(
        getattr(entity.solver.dyn_state.dofs, buffer).grad, transpose=True, copy=False
    )
    envs = arguments["envs_idx"]
    if envs is not None:
        raise SimulationError("control of selected environments is not differentiable in diffcar")
    local = arguments["dofs_idx_local"]
    local = slice(None) if local is None else torch.as_tensor(local, device=adjoint.device)
    of_entity = adjoint[:, entity.dof_start : entity.dof_start + entity.n_dofs]
    taken = of_entity[:, local].clone()
    of_entity[:, local] = 0.0
    return taken
