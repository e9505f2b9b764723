"""Follows the gradient hop by hop through one short rollout."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from diffcar.controllers import TrackingMLP
from diffcar.controllers.reaching_mlp import ReachingMLP
from diffcar.path import ReferencePath
from diffcar.reaching import ReachTrajectory, reach
from diffcar.rollout import Trajectory, rollout
from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState, StartState
from diffcar.tracking import ErrorState

__all__ = ["Hop", "HopRecorder", "trace_hops", "trace_reach_hops"]


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


class HopRecorder:
    """Watches tensors on their way, and reports them after backward.

    Args:
        network: Whose weights end the report; its gradients are cleared.
        output_name: What to call its output.
    """

    def __init__(self, network: nn.Module, output_name: str) -> None:
        self._network = network
        self._watched: dict[str, Tensor] = {}
        self._hook = network.register_forward_hook(
            lambda module, inputs, output: self.watch(output_name, output)
        )
        network.zero_grad(set_to_none=True)

    def watch(self, name: str, tensor: Tensor) -> None:
        """Remember the first tensor of this name."""
        if name not in self._watched:
            self._watched[name] = tensor
            if tensor.requires_grad:
                tensor.retain_grad()

    def stop(self) -> None:
        """Watch the network's output no longer."""
        self._hook.remove()

    def report(self) -> list[Hop]:
        """Return the tensors in the order in which they were watched, then the weights."""
        hops = [_describe(name, tensor) for name, tensor in self._watched.items()]
        hops += [
            _describe(f"weights: {name}", parameter)
            for name, parameter in self._network.named_parameters()
            if name.endswith("weight")
        ]
        self._network.zero_grad(set_to_none=True)
        return hops


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
    recorder = HopRecorder(controller.network, "MLP output (and mirror image)")
    watch = recorder.watch

    def after_step(state: CarState, errors: ErrorState) -> None:
        # The command is what the entity was handed: the last tensors before Genesis.
        for name, tensor in scene.last_command.items():
            watch(name, tensor)
        watch("state: qpos", state.qpos)
        watch("state: dofs_velocity", state.dofs_velocity)
        watch("position", state.position)
        watch("error state: cross_track_error", errors.cross_track_error)
        watch("error state: heading_error", errors.heading_error)

    try:
        scene.reset(start)
        trajectory = rollout(
            scene, controller, path, num_steps, arc_length_hint=arc_length, on_step=after_step
        )
    finally:
        recorder.stop()
    loss = loss_of(trajectory)
    watch("loss", loss)
    if loss.requires_grad:
        scene.backward(loss)
    return recorder.report()


def trace_reach_hops(
    arm: GenesisArm,
    controller: ReachingMLP,
    target: Tensor,
    *,
    loss_of: Callable[[ReachTrajectory], Tensor],
    num_steps: int = 8,
) -> list[Hop]:
    """Reach, backpropagate, and report what was found at each hop of the first step.

    Args:
        arm: A differentiable scene; left rewound.
        controller: The network; its gradients are cleared.
        target: Where the hands should be [m], shape (B, 3).
        loss_of: Returns the scalar loss of the reach.
        num_steps: Length of the reach.

    Returns:
        The hops in forward order, then the network's weights.
    """
    recorder = HopRecorder(controller.network, "MLP output")

    def after_step(state: ArmState) -> None:
        # The command is what the entity was handed: the last tensor before Genesis.
        for name, tensor in arm.last_command.items():
            recorder.watch(name, tensor)
        recorder.watch("state: qpos", state.qpos)
        recorder.watch("state: dofs_velocity", state.dofs_velocity)
        recorder.watch("hand position", state.hand_position)

    try:
        trajectory = reach(arm, controller, target, num_steps, on_step=after_step)
    finally:
        recorder.stop()
    loss = loss_of(trajectory)
    recorder.watch("loss", loss)
    if loss.requires_grad:
        arm.backward(loss)
    return recorder.report()


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
