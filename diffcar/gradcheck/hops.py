"""Follows the gradient hop by hop through one short rollout."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from diffcar.controllers import TrackingMLP
from diffcar.path import ReferencePath
from diffcar.rollout import Trajectory, rollout
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState, StartState
from diffcar.tracking import ErrorState

__all__ = ["Hop", "trace_hops"]


@dataclass(frozen=True)
class Hop:
    """One tensor on the way from the network's output to the loss and back to the weights."""

    name: str
    """What it is."""
    kind: str
    """Python type."""
    shape: tuple[int, ...]
    """Shape."""
    dtype: str
    """Number format."""
    requires_grad: bool
    """Whether autograd tracks it."""
    grad_fn: str
    """The operation that made it; `leaf` for weights, `none` where the chain is broken."""
    gradient_norm: float | None
    """Norm of the loss's gradient by it; None where no gradient arrived."""


def trace_hops(
    scene: GenesisCar,
    controller: TrackingMLP,
    path: ReferencePath,
    start: StartState,
    *,
    arc_length: Tensor,
    loss_of: Callable[[Trajectory], Tensor],
    num_steps: int = 8,
) -> list[Hop]:
    """Roll out, backpropagate, and report what was found at each hop of the first step.

    Args:
        scene: A differentiable scene; left rewound.
        controller: The network; its gradients are cleared.
        path: The reference.
        start: Where the cars begin.
        arc_length: Of the starts [m], shape (B,).
        loss_of: Returns the scalar loss of the rollout.
        num_steps: Length of the rollout.

    Returns:
        The hops in forward order, then the network's weights.
    """
    watched: dict[str, Tensor] = {}

    def watch(name: str, tensor: Tensor) -> None:
        if name not in watched:
            watched[name] = tensor
            if tensor.requires_grad:
                tensor.retain_grad()

    def after_step(state: CarState, errors: ErrorState) -> None:
        # The command is what the entity was handed: the last tensors before Genesis.
        for name, tensor in scene.last_command.items():
            watch(name, tensor)
        watch("state: qpos", state.qpos)
        watch("state: dofs_velocity", state.dofs_velocity)
        watch("position", state.position)
        watch("error state: cross_track_error", errors.cross_track_error)
        watch("error state: heading_error", errors.heading_error)

    handle = controller.network.register_forward_hook(
        lambda module, inputs, output: watch("MLP output (and mirror image)", output)
    )
    try:
        scene.reset(start)
        trajectory = rollout(
            scene, controller, path, num_steps, arc_length_hint=arc_length, on_step=after_step
        )
    finally:
        handle.remove()
    loss = loss_of(trajectory)
    watch("loss", loss)
    controller.network.zero_grad(set_to_none=True)
    if loss.requires_grad:
        scene.backward(loss)
    hops = [_describe(name, tensor) for name, tensor in watched.items()]
    hops += [
        _describe(f"weights: {name}", parameter)
        for name, parameter in controller.network.named_parameters()
        if name.endswith("weight")
    ]
    controller.network.zero_grad(set_to_none=True)
    return hops


def _describe(name: str, tensor: Tensor) -> Hop:
    """Report one tensor after backward."""
    if tensor.grad_fn is not None:
        grad_fn = type(tensor.grad_fn).__name__
    else:
        grad_fn = "leaf" if tensor.requires_grad else "none"
    return Hop(
        name=name,
        kind=type(tensor).__name__,
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        requires_grad=tensor.requires_grad,
        grad_fn=grad_fn,
        gradient_norm=None if tensor.grad is None else float(tensor.grad.norm()),
    )
