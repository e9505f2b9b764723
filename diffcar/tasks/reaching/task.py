"""The task of bringing an arm's hand to a target."""

from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffcar.base.table import Column
from diffcar.gradients.hops import Watch
from diffcar.gradients.problem import Problem
from diffcar.sim.arm import ArmState, GenesisArm
from diffcar.sim.build import build_scene
from diffcar.tasks.contract import Task
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.reaching.controller import ReachingMLP
from diffcar.tasks.reaching.problem import reaching_problem
from diffcar.tasks.reaching.rollout import ReachTrajectory, draw_targets, reach

__all__ = ["ReachMetrics", "ReachingTask", "reach_metrics"]

# Runs draw the targets of their updates with seeds that lie so far apart.
_FIRST_SEED = 1_000_000


@dataclass(frozen=True)
class ReachMetrics:
    """How near the hands were to targets never trained on, at the end of a reach."""

    num_targets: int
    """Targets."""
    mean_m: float
    """Mean distance [m]."""
    p95_m: float
    """What 95 of 100 distances are below [m]."""
    max_m: float
    """The largest [m]."""

    def __str__(self) -> str:
        """Return the figure that matters."""
        return f"mean distance {1e3 * self.mean_m:.4g} mm"


def reach_metrics(trajectory: ReachTrajectory) -> ReachMetrics:
    """Return how far the hands are from their targets after the last step."""
    distance = trajectory.distance[-1].double()
    return ReachMetrics(
        num_targets=len(distance),
        mean_m=float(distance.mean()),
        p95_m=float(distance.quantile(0.95)),
        max_m=float(distance.max()),
    )


class ReachingTask(Task[Tensor, ReachTrajectory]):
    """A network that reaches with Franka arms (see `Task` for the contract).

    Its scenes are the differentiable arms, if they are there already; None builds some.
    """

    command = folder = "franka-test"
    metric = Column("mean distance", attrgetter("mean_m"), "mm", 1e3, "mean_m")
    remedy = "lower train.learning_rate, train.horizon or reach.joint_step"
    output = "MLP output"

    def __init__(self, config: FrankaTestConfig, *, scenes: GenesisArm | None = None) -> None:
        self.config: FrankaTestConfig = config
        self.loss = config.loss
        self.num_envs = config.num_envs
        self._arms = scenes

    def build(self) -> "ReachingTask":
        """Build the scenes and the untrained network."""
        config = self.config
        self.scene = self._arms or self._build(self.num_envs, differentiable=True)
        self.plain = self._build(config.reach.num_unseen_targets)
        self.driver = ReachingMLP(config.reach, self.scene, seed=config.seed)
        """The network that is trained, as a controller."""
        self.network = self.driver.network
        return self

    def draw(self, update: int, reached: Tensor | None) -> Tensor:
        """Return the targets of an update [m], shape (B, 3); arms always begin at home."""
        return self._targets(self.num_envs, _FIRST_SEED * (self.config.seed + 1) + update + 1)

    def roll_out(self, start: Tensor, num_steps: int) -> ReachTrajectory:
        """Reach for targets, with gradients unless they are switched off."""
        return reach(self.scene, self.driver, start, num_steps)

    def evaluate(self) -> ReachMetrics:
        """Reach for targets never trained on, in plain physics."""
        return reach_metrics(self.reach_unseen())

    def reach_unseen(self) -> ReachTrajectory:
        """Reach for targets never trained on, in plain physics, and return the record."""
        target = self._targets(self.plain.num_envs, self.config.seed)
        with torch.no_grad():
            return reach(self.plain, self.driver, target, self.config.train.horizon)

    def score(self, metrics: ReachMetrics) -> float:
        """Return the mean distance [m]."""
        return metrics.mean_m

    def trace(self, watch: Watch) -> Tensor:
        """Return the loss of eight steps, handing over the tensors on the way."""
        target = self._targets(self.num_envs, self.config.seed)

        def after_step(state: ArmState) -> None:
            # The command is what the entity was handed: the last tensor before Genesis.
            for name, tensor in self.scene.last_command.items():
                watch(name, tensor)
            watch("state: qpos", state.qpos)
            watch("state: dofs_velocity", state.dofs_velocity)
            watch("hand position", state.hand_position)

        return self.loss.costs(reach(self.scene, self.driver, target, 8, on_step=after_step)).total

    def problem(self, horizon: int) -> Problem:
        """Return the gradient by the network's weights, one direction an arm."""
        seed = self.config.seed
        target = self._targets(self.num_envs, seed)
        return reaching_problem(self.scene, self.driver, target, horizon=horizon, seed=seed)

    def finish(self, folder: Path) -> dict[str, Any]:
        """Return the distances to targets never trained on after each step of a reach [m]."""
        distance = self.reach_unseen().distance
        return {
            "mean_distances_m": distance.mean(1).tolist(),
            "worst_distances_m": distance.amax(1).tolist(),
        }

    def _targets(self, num_targets: int, seed: int) -> Tensor:
        """Draw where hands should be."""
        return draw_targets(self.driver.target_box, num_targets, seed=seed)

    def _build(self, num_envs: int, *, differentiable: bool = False) -> GenesisArm:
        """Build a scene, which takes long."""
        return build_scene(
            self.config, num_envs=num_envs, differentiable=differentiable, with_ground=False
        )
