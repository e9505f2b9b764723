"""Path tracking as an environment for reinforcement learning."""

import math

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarScene, Placement
from diffcar.tasks.tracking.disturbances import RandomisedCars
from diffcar.tasks.tracking.rollout import ClosedLoop, Trajectory, share_of_limits
from diffcar.tasks.tracking.starts import draw_starts
from diffcar.training.ppo.config import TrainPPOConfig

__all__ = ["DrivingEnv"]


class DrivingEnv(VecEnv):
    """Cars that follow a path, observed and commanded as `TrackingMLP` does.

    The reward of a step is minus what it adds to the loss. An episode ends by time or off the road,
    and either way it counts as cut short, not as over: the value of what would have come is kept,
    or leaving the road would be a way to stop paying. The controller observes and scales actions;
    its network is not used here.
    """

    num_actions = 2

    def __init__(
        self, config: TrainPPOConfig, scene: CarScene, path: ReferencePath, controller: TrackingMLP
    ) -> None:
        self.cfg = config
        self.num_envs, self.device, self.dtype = scene.num_envs, scene.device, scene.dtype
        self.max_episode_length = max(1, round(config.train.episode_duration / scene.dt))
        self.generator = torch.Generator().manual_seed(config.seed)
        self._path, self._controller = path, controller
        self._reach = config.train.episode_duration * config.path.top_speed
        self._last_arc_length = math.inf if path.closed else path.length
        self._last_share = torch.zeros(self.num_envs, 2, dtype=path.dtype, device=self.device)
        self._cars = RandomisedCars(scene, controller, config.randomisation, seed=config.seed)
        self._cars.begin()
        start, num_commands = self._draw(self.num_envs), self._cars.num_commands
        self._loop = ClosedLoop(self._cars.scene, path, start, num_commands=num_commands)
        self._seen = self._loop.state
        self._timed: Tensor | None = None
        # All begin at different times of their episodes, so that these do not end together.
        self.episode_length_buf = torch.randint(
            self.max_episode_length, (self.num_envs,), generator=self.generator
        ).to(self.device)

    def get_observations(self) -> TensorDict:
        """Return what the cars observe now, as the group `policy`."""
        self._seen, errors = self._cars.driver.measure(self._loop.state, self._loop.errors)
        observation = self._controller.observer.observe(self._seen, errors)
        return TensorDict({"policy": observation}, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Tensor]]:
        """Drive for a control step with steering and drive, clipped to [-1, 1], shape (B, 2).

        Returns:
            Observations, rewards (B,), whether each episode ended (B,), and under `time_outs`
            that each end is a cut.
        """
        output = actions.clamp(-1.0, 1.0)
        loop, is_first = self._loop, self.episode_length_buf == 0
        start_arc_length = timed = loop.errors.arc_length
        if self._timed is not None:
            timed = torch.where(is_first, start_arc_length, self._timed)
        action = self._controller.command(output, self._seen)
        share = share_of_limits(action, loop.state.speed, self._controller.vehicle)
        step = loop.step(action)
        driven = Trajectory.of(
            [step],
            loop,
            start_arc_length=start_arc_length,
            # The timed point starts with the car; an episode's first action changes nothing.
            timed_start=timed,
            output_before=torch.where(is_first[:, None], share, self._last_share),
        )
        reward = -self.cfg.loss.costs(driven).per_environment
        self._last_share = share
        if self.cfg.loss.time_indexed:
            self._timed = driven.timed_arc_length[-1]
        errors = step.errors
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
        if len(cars):
            if not self.cfg.randomisation.is_calm:
                is_fresh = torch.zeros(self.num_envs, dtype=torch.bool)
                is_fresh[cars.cpu()] = True
                seed = int(torch.randint(2**31, (), generator=self.generator))
                self._cars.draw(seed, is_fresh)
            self._loop.restart(cars, self._draw(len(cars)))
            self.episode_length_buf[cars] = 0

    def _draw(self, num_cars: int) -> Placement:
        """Draw where cars start."""
        return draw_starts(
            self._path, num_cars, seed=self.generator, config=self.cfg.start, reach=self._reach
        )
