"""The record of an update, and what updates through the physics have in common."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from diffcar.base.errors import GradientError
from diffcar.losses import Costs
from diffcar.tasks.config import BackpropConfig
from diffcar.training.adam import Adam
from diffcar.training.bc.config import CloneConfig
from diffcar.training.contract import UpdateRecord

__all__ = ["AccumulatedGradient", "BackpropUpdate", "GuardedOptimizer", "cosine_learning_rate"]


@dataclass(frozen=True)
class BackpropUpdate(UpdateRecord):
    """What one update through the physics did."""

    highlights: ClassVar[dict[str, str]] = {"|grad|": "gradient_norm"}
    gradient_norm: float
    """Norm of the gradient of all weights before clipping."""
    clipped_gradient_norm: float
    """Norm after clipping."""
    forward_seconds: float
    """Wall time of the rollouts [s]."""
    backward_seconds: float
    """Wall time of the backward passes [s]."""
    gradient_error: float = math.nan
    """Relative error of the gradient against a finite difference along one direction; not a number
    in updates that were not checked."""


@dataclass
class AccumulatedGradient:
    """What accumulating a gradient gave besides the gradient itself."""

    terms: dict[str, float] = field(default_factory=dict)
    """Weighted loss terms by name."""
    forward_seconds: float = 0.0
    """Wall time of the rollouts [s]."""
    backward_seconds: float = 0.0
    """Wall time of the backward passes [s]."""
    defect: str | None = None
    """Why the gradient must not be used, if so."""
    error: float = math.nan
    """Relative error against a finite difference; not a number where it was not checked."""

    def add(self, costs: Costs, share: float = 1.0) -> None:
        """Add the costs of a segment by its share of the horizon, and note the first bad one."""
        for name, value in costs.floats().items():
            self.terms[name] = self.terms.get(name, 0.0) + share * value
            if self.defect is None and not math.isfinite(value):
                self.defect = f"the loss term {name!r} is {value}"


class GuardedOptimizer:
    """Adam with clipped gradients, which leaves the weights alone where a number is not finite.

    The hint is what the user can do when too many updates in a row were skipped.
    """

    def __init__(self, network: nn.Module, limits: BackpropConfig, *, hint: str) -> None:
        self.network = network
        self.adam = Adam(network.parameters())
        self.num_skipped_in_a_row = 0
        self._limits, self._hint = limits, hint

    def update(
        self, gradient: AccumulatedGradient, *, iteration: int, learning_rate: float
    ) -> BackpropUpdate:
        """Use the gradient that lies in the network's parameters, if it is of use.

        Raises:
            GradientError: If this is one update too many in a row to be skipped.
        """
        defect = gradient.defect or self._non_finite_gradient()
        loss, norm, max_norm = math.nan, math.nan, self._limits.max_gradient_norm
        if defect is None:
            loss = sum(gradient.terms.values())
            norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), max_norm))
            self.adam.learning_rate = learning_rate
            self.adam.step()
            self.num_skipped_in_a_row = 0
        else:
            self.num_skipped_in_a_row += 1
            if self.num_skipped_in_a_row > self._limits.max_skipped_updates:
                raise GradientError(
                    f"update {iteration}: {defect}; "
                    f"{self.num_skipped_in_a_row} updates in a row had to be skipped",
                    hint=self._hint,
                )
        return BackpropUpdate(
            iteration=iteration,
            loss=loss,
            terms=gradient.terms,
            gradient_norm=norm,
            clipped_gradient_norm=min(norm, max_norm),
            learning_rate=learning_rate,
            forward_seconds=gradient.forward_seconds,
            backward_seconds=gradient.backward_seconds,
            is_skipped=defect is not None,
            gradient_error=gradient.error,
        )

    def _non_finite_gradient(self) -> str | None:
        """Name the first parameter whose gradient, or its norm, is not finite."""
        for name, parameter in self.network.named_parameters():
            if parameter.grad is not None and not parameter.grad.norm().isfinite():
                return f"the gradient of {name!r} is not finite"
        return None


def cosine_learning_rate(
    num_updates_done: int, decay_updates: int, settings: BackpropConfig | CloneConfig
) -> float:
    """Return the step size of the next update: a half cosine from the highest, then flat."""
    highest, final_ratio = settings.learning_rate, settings.final_learning_rate_ratio
    progress = min(num_updates_done / decay_updates, 1.0)
    return highest * (final_ratio + (1 - final_ratio) * (1 + math.cos(math.pi * progress)) / 2)
