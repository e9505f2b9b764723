"""Follows the gradient hop by hop through one short rollout, whatever is driven."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from diffcar.base.table import Column, Mark, Table, number

__all__ = ["Hop", "Watch", "hops_table", "trace_hops"]

Watch = Callable[[str, Tensor], None]
"""Remembers the first tensor of a name."""


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
    network: nn.Module,
    roll_out: Callable[[Watch], Tensor],
    backward: Callable[[Tensor], object] = Tensor.backward,
    *,
    output: str = "MLP output",
) -> list[Hop]:
    """Roll out, backpropagate, and report what was found at each hop of the first step.

    Args:
        network: Whose weights end the report; its gradients are cleared.
        roll_out: Rolls out, handing over the tensors on the way in forward order, and returns the
            scalar loss.
        backward: Sends the loss's gradient back.
        output: What to call what the network puts out.

    Returns:
        The hops in forward order, then the network's weights.
    """
    watched: dict[str, Tensor] = {}

    def watch(name: str, tensor: Tensor) -> None:
        if watched.setdefault(name, tensor) is tensor and tensor.requires_grad:
            tensor.retain_grad()

    network.zero_grad(set_to_none=True)
    hook = network.register_forward_hook(lambda module, seen, given: watch(output, given))
    try:
        loss = roll_out(watch)
    finally:
        hook.remove()
    watch("loss", loss)
    if loss.requires_grad:
        backward(loss)
    weights = {
        f"weights: {name}": parameter
        for name, parameter in network.named_parameters()
        if name.endswith("weight")
    }
    hops = [_describe(name, tensor) for name, tensor in (watched | weights).items()]
    network.zero_grad(set_to_none=True)
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
