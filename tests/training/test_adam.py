"""Our Adam against torch's."""

import copy

import pytest
import torch
from torch import nn

from diffcar.training.optimiser import Adam


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.ELU(), nn.Linear(16, 2))


def _set_gradients(network: nn.Module, update: int) -> None:
    generator = torch.Generator().manual_seed(update)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_it_moves_weights_as_torchs_to_the_last_bit_and_goes_on_from_its_checkpoints() -> None:
    """Whichever writes a state, the other goes on from it."""
    ours, theirs = _network(), _network()
    adam, reference = Adam(ours.parameters()), torch.optim.Adam(theirs.parameters())
    for update in range(30):
        if update in (10, 20):
            of_ours, of_theirs = copy.deepcopy((adam.state_dict(), reference.state_dict()))
            adam, reference = Adam(ours.parameters()), torch.optim.Adam(theirs.parameters())
            adam.load_state_dict(of_theirs)
            reference.load_state_dict(of_ours)
        _set_gradients(ours, update)
        _set_gradients(theirs, update)
        adam.learning_rate = reference.param_groups[0]["lr"] = 1e-2 / (1 + update)
        adam.step()
        reference.step()
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(own, other)


def test_a_parameter_without_a_gradient_stays() -> None:
    """Its moments, too."""
    network = _network()
    adam = Adam(network.parameters())
    _set_gradients(network, 0)
    network.zero_grad()
    before = copy.deepcopy(network.state_dict())
    adam.step()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert adam.state_dict()["state"] == {}


def test_the_state_of_other_parameters_is_refused() -> None:
    """By their number and by their shapes."""
    state = torch.optim.Adam(_network()[0].parameters()).state_dict()
    with pytest.raises(ValueError, match="2 tensors, not 4"):
        Adam(_network().parameters()).load_state_dict(state)
    network = _network()
    adam = Adam(network.parameters())
    _set_gradients(network, 0)
    adam.step()
    state = adam.state_dict()
    state["state"][0]["exp_avg"] = torch.zeros(3)
    with pytest.raises(ValueError, match="shape"):
        adam.load_state_dict(state)
