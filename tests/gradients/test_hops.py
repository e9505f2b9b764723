"""The tensors on the way from a network's output to its weights, whatever is driven."""

import torch
from torch import Tensor, nn

from diffcar.gradients.hops import Watch, trace_hops


def roll_out(network: nn.Module, watch: Watch, *, is_cut: bool = False) -> Tensor:
    """Let a network push a point mass for three steps."""
    state = torch.ones(4, 2)
    for _ in range(3):
        force = network(state)
        state = state + 0.1 * (force.detach() if is_cut else force)
        watch("state", state)
    return state.square().mean()


def test_the_gradient_is_followed_from_the_output_to_the_weights() -> None:
    """In forward order, the first tensor of each name, and the network is left clean."""
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    hops = trace_hops(network, lambda watch: roll_out(network, watch), output="force")
    names = [hop.name for hop in hops]
    assert names == ["force", "state", "loss", "weights: 0.weight", "weights: 2.weight"]
    assert all(hop.requires_grad and (hop.gradient_norm or 0.0) > 0 for hop in hops)
    assert hops[1].shape == (4, 2)
    assert hops[2].grad_fn == "MeanBackward0"
    assert hops[-1].grad_fn == "leaf"
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network._forward_hooks


def test_a_broken_chain_shows_where_it_breaks() -> None:
    """The output still tracks gradients, the state no longer does, and none arrives."""
    network = nn.Linear(2, 2)
    hops = {
        hop.name: hop
        for hop in trace_hops(network, lambda watch: roll_out(network, watch, is_cut=True))
    }
    assert hops["MLP output"].requires_grad
    assert not hops["state"].requires_grad
    assert hops["state"].grad_fn == "none"
    assert hops["weights: weight"].gradient_norm is None
