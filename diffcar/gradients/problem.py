"""What is certified: a function of tensors, many environments at once, and a pass through it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.base.errors import ConfigError
from diffcar.gradients.guards import GUARDS, Guard

__all__ = ["MIN_SHARE", "Case", "Pass", "Problem"]

MIN_SHARE = 0.5
"""Rollouts that were elsewhere than in their regime for longer prove nothing about it."""
# A gradient of zero is off by 1, a reversed one by 2.
_MAX_TOLERANCE = 0.5


@dataclass(frozen=True)
class Case:
    """What one environment of a problem is about."""

    regime: str
    """What its rollout is like, such as `sliding`."""
    parameter: str
    """The kind of parameter that is varied: a key of `Problem.inputs`."""
    is_decisive: bool = True
    """Whether the certificate hangs on it."""


@dataclass(frozen=True)
class Problem:
    """What is to be certified: a function of tensors, many environments at once."""

    inputs: Mapping[str, Sequence[Tensor]]
    """Leaves of each kind of parameter; their first dimension is the environment."""
    cases: Sequence[Case]
    """One an environment."""
    score: Callable[[], Tensor]
    """Returns what each environment comes to, shape (B,), from the inputs' present values alone."""
    directions: Sequence[Tensor] | Callable[[Sequence[Tensor]], Sequence[Tensor]]
    """Change of each input for a step of one, in the order of `inputs`; or what returns that for
    the inputs' gradients, as `along_gradient` does. Rows of zeros leave an input alone."""
    step_sizes: Sequence[float]
    """Steps along the directions, descending, at least two."""
    tolerance: float
    """Largest relative error that is right."""
    horizon: int = 1
    """Steps of the rollout, for the record."""
    backward: Callable[[Tensor], object] = Tensor.backward
    """Sends a scalar's gradient to the inputs."""
    go_on: Callable[[], Tensor] | None = None
    """Goes on after `score` with one step more, and returns the leaf that commanded it."""
    shares: Callable[[], Tensor] | None = None
    """Returns the share of the last rollout's steps that were in the case's regime, shape (B,)."""
    min_share: float = MIN_SHARE
    """Least share of the steps that must be in the regime."""
    max_kink_share: float = 1.0
    """Share of the directions that may have no derivative, where a quarter is too many."""
    is_rough: bool = False
    """Whether there are kinks wherever one steps: none is left out then, and the tolerance must
    allow for them."""
    noise: float = 0.0
    """What repetitions may differ by, as a share of the largest entry; zero for bit by bit."""
    hint: str = ""
    """What to do where the gradient is wrong."""
    guards: Sequence[Guard] = GUARDS
    """What must hold for the comparison to prove anything."""

    def __post_init__(self) -> None:
        """Refuse a tolerance that a gradient of zero or a reversed one would pass."""
        if not 0 < self.tolerance <= _MAX_TOLERANCE:
            raise ConfigError(
                f"a tolerance of {self.tolerance:g} proves nothing",
                hint=f"choose one above 0 and at most {_MAX_TOLERANCE:g}",
            )

    @property
    def leaves(self) -> list[Tensor]:
        """Return the inputs of all kinds, one after the other."""
        return list(itertools.chain.from_iterable(self.inputs.values()))

    def differentiate(self, *, going_on: bool = False) -> "Pass":
        """Roll out and backpropagate once, with a step beyond the scored state or without."""
        leaves = self.leaves
        for leaf in leaves:
            leaf.grad = None
        scores = self.score()
        late = self.go_on() if going_on and self.go_on is not None else None
        if scores.requires_grad:
            self.backward(scores.sum())
        arrived = [
            kind for kind, own in self.inputs.items() if any(leaf.grad is not None for leaf in own)
        ]
        gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        return Pass(scores.detach(), gradients, arrived, None if late is None else late.grad)


@dataclass(frozen=True)
class Pass:
    """What a rollout and its backward pass gave."""

    scores: Tensor
    """Of the environments, shape (B,)."""
    gradients: list[Tensor]
    """By the inputs; zeros where none arrived."""
    arrived: list[str]
    """The kinds of parameters at which a gradient arrived."""
    late_gradient: Tensor | None
    """By what was commanded after the scored state; None where none arrived."""
