"""Follows the gradient hop by hop through one short rollout."""

from dataclasses import dataclass

from torch import Tensor, nn

__all__ = ["Hop", "HopRecorder"]


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
