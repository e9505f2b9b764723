"""Adam without torch's compiler, which torch's own loads with the first optimiser that is made."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Adam"]

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_MOMENTS = ("exp_avg", "exp_avg_sq")


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980), to the last bit as `torch.optim.Adam` on a CPU.

    That one imports `torch._dynamo`, 800 modules or most of a second. The state dict is the same,
    so checkpoints go from one to the other.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self.learning_rate = 1e-3
        self._moments: list[tuple[Tensor, Tensor]] = [
            (torch.zeros_like(p.detach()), torch.zeros_like(p.detach())) for p in self.parameters
        ]
        self._num_steps = [0.0] * len(self.parameters)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient against it."""
        first_decay, second_decay = _BETAS
        for index, (parameter, (mean, square)) in enumerate(
            zip(self.parameters, self._moments, strict=True)
        ):
            if (gradient := parameter.grad) is None:
                continue
            self._num_steps[index] += 1
            steps = self._num_steps[index]
            mean.lerp_(gradient, 1 - first_decay)
            square.mul_(second_decay).addcmul_(gradient, gradient, value=1 - second_decay)
            scale = (square.sqrt() / (1 - second_decay**steps) ** 0.5).add_(_EPSILON)
            step_size = self.learning_rate / (1 - first_decay**steps)
            parameter.addcdiv_(mean, scale, value=-step_size)

    def state_dict(self) -> dict[str, Any]:
        """Return the state in the format of torch's."""
        state = {
            index: {"step": torch.tensor(steps), **dict(zip(_MOMENTS, moments, strict=True))}
            for index, (steps, moments) in enumerate(
                zip(self._num_steps, self._moments, strict=True)
            )
            if steps
        }
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
        for index, parameter in enumerate(self.parameters):
            own = state["state"].get(index, {"step": 0.0})
            for name, moment in zip(_MOMENTS, self._moments[index], strict=True):
                before = own.get(name, torch.zeros_like(moment))
                if before.shape != moment.shape:
                    raise ValueError(f"an optimiser's state of another shape: {before.shape}")
                moment.copy_(before.to(parameter))
            self._num_steps[index] = float(own["step"])
