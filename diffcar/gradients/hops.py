"""Follows the gradient hop by hop through one short rollout."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from diffcar.base.table import Column, Mark, Table, number

__all__ = ["Hop", "HopRecorder", "hops_table"]


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


def hops_table(hops: Sequence[Hop]) -> Table[Hop]:
    """Return where the gradient went, hop by hop."""

    def arrived(hop: Hop) -> bool:
        return hop.gradient_norm is not None and hop.gradient_norm > 0

    columns: list[Column[Hop]] = [
        Column("hop", lambda hop: hop.name),
        Column("type", lambda hop: f"{hop.kind} {hop.dtype}"),
        Column("shape", lambda hop: "x".join(map(str, hop.shape)) or "scalar"),
        Column(
            "requires_grad",
            lambda hop: "True" if hop.requires_grad else "False: chain broken",
            mark=lambda hop: Mark.GOOD if hop.requires_grad else Mark.BAD,
        ),
        Column("grad_fn", lambda hop: hop.grad_fn),
        Column(
            "|gradient|",
            lambda hop: hop.gradient_norm,
            words=lambda hop: number(hop.gradient_norm) if arrived(hop) else "none arrived",
            mark=lambda hop: None if arrived(hop) else Mark.BAD,
        ),
    ]
    return Table("gradient status, from the MLP's output to the loss", columns, hops)
