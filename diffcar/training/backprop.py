"""Training by backpropagation of a task's loss through the physics."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.gradients.finite_differences import spot_check
from diffcar.tasks.config import BackpropConfig
from diffcar.tasks.contract import Task, TaskConfig
from diffcar.tasks.registry import TASKS
from diffcar.training.contract import UpdateRecord
from diffcar.training.optimiser import (
    AccumulatedGradient,
    BackpropUpdate,
    GuardedOptimizer,
    cosine_learning_rate,
)
from diffcar.training.run_folder import RunFolder

__all__ = ["Backprop", "make_trainer"]


class Backprop:
    """An optimisation in progress, of any task: everything that an exact continuation needs.

    Fresh starts are seeded by the update's number, so the weights, Adam's moments, the number of
    updates done and where the last one has ended are the whole state.

    Args:
        task: What is driven, and what for.
    """

    method: ClassVar[str] = "e2e"
    record_type: ClassVar[type[UpdateRecord]] = BackpropUpdate
    seconds_before = 0.0

    def __init__(self, task: Task[Any, Any]) -> None:
        assert isinstance(task.config.train, BackpropConfig)
        self.task = task
        self.config = task.config
        self.settings: BackpropConfig = task.config.train
        self.num_updates_done = 0
        self.optimizer = GuardedOptimizer(task.network, self.settings, hint=task.remedy)
        self._reached: Any = None

    @property
    def term_names(self) -> list[str]:
        """Return the names that terms of the loss can have."""
        return self.task.loss.term_names()

    @property
    def num_env_steps(self) -> int:
        """Return the control steps of all environments that the gradient has seen."""
        return self.num_updates_done * self.settings.horizon * self.task.num_envs

    @property
    def is_finished(self) -> bool:
        """Return whether there is no update left to do."""
        return self.num_updates_done >= self.settings.num_updates

    def begin(self, folder: RunFolder) -> None:
        """Do nothing: the first update needs nothing but the task."""

    def train(self, num_updates: int | None = None) -> Iterator[BackpropUpdate]:
        """Yield a record after each update.

        Args:
            num_updates: Updates to stop at, counted from the run's beginning; None takes all.

        Raises:
            GradientError: If too many updates in a row had to be skipped.
        """
        last = self.settings.num_updates if num_updates is None else num_updates
        while self.num_updates_done < last:
            yield self.update()

    def update(self) -> BackpropUpdate:
        """Do one update of the weights.

        Raises:
            GradientError: If it is one too many in a row to be skipped.
        """
        self.optimizer.adam.zero_grad(set_to_none=True)
        start = self.task.draw(self.num_updates_done, self._reached)
        gradient = self._accumulate_gradient(start)
        interval = self.settings.gradient_check_interval
        if interval and self.num_updates_done % interval == 0 and gradient.defect is None:
            gradient.error = self._spot_check(start, self.num_updates_done // interval)
        record = self.optimizer.update(
            gradient, iteration=self.num_updates_done + 1, learning_rate=self._learning_rate()
        )
        self.num_updates_done += 1
        return record

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly."""
        return {
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
        reached = state.get("reached")  # checkpoints of pushing once had none
        self._reached = None if reached is None else self.task.unpack(reached)

    def findings(self, updates: Sequence[UpdateRecord]) -> dict[str, Any]:
        """Return what the spot checks of a session found, and the largest error of them."""
        errors = [u.gradient_error for u in updates if isinstance(u, BackpropUpdate)]
        checked = [error for error in errors if not math.isnan(error)]
        return {
            "errors_in_training": checked,
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
        """Compare the gradient at hand with differences of further rollouts from its start.

        Where the graph is cut the gradient is not that of the whole rollout: it is not checked.
        """
        if len(self.settings.segments) > 1:
            return math.nan
        parameters = list(self.task.network.parameters())
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]

        def loss() -> Tensor:
            return self.task.loss.costs(self.task.roll_out(start, self.settings.horizon)).total

        try:
            return spot_check(loss, parameters, gradients, number=number)
        except SimulationError:
            return math.inf

    def _learning_rate(self) -> float:
        """Return the cosine-decayed step size of the next update."""
        settings = self.settings
        return cosine_learning_rate(
            self.num_updates_done,
            decay_updates=settings.decay_updates or settings.num_updates,
            highest=settings.learning_rate,
            final_ratio=settings.final_learning_rate_ratio,
        )


def make_trainer(config: TaskConfig, *, scenes: Any = None) -> Backprop:  # noqa: ANN401
    """Return the optimisation of the task that settings are of.

    Args:
        config: Settings of a run of one of the tasks.
        scenes: What the task may share with others; None lets it build its own.
    """
    task = TASKS[config.task](config, scenes=scenes)
    return Backprop(task.build())
