"""Training an arm to reach, by backpropagation of the hand's distance through the physics."""

import time
from collections.abc import Iterator

from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.sim.arm import GenesisArm
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.reaching.controller import ReachingMLP
from diffcar.tasks.reaching.task import draw_targets, reach
from diffcar.training.optimiser import (
    AccumulatedGradient,
    GuardedOptimizer,
    TrainStep,
    cosine_learning_rate,
)

__all__ = ["train_to_reach"]

# Updates draw their targets with the seeds from here on; the final judgement's lie below.
_FIRST_SEED = 1_000_000


def train_to_reach(
    config: FrankaTestConfig, arm: GenesisArm, controller: ReachingMLP
) -> Iterator[TrainStep]:
    """Train the controller in place, yielding a record after each update.

    Args:
        config: The run's configuration.
        arm: A differentiable scene.
        controller: What is trained.

    Raises:
        GradientError: If too many updates in a row had to be skipped.
    """
    train = config.train
    optimizer = GuardedOptimizer(
        controller.network,
        train,
        hint="lower train.learning_rate, train.horizon or reach.joint_step",
    )
    for iteration in range(1, train.num_updates + 1):
        optimizer.adam.zero_grad(set_to_none=True)
        seed = _FIRST_SEED * (config.seed + 1) + iteration
        target = draw_targets(controller.target_box, arm.num_envs, seed=seed)
        gradient = _accumulate_gradient(config, arm, controller, target)
        yield optimizer.update(
            gradient,
            iteration=iteration,
            learning_rate=cosine_learning_rate(
                iteration - 1,
                decay_updates=train.num_updates,
                highest=train.learning_rate,
                final_ratio=train.final_learning_rate_ratio,
            ),
        )


def _accumulate_gradient(
    config: FrankaTestConfig, arm: GenesisArm, controller: ReachingMLP, target: Tensor
) -> AccumulatedGradient:
    """Reach and backpropagate."""
    gradient = AccumulatedGradient()
    began = time.perf_counter()
    try:
        trajectory = reach(arm, controller, target, config.train.horizon)
        costs = config.loss.costs(trajectory)
        rolled_out = time.perf_counter()
        gradient.forward_seconds = rolled_out - began
        gradient.add(costs)
        if gradient.defect is None:
            arm.backward(costs.total)
            gradient.backward_seconds = time.perf_counter() - rolled_out
    except SimulationError as error:
        gradient.defect = str(error)
    return gradient
