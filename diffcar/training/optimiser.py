"""Adam, and what updates through the physics have in common: their record and their guard."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from diffcar.base.errors import GradientError
from diffcar.losses import Costs
from diffcar.tasks.config import BackpropConfig
from diffcar.training.bc.config import CloneConfig
from diffcar.training.contract import UpdateRecord

__all__ = [
    "AccumulatedGradient",
    "Adam",
    "BackpropUpdate",
    "GuardedOptimizer",
    "cosine_learning_rate",
]

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_MOMENTS = ("exp_avg", "exp_avg_sq")


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


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980), to the last bit as `torch.optim.Adam` on a CPU.

    That one loads torch's compiler as it is made: 800 modules or most of a second. The state dict
    is the same, so checkpoints go from one to the other.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self.learning_rate = 1e-3
        self._states: list[dict[str, Tensor]] = [
            {"step": torch.tensor(0.0)} | {name: torch.zeros_like(p.detach()) for name in _MOMENTS}
            for p in self.parameters
        ]

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient against it."""
        first_decay, second_decay = _BETAS
        for parameter, state in zip(self.parameters, self._states, strict=True):
            if (gradient := parameter.grad) is None:
                continue
            state["step"] += 1
            steps, mean, square = float(state["step"]), state["exp_avg"], state["exp_avg_sq"]
            mean.lerp_(gradient, 1 - first_decay)
            square.mul_(second_decay).addcmul_(gradient, gradient, value=1 - second_decay)
            scale = (square.sqrt() / (1 - second_decay**steps) ** 0.5).add_(_EPSILON)
            step_size = self.learning_rate / (1 - first_decay**steps)
            parameter.addcdiv_(mean, scale, value=-step_size)

    def state_dict(self) -> dict[str, Any]:
        """Return the state in the format of torch's."""
        state = {index: dict(own) for index, own in enumerate(self._states) if own["step"]}
        group = {"lr": self.learning_rate, "betas": _BETAS, "eps": _EPSILON}
        rest = {"weight_decay": 0, "amsgrad": False, "maximize": False, "foreach": None}
        rest |= {"capturable": False, "differentiable": False, "fused": None}
        numbers = list(range(len(self.parameters)))
        return {"state": state, "param_groups": [{**group, **rest, "params": numbers}]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier, by this or by torch's.

        Raises:
            ValueError: If it is of other parameters.
        """
        (group,) = state["param_groups"]
        if len(group["params"]) != len(self.parameters):
            raise ValueError(
                f"an optimiser's state of {len(group['params'])} tensors, not "
                f"{len(self.parameters)}"
            )
        self.learning_rate = float(group["lr"])
        for index, (parameter, own) in enumerate(zip(self.parameters, self._states, strict=True)):
            saved = state["state"].get(index, {"step": 0.0})
            for name in _MOMENTS:
                moment = saved.get(name, torch.zeros_like(own[name]))
                if moment.shape != own[name].shape:
                    raise ValueError(f"an optimiser's state of another shape: {moment.shape}")
                own[name].copy_(moment.to(parameter))
            own["step"].fill_(float(saved["step"]))


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
