"""Adam as torch's, and guarded updates: what is not finite is never used, and never silently."""

import copy
import math

import pytest
import torch
from torch import nn

from diffcar.base.errors import GradientError
from diffcar.losses import Costs
from diffcar.tasks.config import BackpropConfig
from diffcar.training.optimiser import (
    AccumulatedGradient,
    Adam,
    GuardedOptimizer,
    cosine_learning_rate,
)


def optimizer_of(network: nn.Module, **limits: int) -> GuardedOptimizer:
    return GuardedOptimizer(network, BackpropConfig(**limits), hint="try less")


def gradient_of(value: float) -> AccumulatedGradient:
    gradient = AccumulatedGradient()
    gradient.add(Costs(term=torch.tensor(value)))
    return gradient


def test_a_large_gradient_is_clipped_and_reported_unclipped() -> None:
    """A gradient of norm five is used with norm one."""
    network = nn.Linear(2, 1, bias=False)
    network.weight.grad = torch.tensor([[3.0, 4.0]])
    step = optimizer_of(network).update(gradient_of(2.0), iteration=1, learning_rate=0.1)
    assert (step.gradient_norm, step.clipped_gradient_norm) == (pytest.approx(5.0), 1.0)
    assert (step.loss, step.terms, step.is_skipped) == (2.0, {"term": 2.0}, False)
    assert float(network.weight.grad.norm()) == pytest.approx(1.0, rel=1e-4)


def test_a_bad_gradient_leaves_the_weights_alone_until_patience_ends() -> None:
    """Skipped once, then the run stops with the parameter and the count."""
    network = nn.Linear(2, 1, bias=False)
    before = network.weight.detach().clone()
    optimizer = optimizer_of(network, max_skipped_updates=1)
    network.weight.grad = torch.tensor([[1.0, math.inf]])
    step = optimizer.update(gradient_of(2.0), iteration=1, learning_rate=0.1)
    assert step.is_skipped
    assert math.isnan(step.loss)
    assert torch.equal(network.weight, before)
    with pytest.raises(GradientError, match=r"update 2: .*'weight' is not finite; 2 updates"):
        optimizer.update(gradient_of(2.0), iteration=2, learning_rate=0.1)


def test_a_bad_loss_term_is_named() -> None:
    """The first term that is not finite is the defect."""
    gradient = AccumulatedGradient()
    gradient.add(Costs(good=torch.tensor(1.0), bad=torch.tensor(math.nan)), share=0.5)
    assert gradient.defect == "the loss term 'bad' is nan"
    assert gradient.terms["good"] == 0.5


def test_step_size_falls_by_a_half_cosine_and_stays() -> None:
    """From its highest, through the middle, to its lowest, and no further."""
    settings = BackpropConfig(learning_rate=0.01, final_learning_rate_ratio=0.02)
    rates = [cosine_learning_rate(done, 10, settings) for done in (0, 5, 10, 50)]
    assert rates == pytest.approx([0.01, 0.0051, 0.0002, 0.0002])


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
