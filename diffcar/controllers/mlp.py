"""The one multilayer perceptron that diffcar trains, whatever it drives."""

import copy
import itertools
from collections.abc import Sequence
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

__all__ = ["MLPController", "with_weights"]


class MLPController(nn.Module):
    """Maps normalised observations to actions in [-1, 1].

    Hidden layers are ELU, which is smooth enough for gradients through long rollouts; the output
    is a tanh, so actions are bounded. The last layer starts small: an untrained controller does
    nearly nothing.

    Args:
        num_heads: Networks in one but for their last layer. What comes out is their mean by shares,
            which are the last entries of an observation.
        generator: Source of the initial weights; None takes torch's global one.
    """

    _FIRST_OUTPUT_SCALE = 0.1

    def __init__(
        self,
        num_observations: int,
        num_actions: int,
        hidden_sizes: Sequence[int] = (64, 64),
        *,
        num_heads: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        sizes = [num_observations, *hidden_sizes]
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(sizes):
            layers += [_linear(width_in, width_out, generator), nn.ELU()]
        output = _linear(sizes[-1], num_heads * num_actions, generator)
        with torch.no_grad():
            output.weight.mul_(self._FIRST_OUTPUT_SCALE)
        self.network = nn.Sequential(*layers, output, nn.Tanh())

    def forward(self, observation: Tensor) -> Tensor:
        """Return actions in [-1, 1], (B, num_actions), for observations (B, num_observations)."""
        return self._mean(self.network(observation), observation)

    def forward_with(self, weights: Sequence[Tensor], observation: Tensor) -> Tensor:
        """Return the actions (networks, B, num_actions) of many networks with their own weights.

        Args:
            weights: In the order of `parameters()`, each with the network as first dimension.
            observation: What each network sees, shape (networks, B, num_observations).
        """
        own, result = iter(weights), observation
        for layer in self.network:
            if isinstance(layer, nn.Linear):
                matrix, bias = next(own), next(own)
                result = torch.baddbmm(bias[:, None, :], result, matrix.transpose(1, 2))
            else:
                result = layer(result)
        return self._mean(result, observation)

    def _mean(self, actions: Tensor, observation: Tensor) -> Tensor:
        """Return the mean of what all heads say, one head's actions after the other's."""
        if self.num_heads == 1:
            return actions
        shares = observation[..., None, -self.num_heads :]
        return (shares @ actions.unflatten(-1, (self.num_heads, -1))).squeeze(-2)


def _linear(width_in: int, width_out: int, generator: torch.Generator | None) -> nn.Linear:
    """Return a linear layer with orthogonal weights from `generator` and zero bias."""
    layer = nn.Linear(width_in, width_out)
    nn.init.orthogonal_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


class _HasNetwork(Protocol):
    """A controller around a network."""

    network: MLPController


ControllerT = TypeVar("ControllerT", bound=_HasNetwork)


def with_weights(
    controller: ControllerT, weights: Sequence[Tensor], *, envs_each: int = 1
) -> ControllerT:
    """Return a controller whose network has weights of its own in each environment, or in some.

    Args:
        controller: Its network may see several rows an environment, one batch after the other, such
            as what there is to see and then the mirror images.
        weights: In the order of the network's parameters, the environment as first dimension.
        envs_each: Environments in a row that have the same weights.
    """
    network, shape = controller.network, (len(weights[0]), envs_each)

    def forward(observation: Tensor) -> Tensor:
        own = observation.reshape(-1, *shape, observation.shape[-1]).transpose(0, 1)
        output = network.forward_with(weights, own.flatten(1, 2))
        return output.unflatten(1, (-1, envs_each)).transpose(0, 1).flatten(0, 2)

    result = copy.copy(controller)
    result.network = cast(MLPController, forward)
    return result
