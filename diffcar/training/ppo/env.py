"""Path tracking as an environment for reinforcement learning."""

import math

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.losses import state_costs
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import StartState
from diffcar.tasks.tracking.starts import draw_starts
from diffcar.training.ppo.config import TrainPPOConfig

__all__ = ["DrivingEnv"]


class DrivingEnv(VecEnv):
    """Cars that follow a path, observed and commanded as `TrackingMLP` does.

    The reward of a step is minus what it adds to the path-tracking loss: the costs of where the
    car is after it, and of how much the action changed. An episode ends by time or off the road,
    and either way it counts as cut short, not as over: the value of what would have come is kept,
    or leaving the road would be a way to stop paying.

    Args:
        config: The run's configuration.
        scene: Plain cars.
        path: What they follow.
        controller: Observes and scales actions; its network is not used here.
    """

    num_actions = 2

    def __init__(
        self,
        config: TrainPPOConfig,
        scene: GenesisCar,
        path: ReferencePath,
        controller: TrackingMLP,
    ) -> None:
        self.cfg = config
        self.num_envs = scene.num_envs
        self.device = scene.device
        self.dtype = scene.dtype
        self.max_episode_length = max(1, round(config.train.episode_duration / scene.dt))
        self.generator = torch.Generator().manual_seed(config.seed)
        self._scene = scene
        self._path = path
        self._controller = controller
        self._reach = config.train.episode_duration * config.path.top_speed
        self._last_arc_length = math.inf if path.closed else path.length
        self._last_output = torch.zeros(self.num_envs, 2, dtype=path.dtype, device=self.device)
        arc_length, start = self._draw(self.num_envs)
        scene.reset(start)
        self._state = scene.read()
        self._errors = compute_error_state(path, self._state, arc_length)
        # All begin at different times of their episodes, so that these do not end together.
        self.episode_length_buf = torch.randint(
            self.max_episode_length, (self.num_envs,), generator=self.generator
        ).to(self.device)

    def get_observations(self) -> TensorDict:
        """Return what the cars observe now, as the group `policy`."""
        observation = self._controller.observer.observe(self._state, self._errors)
        return TensorDict({"policy": observation}, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Tensor]]:
        """Drive for a control step.

        Args:
            actions: Steering and drive, clipped to [-1, 1], shape (B, 2).

        Returns:
            Observations, rewards (B,), whether each episode ended (B,), and under `time_outs`
            that each end is a cut.
        """
        scene, weights = self._scene, self.cfg.loss
        output = actions.clamp(-1.0, 1.0)
        hint = self._errors.arc_length + scene.dt * self._state.speed
        scene.apply(self._controller.command(output, self._state))
        scene.step()
        self._state = scene.read()
        self._errors = errors = compute_error_state(self._path, self._state, hint)
        costs = state_costs(
            errors.cross_track_error, errors.heading_error, errors.speed_error, weights
        )
        change = (output - self._last_output).square().sum(-1)
        # The first action of an episode changes nothing, and costs nothing.
        smoothness = weights.smoothness * change * (self.episode_length_buf > 0)
        effort = weights.effort * output.square().sum(-1)
        reward = -(sum(costs.values()) + smoothness + effort)
        self._last_output = output
        self.episode_length_buf += 1
        is_over = (
            (self.episode_length_buf >= self.max_episode_length)
            | (errors.cross_track_error.abs() > self.cfg.train.lost_cross_track)
            | (errors.arc_length > self._last_arc_length)
        )
        self._restart(is_over.nonzero()[:, 0])
        return self.get_observations(), reward, is_over, {"time_outs": is_over}

    def _restart(self, cars: Tensor) -> None:
        """Start some cars afresh."""
        if not len(cars):
            return
        arc_length, start = self._draw(len(cars))
        self._scene.restart(cars, start)
        self._state = self._scene.read()
        hint = self._errors.arc_length.clone()
        hint[cars] = arc_length
        self._errors = compute_error_state(self._path, self._state, hint)
        self.episode_length_buf[cars] = 0

    def _draw(self, num_cars: int) -> tuple[Tensor, StartState]:
        """Draw where cars start."""
        return draw_starts(
            self._path,
            self.cfg.start,
            num_cars=num_cars,
            reach=self._reach,
            generator=self.generator,
        )
