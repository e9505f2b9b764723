"""Training by backpropagation of a task's loss through the physics."""

import math
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.gradients.finite_differences import spot_check
from diffcar.tasks.config import BackpropConfig
from diffcar.tasks.contract import Task, TaskConfig
from diffcar.tasks.registry import TASKS
from diffcar.training.contract import Trainer, UpdateRecord
from diffcar.training.optimiser import (
    AccumulatedGradient,
    BackpropUpdate,
    GuardedOptimizer,
    cosine_learning_rate,
)

__all__ = ["Backprop", "make_trainer"]


class Backprop(Trainer):
    """An optimisation in progress, of any task: everything that an exact continuation needs.

    Fresh starts are seeded by the update's number, so the weights, Adam's moments, the number of
    updates done, where the last one has ended and the task's progress are the whole state.
    """

    record_type: ClassVar[type[UpdateRecord]] = BackpropUpdate

    def __init__(self, task: Task[Any, Any]) -> None:
        assert isinstance(task.config.train, BackpropConfig)
        self.task, self.config = task, task.config
        self.settings: BackpropConfig = task.config.train
        self.term_names = task.loss.term_names()
        self.optimizer = GuardedOptimizer(task.network, self.settings, hint=task.remedy)
        self._reached: Any = None
        self._num_checks_without_verdict = 0

    @property
    def num_env_steps(self) -> int:
        """Return the control steps of all environments that the gradient has seen."""
        return self.num_updates_done * self.settings.horizon * self.task.num_envs

    def update(self) -> BackpropUpdate:
        """Do one update of the weights.

        Raises:
            GradientError: If it is one too many in a row to be skipped.
        """
        self.task.network.zero_grad()
        start = self.task.draw(self.num_updates_done, self._reached)
        gradient = self._accumulate_gradient(start)
        interval = self.settings.gradient_check_interval
        is_due = interval and self.num_updates_done % interval == 0 and gradient.defect is None
        # Where the graph is cut the gradient is not that of the whole rollout: it is not checked.
        if is_due and len(self.settings.segments) == 1:
            gradient.error = self._spot_check(start, self.num_updates_done // interval)
            self._num_checks_without_verdict += math.isnan(gradient.error)
        done, settings = self.num_updates_done, self.settings
        learning_rate = cosine_learning_rate(done, settings.num_decay_updates, settings)
        record = self.optimizer.update(gradient, iteration=done + 1, learning_rate=learning_rate)
        self.num_updates_done += 1
        return record

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly."""
        progress = self.task.progress()
        return {
            **({"progress": progress} if progress else {}),
            "network": self.task.network.state_dict(),
            "optimizer": self.optimizer.adam.state_dict(),
            "num_updates_done": self.num_updates_done,
            "num_skipped_in_a_row": self.optimizer.num_skipped_in_a_row,
            "reached": None if self._reached is None else self.task.pack(self._reached),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier."""
        self.task.network.load_state_dict(state["network"])
        self.optimizer.adam.load_state_dict(state["optimizer"])
        self.num_updates_done = state["num_updates_done"]
        self.optimizer.num_skipped_in_a_row = state["num_skipped_in_a_row"]
        self.task.go_on_from(state.get("progress", {}))
        reached = state.get("reached")  # checkpoints of pushing once had none
        self._reached = None if reached is None else self.task.unpack(reached)

    def findings(self, updates: Sequence[UpdateRecord]) -> dict[str, Any]:
        """Return what the spot checks of a session found, and the largest error of them."""
        errors = [u.gradient_error for u in updates if isinstance(u, BackpropUpdate)]
        checked = [error for error in errors if not math.isnan(error)]
        return {
            "errors_in_training": checked,
            "num_checks_without_verdict": self._num_checks_without_verdict,
            "worst_gradient_error": max(checked, default=None),
        }

    def _accumulate_gradient(self, start: object) -> AccumulatedGradient:
        """Roll out and backpropagate segment by segment, until the end or the first defect."""
        task, gradient = self.task, AccumulatedGradient()
        reached = start
        for length in self.settings.segments:
            began = time.perf_counter()
            share = length / self.settings.horizon
            try:
                record = task.roll_out(reached, length)
                costs = task.loss.costs(record)
                rolled_out = time.perf_counter()
                gradient.forward_seconds += rolled_out - began
                gradient.add(costs, share)
                if gradient.defect is None:
                    task.backward(share * costs.total)
                    gradient.backward_seconds += time.perf_counter() - rolled_out
            except SimulationError as error:
                gradient.defect = str(error)
            if gradient.defect is not None:
                break
            # Backward has rewound the simulator: it continues from the values it had reached.
            reached = task.end(record)
        self._reached = None if gradient.defect else reached
        return gradient

    def _spot_check(self, start: object, number: int) -> float:
        """Compare the gradient at hand with differences of further rollouts from its start."""
        parameters = list(self.task.network.parameters())
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]

        def loss() -> Tensor:
            return self.task.loss.costs(self.task.roll_out(start, self.settings.horizon)).total

        try:
            return spot_check(loss, parameters, gradients, number=number)
        except SimulationError:
            return math.inf


def make_trainer(config: TaskConfig, *, scenes: Any = None) -> Backprop:  # noqa: ANN401
    """Return the optimisation of the task that settings are of, which may share its scenes."""
    return Backprop(TASKS[config.task](config, scenes=scenes).build())
