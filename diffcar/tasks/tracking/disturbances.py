"""What a controller meets outside the laboratory: pushes, other masses and roads, delay, noise.

The plant's side wraps the scene, the sensors' side wraps the controller, so both join every
rollout; the metrics stay those of the true state. Random numbers are drawn in float64 on the CPU,
the same number of them in every step: a seed means the same disturbance in every engine, in every
precision and for every controller.
"""

import dataclasses
from collections import deque

import torch
from torch import Tensor

from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState, compute_error_state
from diffcar.sim.contract import CarScene, CarState, Placement
from diffcar.tasks.tracking.config import DisturbanceConfig

__all__ = ["DisturbedScene", "NoisyController"]


class DisturbedScene:
    """Cars that are pushed, weigh more, slide on another road, and obey late (see `CarScene`).

    The wrapped scene keeps the variations until something else sets them.

    Args:
        generator: Of the times and sides of pushes; on the CPU.
        cars_alike: After so many cars the pushes repeat, so that teams of cars meet the same; None
            draws for every car.
    """

    def __init__(
        self,
        scene: CarScene,
        config: DisturbanceConfig,
        generator: torch.Generator,
        *,
        cars_alike: int | None = None,
    ) -> None:
        self.scene, self.config, self.generator = scene, config, generator
        self.num_envs, self.dt, self.vehicle = scene.num_envs, scene.dt, scene.vehicle
        self.dtype, self.device = scene.dtype, scene.device
        ratios = {"mass_ratio": config.mass_ratio, "friction_ratio": config.friction_ratio}
        self.variations = {
            name: torch.full((scene.num_envs,), ratio, dtype=scene.dtype, device=scene.device)
            for name, ratio in ratios.items()
            if ratio != 1
        }
        self._cars_alike = cars_alike or scene.num_envs
        self._push_steps = max(1, round(config.push_duration / scene.dt))
        self._forget()

    def _forget(self) -> None:
        """Drop pending commands, end pushes and draw when the first ones begin."""
        self._pending: deque[Tensor] = deque()
        self._num_steps = 0
        draw = torch.rand(self._cars_alike, generator=self.generator, dtype=torch.float64)
        self._next_push = self._gap(draw)
        self._push_end = self._side = torch.zeros_like(draw)

    def reset(self, start: Placement | CarState) -> None:
        """Place the cars; until the first command takes effect, they roll as they are steered."""
        self.scene.variations = self.variations
        self.scene.reset(start)
        self._forget()

    def restart(self, cars: Tensor, placement: Placement) -> None:
        """Place some of the cars afresh; commands and pushes go on as they are."""
        self.scene.restart(cars, placement)

    def state_of(self, placement: Placement) -> CarState:
        """Return the state that cars have once they are placed so."""
        return self.scene.state_of(placement)

    def read(self) -> CarState:
        """Return the present state, which is the true one."""
        return self.scene.read()

    def apply(self, action: Tensor) -> None:
        """Command steering angle [rad] and speed [m/s], shape (B, 2), `delay_steps` ahead."""
        if not self._pending:
            state = self.scene.read()
            rolling = torch.stack([state.steering_angles.mean(-1), state.speed], dim=-1)
            self._pending.extend([rolling] * self.config.delay_steps)
        self._pending.append(action)
        self.scene.apply(self._pending.popleft())

    def apply_force(self, force: Tensor) -> None:
        """Push each base with a horizontal force [N], shape (B, 2), besides the random pushes."""
        self.scene.apply_force(force)

    def step(self) -> None:
        """Advance all cars by `dt`."""
        if self.config.push_force > 0:
            self.scene.apply_force(self._random_push())
        self.scene.step()

    def _random_push(self) -> Tensor:
        """Return the force of this step [N], shape (B, 2): sideways, or none."""
        gap, side = torch.rand(2, self._cars_alike, generator=self.generator, dtype=torch.float64)
        begins = self._num_steps >= self._next_push
        self._next_push = torch.where(begins, self._num_steps + self._gap(gap), self._next_push)
        self._push_end = torch.where(begins, self._num_steps + self._push_steps, self._push_end)
        self._side = torch.where(begins, torch.where(side < 0.5, -1.0, 1.0), self._side)
        size = self.config.push_force * self._side * (self._num_steps < self._push_end)
        self._num_steps += 1
        yaw = self.scene.read().yaw.detach()
        leftward = torch.stack([-torch.sin(yaw), torch.cos(yaw)], dim=-1)
        return _repeated(size, self.num_envs).to(leftward)[:, None] * leftward

    def _gap(self, draw: Tensor) -> Tensor:
        """Turn draws from [0, 1) into steps from one push to the next."""
        return (0.5 + draw) * self.config.push_interval / self.dt


class NoisyController:
    """A controller that sees the car through noisy sensors.

    Position, heading, speed and rate of turn are perturbed, each step and car anew, and the errors
    are those of the perturbed state.

    Args:
        generator: Of the noise; on the CPU.
        cars_alike: After so many cars the noise repeats; None draws for every car.
    """

    def __init__(
        self,
        controller: Controller,
        config: DisturbanceConfig,
        generator: torch.Generator,
        *,
        cars_alike: int | None = None,
    ) -> None:
        self.controller, self.name = controller, controller.name
        self.generator = generator
        self.cars_alike = cars_alike
        deviations = [config.position_noise] * 2  # x, y, yaw, speed, yaw rate
        deviations += [config.yaw_noise, config.speed_noise, config.yaw_rate_noise]
        self._deviations = torch.tensor(deviations, dtype=torch.float64)

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        num_cars = len(state.yaw)
        num_draws = self.cars_alike or num_cars
        draw = torch.randn(num_draws, 5, generator=self.generator, dtype=torch.float64)
        noise = _repeated(draw * self._deviations, num_cars).to(state.yaw)
        measured = dataclasses.replace(
            state,
            position=state.position + noise[:, :2],
            yaw=state.yaw + noise[:, 2],
            speed=state.speed + noise[:, 3],
            yaw_rate=state.yaw_rate + noise[:, 4],
        )
        seen = compute_error_state(errors.path, measured, errors.arc_length.detach())
        return self.controller(measured, seen)


def _repeated(values: Tensor, num_cars: int) -> Tensor:
    """Repeat values along the first axis until every car has its own."""
    return values[torch.arange(num_cars) % len(values)]
