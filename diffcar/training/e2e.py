"""Training by backpropagation of the path loss through the physics."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.gradients.finite_differences import spot_check
from diffcar.losses import advance_reference, tracking_loss_terms
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState, StartState
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
    step_type: ClassVar[type[Step]] = TrainStep
    _reached: "_Reached | None" = None

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
        arc_length, start = self._starts()
        gradient = self._accumulate_gradient(arc_length, start)
        interval = self.config.train.gradient_check_interval
        if interval and self.num_updates_done % interval == 0 and gradient.defect is None:
            gradient.error = self._spot_check(arc_length, start)
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
        return list(self.config.loss.model_dump(exclude={"cross_track_scale"}))

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
            "reached": None if self._reached is None else vars(self._reached),
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
            self._reached = _Reached(**{k: v.to(device) for k, v in state["reached"].items()})

    def _spot_check(self, arc_length: Tensor, start: CarState) -> float:
        """Compare the gradient at hand with differences of further rollouts from its start.

        Where the graph is cut the gradient is not that of the whole rollout: it is not checked.
        """
        train = self.config.train
        if train.truncation_length not in (None, train.horizon):
            return math.nan
        parameters = list(self.controller.network.parameters())

        def loss() -> Tensor:
            self.scene.resume(start)
            trajectory = rollout(
                self.scene, self.controller, self.path, train.horizon, arc_length_hint=arc_length
            )
            return torch.stack(list(self.loss_terms(trajectory, arc_length)[0].values())).sum()

        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        try:
            number = self.num_updates_done // train.gradient_check_interval
            return spot_check(loss, parameters, gradients, number=number)
        except SimulationError:
            return math.inf

    def _accumulate_gradient(self, arc_length: Tensor, start: CarState) -> AccumulatedGradient:
        """Roll out and backpropagate segment by segment, until the end or the first defect."""
        train = self.config.train
        timed_arc_length = arc_length
        gradient = AccumulatedGradient()
        self.scene.resume(start)
        for length in _segments(train.horizon, train.truncation_length):
            began = time.perf_counter()
            try:
                trajectory = rollout(
                    self.scene, self.controller, self.path, length, arc_length_hint=arc_length
                )
                terms, timed_arc_length = self.loss_terms(trajectory, timed_arc_length)
                rolled_out = time.perf_counter()
                gradient.forward_seconds += rolled_out - began
                gradient.add(terms, share=length / train.horizon)
                if gradient.defect is None:
                    loss = torch.stack(list(terms.values())).sum()
                    self.scene.backward(length / train.horizon * loss)
                    gradient.backward_seconds += time.perf_counter() - rolled_out
            except SimulationError as error:
                gradient.defect = str(error)
            if gradient.defect is not None:
                break
            # Backward has rewound the simulator: it continues from the values it had reached.
            arc_length = trajectory.arc_length[-1].detach()
            self.scene.resume(trajectory.final_state)
        self._reached = None if gradient.defect else _Reached.of(trajectory)
        return gradient

    def _starts(self) -> tuple[Tensor, CarState]:
        """Return where the next update begins: where the last one ended, or afresh.

        Each car starts afresh every `episode_updates` updates, not all in the same one, and when it
        has lost the path.
        """
        seed = seed_of_update(self.config.seed, self.num_updates_done)
        arc_length, start = self.draw_starts(seed)
        qpos, velocity = self.scene.rolling(start)
        if self._reached is not None:
            car = torch.arange(self.scene.num_envs, device=qpos.device)
            is_due = (car + self.num_updates_done) % self.config.train.episode_updates == 0
            end = math.inf if self.path.closed else self.path.length - self._reach
            is_fresh = is_due | self._reached.is_lost | (self._reached.arc_length > end)
            arc_length = torch.where(is_fresh, arc_length, self._reached.arc_length)
            qpos = torch.where(is_fresh[:, None], qpos, self._reached.qpos)
            velocity = torch.where(is_fresh[:, None], velocity, self._reached.velocity)
        return arc_length, self.scene.describe(qpos, velocity)

    def loss_terms(
        self, trajectory: Trajectory, timed_arc_length: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the loss terms of a segment and where the timed reference is at its end.

        Args:
            trajectory: The segment.
            timed_arc_length: Where the timed reference is at its start [m], shape (B,).
        """
        timed_position = None
        if self.config.loss.time_indexed:
            timed_position, timed_arc_length = advance_reference(
                self.path, timed_arc_length, trajectory.num_steps, self.scene.dt
            )
        terms = tracking_loss_terms(
            trajectory, self.config.loss, self.scene.vehicle, timed_position=timed_position
        )
        return terms, timed_arc_length

    def draw_starts(self, seed: int) -> tuple[Tensor, StartState]:
        """Draw where rollouts begin.

        Args:
            seed: Of the draw.

        Returns:
            The arc lengths [m], shape (B,), and the start states.
        """
        return draw_starts(
            self.path,
            self.config.start,
            num_cars=self.scene.num_envs,
            reach=self._reach,
            generator=torch.Generator().manual_seed(seed),
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


@dataclass(frozen=True)
class _Reached:
    """Where the cars were after an update."""

    qpos: Tensor
    velocity: Tensor
    arc_length: Tensor
    is_lost: Tensor

    @classmethod
    def of(cls, trajectory: Trajectory) -> "_Reached":
        """Return the end of a rollout."""
        state = trajectory.final_state
        return cls(
            qpos=state.qpos.detach().clone(),
            velocity=state.dofs_velocity.detach().clone(),
            arc_length=trajectory.arc_length[-1].detach(),
            is_lost=trajectory.cross_track_error[-1].detach().abs() > _LOST_CROSS_TRACK,
        )


def _segments(horizon: int, truncation_length: int | None) -> list[int]:
    """Cut the horizon into pieces of at most `truncation_length`."""
    cut = truncation_length or horizon
    return [min(cut, horizon - begun) for begun in range(0, horizon, cut)]
