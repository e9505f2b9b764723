"""Training by backpropagation of the path loss through the physics."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.gradients.finite_differences import spot_check
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import Placement, Start
from diffcar.tasks.contract import seed_of_update
from diffcar.tasks.tracking.rollout import Trajectory, rollout
from diffcar.tasks.tracking.starts import draw_starts
from diffcar.training.config import TrainE2EConfig
from diffcar.training.optimiser import (
    AccumulatedGradient,
    GuardedOptimizer,
    Step,
    TrainStep,
    cosine_learning_rate,
)

__all__ = ["E2ETrainer"]

# Further off the path there is nothing to learn that a fresh start would not teach better [m].
_LOST_CROSS_TRACK = 0.5


@dataclass
class E2ETrainer:
    """An optimisation in progress: everything that an exact continuation needs.

    Fresh starts are seeded by the update's number, so the weights, Adam's moments, the number of
    updates done and where the cars are by then are the whole state.

    Args:
        config: The run's configuration.
        scene: Differentiable cars.
        path: What they follow.
        controller: What is trained.
    """

    config: TrainE2EConfig
    scene: GenesisCar
    path: ReferencePath
    controller: TrackingMLP
    num_updates_done: int = 0
    optimizer: GuardedOptimizer = field(init=False)
    method: ClassVar[str] = "e2e"
    step_type: ClassVar[type[Step]] = TrainStep
    _reached: Start | None = None

    def __post_init__(self) -> None:
        self.optimizer = GuardedOptimizer(
            self.controller.network,
            self.config.train,
            hint="lower train.learning_rate, train.horizon or the start offsets",
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
        self.optimizer.adam.zero_grad(set_to_none=True)
        start = self._start()
        gradient = self._accumulate_gradient(start)
        interval = self.config.train.gradient_check_interval
        if interval and self.num_updates_done % interval == 0 and gradient.defect is None:
            gradient.error = self._spot_check(start)
        step = self.optimizer.update(
            gradient,
            iteration=self.num_updates_done + 1,
            learning_rate=self._learning_rate(),
        )
        self.num_updates_done += 1
        return step

    @property
    def term_names(self) -> list[str]:
        """Return the names that terms of the loss can have."""
        return self.config.loss.term_names()

    @property
    def num_env_steps(self) -> int:
        """Return the control steps of all cars that the gradient has seen."""
        return self.num_updates_done * self.config.train.horizon * self.scene.num_envs

    @property
    def is_finished(self) -> bool:
        """Return whether there is no update left to do."""
        return self.num_updates_done >= self.config.train.num_updates

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly."""
        return {
            "network": self.controller.network.state_dict(),
            "optimizer": self.optimizer.adam.state_dict(),
            "num_updates_done": self.num_updates_done,
            "num_skipped_in_a_row": self.optimizer.num_skipped_in_a_row,
            "reached": None if self._reached is None else _pack(self._reached),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier."""
        self.controller.network.load_state_dict(state["network"])
        self.optimizer.adam.load_state_dict(state["optimizer"])
        self.num_updates_done = state["num_updates_done"]
        self.optimizer.num_skipped_in_a_row = state["num_skipped_in_a_row"]
        self._reached = None
        if state["reached"] is not None:
            device = self.scene.device  # checkpoints are loaded to the CPU
            packed = {name: tensor.to(device) for name, tensor in state["reached"].items()}
            car = self.scene.describe(packed["qpos"], packed["velocity"])
            self._reached = Start(car, packed["arc_length"])

    def _spot_check(self, start: Start) -> float:
        """Compare the gradient at hand with differences of further rollouts from its start.

        Where the graph is cut the gradient is not that of the whole rollout: it is not checked.
        """
        train = self.config.train
        if train.truncation_length not in (None, train.horizon):
            return math.nan
        parameters = list(self.controller.network.parameters())

        def loss() -> Tensor:
            return self.config.loss.costs(self.roll_out(start, train.horizon)).total

        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        try:
            number = self.num_updates_done // train.gradient_check_interval
            return spot_check(loss, parameters, gradients, number=number)
        except SimulationError:
            return math.inf

    def _accumulate_gradient(self, start: Start) -> AccumulatedGradient:
        """Roll out and backpropagate segment by segment, until the end or the first defect."""
        train = self.config.train
        gradient = AccumulatedGradient()
        for length in _segments(train.horizon, train.truncation_length):
            began = time.perf_counter()
            try:
                trajectory = self.roll_out(start, length)
                costs = self.config.loss.costs(trajectory)
                rolled_out = time.perf_counter()
                gradient.forward_seconds += rolled_out - began
                gradient.add(costs, share=length / train.horizon)
                if gradient.defect is None:
                    self.scene.backward(length / train.horizon * costs.total)
                    gradient.backward_seconds += time.perf_counter() - rolled_out
            except SimulationError as error:
                gradient.defect = str(error)
            if gradient.defect is not None:
                break
            # Backward has rewound the simulator: it continues from the values it had reached.
            start = trajectory.end
        self._reached = None if gradient.defect else replace(trajectory.end, timed_arc_length=None)
        return gradient

    def _start(self) -> Start:
        """Return where the next update begins: where the last one ended, or afresh.

        Each car starts afresh every `episode_updates` updates, not all in the same one, and when it
        has lost the path.
        """
        seed = seed_of_update(self.config.seed, self.num_updates_done)
        placement = self.draw_starts(seed)
        fresh = Start(self.scene.state_of(placement), placement.arc_length)
        reached = self._reached
        if reached is None:
            return fresh
        assert reached.state is not None and reached.arc_length is not None
        car = torch.arange(self.scene.num_envs, device=self.scene.device)
        is_due = (car + self.num_updates_done) % self.config.train.episode_updates == 0
        errors = compute_error_state(self.path, reached.state, reached.arc_length)
        is_lost = errors.cross_track_error.abs() > _LOST_CROSS_TRACK
        end = math.inf if self.path.closed else self.path.length - self._reach
        return reached.where(is_due | is_lost | (reached.arc_length > end), fresh)

    def roll_out(self, start: Start | Placement, num_steps: int) -> Trajectory:
        """Drive, with gradients."""
        return rollout(self.scene, self.controller, self.path, start, num_steps)

    def draw_starts(self, seed: int) -> Placement:
        """Draw where rollouts begin.

        Args:
            seed: Of the draw.
        """
        return draw_starts(
            self.path,
            self.scene.num_envs,
            seed=seed,
            config=self.config.start,
            reach=self._reach,
        )

    @property
    def _reach(self) -> float:
        """Return how far a car can come in an update [m]."""
        return self.config.train.horizon * self.scene.dt * self.config.path.top_speed

    def _learning_rate(self) -> float:
        """Return the cosine-decayed step size of the next update."""
        train = self.config.train
        return cosine_learning_rate(
            self.num_updates_done,
            decay_updates=train.decay_updates,
            highest=train.learning_rate,
            final_ratio=train.final_learning_rate_ratio,
        )


def _pack(start: Start) -> dict[str, Tensor]:
    """Return what a checkpoint holds of where cars are."""
    assert start.state is not None and start.arc_length is not None
    return {
        "qpos": start.state.qpos,
        "velocity": start.state.dofs_velocity,
        "arc_length": start.arc_length,
    }


def _segments(horizon: int, truncation_length: int | None) -> list[int]:
    """Cut the horizon into pieces of at most `truncation_length`."""
    cut = truncation_length or horizon
    return [min(cut, horizon - begun) for begun in range(0, horizon, cut)]
