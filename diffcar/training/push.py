"""Training a tool to push a soft body along a path, by backpropagation through the MPM solver."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from diffcar.base.errors import SimulationError
from diffcar.gradients.finite_differences import spot_check
from diffcar.losses import Costs
from diffcar.path.reference import ReferencePath
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.contract import seed_of_update
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.pushing.controller import PushingMLP
from diffcar.tasks.pushing.rollout import PushTask, push
from diffcar.tasks.pushing.task import draw_task
from diffcar.training.optimiser import (
    AccumulatedGradient,
    GuardedOptimizer,
    TrainStep,
    cosine_learning_rate,
)

__all__ = ["PushTrainer"]


@dataclass
class PushTrainer:
    """An optimisation in progress: everything that an exact continuation needs.

    The paths are laid out afresh in each update, from a distribution seeded by the update's number,
    so the weights, Adam's moments and the number of updates done are the whole state.

    Args:
        config: The run's configuration.
        scene: Differentiable soft bodies.
        path: What they are pushed along.
        controller: What is trained.
    """

    config: TrainPushConfig
    scene: GenesisSoftBody
    path: ReferencePath
    controller: PushingMLP
    num_updates_done: int = 0
    optimizer: GuardedOptimizer = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = GuardedOptimizer(
            self.controller.network,
            self.config.train,
            hint="lower train.learning_rate, train.horizon or controller.max_correction",
        )

    def train(self, num_updates: int | None = None) -> Iterator[TrainStep]:
        """Yield a record after each update.

        Args:
            num_updates: Updates to stop at, counted from the run's beginning; None takes all.

        Raises:
            GradientError: If too many updates in a row had to be skipped.
        """
        last = self.config.train.num_updates if num_updates is None else num_updates
        while self.num_updates_done < last:
            yield self.update()

    def update(self) -> TrainStep:
        """Do one update of the weights.

        Returns:
            What it did.

        Raises:
            GradientError: If it is one too many in a row to be skipped.
        """
        train, done = self.config.train, self.num_updates_done
        task = draw_task(
            self.path, self.config, self.scene, seed=seed_of_update(self.config.seed, done)
        )
        gradient = self._accumulate_gradient(task)
        interval = train.gradient_check_interval
        if interval and done % interval == 0 and gradient.defect is None:
            gradient.error = self._compare(task, number=done // interval)
        step = self.optimizer.update(
            gradient,
            iteration=done + 1,
            learning_rate=cosine_learning_rate(
                done,
                decay_updates=train.num_updates,
                highest=train.learning_rate,
                final_ratio=train.final_learning_rate_ratio,
            ),
        )
        self.num_updates_done += 1
        return step

    def check_gradient(self, num_checks: int) -> list[float]:
        """Compare the gradient of the first update's loss with finite differences.

        Args:
            num_checks: Directions: the first along the gradient, each other at random within one
                tensor of the weights.

        Returns:
            Relative errors; infinite where Genesis refused.
        """
        seed = seed_of_update(self.config.seed, self.num_updates_done)
        task = draw_task(self.path, self.config, self.scene, seed=seed)
        if self._accumulate_gradient(task).defect is not None:
            return [math.inf]
        return [self._compare(task, number=number) for number in range(num_checks)]

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly."""
        return {
            "network": self.controller.network.state_dict(),
            "optimizer": self.optimizer.adam.state_dict(),
            "num_updates_done": self.num_updates_done,
            "num_skipped_in_a_row": self.optimizer.num_skipped_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier."""
        self.controller.network.load_state_dict(state["network"])
        self.optimizer.adam.load_state_dict(state["optimizer"])
        self.num_updates_done = state["num_updates_done"]
        self.optimizer.num_skipped_in_a_row = state["num_skipped_in_a_row"]

    def _costs(self, task: PushTask) -> Costs:
        """Push, and return what it costs."""
        trajectory = push(self.scene, self.controller, task, self.config.train.horizon)
        return self.config.loss.costs(trajectory)

    def _accumulate_gradient(self, task: PushTask) -> AccumulatedGradient:
        """Push and backpropagate; leaves the gradient in the network's parameters."""
        self.optimizer.adam.zero_grad(set_to_none=True)
        gradient = AccumulatedGradient()
        began = time.perf_counter()
        try:
            costs = self._costs(task)
            rolled_out = time.perf_counter()
            gradient.forward_seconds = rolled_out - began
            gradient.add(costs)
            if gradient.defect is None:
                self.scene.backward(costs.total)
                gradient.backward_seconds = time.perf_counter() - rolled_out
        except SimulationError as error:
            gradient.defect = str(error)
        return gradient

    def _compare(self, task: PushTask, *, number: int) -> float:
        """Compare the gradient at hand with a difference of two more pushes."""
        parameters = list(self.controller.network.parameters())
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        try:
            return spot_check(
                lambda: self._costs(task).total,
                parameters,
                gradients,
                number=number,
            )
        except SimulationError:
            return math.inf
