"""Training by proximal policy optimisation, for comparison: rsl-rl-lib's, on our cars."""

import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from rsl_rl.algorithms import PPO
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from torch import Tensor, nn

from diffcar.base.errors import SimulationError
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.sim.contract import CarScene
from diffcar.tasks.contract import seed_of_update
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training.contract import Trainer, UpdateRecord
from diffcar.training.ppo.config import TrainPPOConfig
from diffcar.training.ppo.env import DrivingEnv

__all__ = ["PPOTrainer", "PPOUpdate"]

_GROUPS = {"actor": ["policy"], "critic": ["policy"]}


@dataclass(frozen=True)
class PPOUpdate(UpdateRecord):
    """What one round of driving and learning did; its loss is minus the mean reward of a step."""

    highlights: ClassVar[dict[str, str]] = {"action std": "action_std"}
    action_std: float
    """Mean standard deviation of the normalised actions."""
    drive_seconds: float
    """Wall time of the driving [s]."""
    learn_seconds: float
    """Wall time of the learning [s]."""


class PPOTrainer(Trainer):
    """An optimisation in progress, on plain cars.

    The actor is the controller's own network, mirror image included, with a normal distribution
    around its output; the critic is a perceptron of the same size. A run that is resumed begins
    with fresh episodes, so it is not the same number for number.
    """

    record_type: ClassVar[type[UpdateRecord]] = PPOUpdate
    term_names = ("surrogate", "value", "entropy")

    def __init__(self, task: TrackingTask, scene: CarScene) -> None:
        assert isinstance(task.config, TrainPPOConfig)
        self.task: TrackingTask = task
        self.config: TrainPPOConfig = task.config
        # rsl-rl initialises the critic from torch's global generator.
        torch.manual_seed(self.config.seed)
        self.env = DrivingEnv(self.config, scene, task.path, task.driver)
        self.ppo = _build_ppo(self.config, self.env, task.driver)

    @property
    def num_env_steps(self) -> int:
        """Return the control steps of all cars so far."""
        return self.num_updates_done * self.config.train.num_steps * self.env.num_envs

    def update(self) -> PPOUpdate:
        """Drive for a while, then learn from it.

        Raises:
            SimulationError: If a reward is not finite, before it spoils the weights.
        """
        seed = seed_of_update(self.config.seed, self.num_updates_done)
        torch.manual_seed(seed)
        self.env.generator.manual_seed(seed)
        began = time.perf_counter()
        mean_reward = self._drive()
        driven = time.perf_counter()
        if not math.isfinite(mean_reward):
            raise SimulationError(
                f"update {self.num_updates_done + 1}: the reward is {mean_reward}",
                hint="lower train.learning_rate, or use more substeps or --precision 64",
            )
        terms = self.ppo.update()
        learnt = time.perf_counter()
        self.num_updates_done += 1
        return PPOUpdate(
            iteration=self.num_updates_done,
            loss=-mean_reward,
            terms={name: float(terms[name]) for name in self.term_names},
            learning_rate=self.ppo.learning_rate,
            is_skipped=False,
            action_std=float(self.ppo.actor.output_std.detach().mean()),
            drive_seconds=driven - began,
            learn_seconds=learnt - driven,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on."""
        return {
            "network": self.task.network.state_dict(),
            "critic": self.ppo.critic.state_dict(),
            "action_distribution": self.ppo.actor.distribution.state_dict(),
            "optimizer": self.ppo.optimizer.state_dict(),
            "learning_rate": self.ppo.learning_rate,
            "num_updates_done": self.num_updates_done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier, with fresh episodes."""
        self.task.network.load_state_dict(state["network"])
        self.ppo.critic.load_state_dict(state["critic"])
        self.ppo.actor.distribution.load_state_dict(state["action_distribution"])
        self.ppo.optimizer.load_state_dict(state["optimizer"])
        self.ppo.learning_rate = state["learning_rate"]
        self.num_updates_done = state["num_updates_done"]

    def _drive(self) -> float:
        """Collect the steps of an update; return the mean reward."""
        total = 0.0
        with torch.inference_mode():
            observation = self.env.get_observations()
            for _ in range(self.config.train.num_steps):
                action = self.ppo.act(observation)
                observation, reward, is_over, extras = self.env.step(action)
                self.ppo.process_env_step(observation, reward, is_over, extras)
                total += float(reward.mean())
            self.ppo.compute_returns(observation)
        return total / self.config.train.num_steps


def make_trainer(config: TrainPPOConfig, *, scenes: Scenes | None = None) -> PPOTrainer:
    """Return the optimisation that settings describe, of cars that are there or are built."""
    task = TrackingTask(config, scenes=scenes, through_physics=False).build()
    return PPOTrainer(task, task.cars(config.train.num_envs))


class _SymmetricOutput(nn.Module):
    """A controller's map from observations to outputs, as a module of its network's weights."""

    def __init__(self, controller: TrackingMLP) -> None:
        super().__init__()
        self.network = controller.network
        self._output = controller.output

    def forward(self, observation: Tensor) -> Tensor:
        """Return steering and drive in [-1, 1], shape (B, 2)."""
        return self._output(observation)


def _build_ppo(config: TrainPPOConfig, env: DrivingEnv, controller: TrackingMLP) -> PPO:
    """Return rsl-rl's algorithm around the controller's network."""
    train = config.train
    observation = env.get_observations()
    spread = {"class_name": "GaussianDistribution", "init_std": train.first_action_std}
    spread["std_type"] = "log"
    # A perceptron of one unit, whose place the controller's own network takes.
    actor = MLPModel(observation, _GROUPS, "actor", 2, (1,), distribution_cfg=spread)
    actor.mlp = _SymmetricOutput(controller)
    critic = MLPModel(
        observation, _GROUPS, "critic", 1, config.controller.hidden_sizes, activation="elu"
    )
    # They come in 32 bits, whatever the observations have.
    actor, critic = actor.to(env.dtype), critic.to(env.dtype)
    storage = RolloutStorage(
        "rl", env.num_envs, train.num_steps, observation, [env.num_actions], str(env.device)
    )
    return PPO(
        actor,
        critic,
        storage,
        num_learning_epochs=train.num_epochs,
        num_mini_batches=train.num_mini_batches,
        clip_param=train.clip,
        gamma=train.discount,
        lam=train.trace_decay,
        entropy_coef=train.entropy,
        learning_rate=train.learning_rate,
        max_grad_norm=train.max_gradient_norm,
        desired_kl=train.target_divergence,
        device=str(env.device),
    )
