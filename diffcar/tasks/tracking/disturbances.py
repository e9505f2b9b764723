"""What a controller meets outside the laboratory: pushes, other cars and roads, delay, noise.

The plant's side wraps the scene, the sensors' side wraps the controller, so both join every
rollout; the metrics stay those of the true state. Random numbers are drawn in float64 on the CPU,
the same number of them in every step: a seed means the same disturbance in every engine, in every
precision and for every controller.
"""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState, compute_error_state
from diffcar.path.reference import Road
from diffcar.sim.contract import CarScene, CarState, Placement, Start
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.rollout import Trajectory, rollout

__all__ = ["DisturbedScene", "NoisyController", "RandomisedCars", "Traits", "draw_traits"]

Traits = Mapping[str, Tensor]
"""Each disturbance by its name in `DisturbanceConfig`, one value a car, float64 on the CPU."""

_OF_THE_ENGINE = {"mass_ratio": 1.0, "mass_shift": 0.0, "friction_ratio": 1.0}
_OF_THE_SENSORS = ("position_noise",) * 2 + ("yaw_noise", "speed_noise", "yaw_rate_noise")
_OF_THE_COMMAND = {"motor_gain": 1.0, "steering_gain": 1.0, "steering_offset": 0.0}


def draw_traits(
    config: DisturbanceConfig, num_cars: int, generator: torch.Generator | None = None
) -> Traits:
    """Draw evenly from the ranges what each car is like; without a generator, their middles."""
    ranges = config.ranges
    share = torch.full((num_cars, len(ranges)), 0.5, dtype=torch.float64)
    if generator is not None:
        share.uniform_(generator=generator)
    traits = {
        name: low + (high - low) * own
        for (name, (low, high)), own in zip(ranges.items(), share.unbind(-1), strict=True)
    }
    least, most = ranges["delay_steps"]
    steps = (least + (most - least + 1) * share[:, list(ranges).index("delay_steps")]).floor()
    return traits | {"delay_steps": steps}


class DisturbedScene:
    """Cars that are pushed, weigh more, slide on another road, and obey otherwise (see `CarScene`).

    The wrapped scene keeps the variations until something else sets them.

    Args:
        generator: Of the times and sides of pushes, and of the traits; on the CPU.
        cars_alike: After so many cars traits and pushes repeat, so that teams of cars meet the
            same; None draws for every car.
        is_under_way: Whether the first push may come at once, and not after half an interval.
    """

    def __init__(
        self,
        scene: CarScene,
        config: DisturbanceConfig,
        generator: torch.Generator,
        *,
        cars_alike: int | None = None,
        is_under_way: bool = False,
    ) -> None:
        self.scene, self.config, self.generator = scene, config, generator
        self.num_envs, self.dt, self.vehicle = scene.num_envs, scene.dt, scene.vehicle
        self.dtype, self.device = scene.dtype, scene.device
        self._cars_alike = cars_alike or scene.num_envs
        self._is_under_way = is_under_way
        self._push_steps = max(1, round(config.push_duration / scene.dt))
        is_drawn = any(least < most for least, most in config.ranges.values())
        traits = draw_traits(config, self._cars_alike, generator if is_drawn else None)
        self.take(traits)
        self._forget()

    def take(self, traits: Traits) -> None:
        """Let the cars be so from now on, those that the engine makes from their next placement."""
        own = {name: _repeated(values, self.num_envs) for name, values in traits.items()}
        own = {name: values.to(self.device, self.dtype) for name, values in own.items()}
        self.traits = traits
        """What the cars are like, the first of them where they repeat."""
        self.variations = {
            name: own[name] for name, usual in _OF_THE_ENGINE.items() if (own[name] != usual).any()
        }
        delay = own["delay_steps"].long()
        self.command_delay = delay if delay.any() else None
        self._gains: tuple[Tensor, ...] | None = None
        if any((own[name] != usual).any() for name, usual in _OF_THE_COMMAND.items()):
            self._gains = tuple(own[name] for name in _OF_THE_COMMAND)
        self._is_pushed = bool(traits["push_force"].any())

    def _forget(self) -> None:
        """End pushes and draw when the first ones begin."""
        self._num_steps = 0
        draw = torch.rand(self._cars_alike, generator=self.generator, dtype=torch.float64)
        gap = self._gap(draw)
        self._next_push = gap - self._gap(torch.zeros_like(gap)) if self._is_under_way else gap
        self._push_end = self._side = torch.zeros_like(draw)

    def reset(self, start: Placement | CarState) -> None:
        """Place the cars, and begin to count the time to pushes."""
        self.scene.variations = self.variations
        self.scene.reset(start)
        self._forget()

    def restart(self, cars: Tensor, placement: Placement) -> None:
        """Place some of the cars afresh; pushes go on as they are."""
        self.scene.variations = self.variations
        self.scene.restart(cars, placement)

    def state_of(self, placement: Placement) -> CarState:
        """Return the state that cars have once they are placed so."""
        return self.scene.state_of(placement)

    def read(self) -> CarState:
        """Return the present state, which is the true one."""
        return self.scene.read()

    def apply(self, action: Tensor) -> None:
        """Command steering angle [rad] and speed [m/s], shape (B, 2), as the servos take them."""
        if self._gains is not None:
            motor, steering, offset = self._gains
            speed, most = self.scene.read().speed, self.vehicle.speed_increment
            given = (action[:, 1] - speed).clamp(-most, most)
            action = torch.stack([steering * action[:, 0] + offset, speed + motor * given], dim=-1)
        self.scene.apply(action)

    def apply_force(self, force: Tensor) -> None:
        """Push each base with a horizontal force [N], shape (B, 2), besides the random pushes."""
        self.scene.apply_force(force)

    def step(self) -> None:
        """Advance all cars by `dt`."""
        if self._is_pushed:
            self.scene.apply_force(self._random_push())
        self.scene.step()

    def _random_push(self) -> Tensor:
        """Return the force of this step [N], shape (B, 2): sideways, or none."""
        gap, side = torch.rand(2, self._cars_alike, generator=self.generator, dtype=torch.float64)
        begins = self._num_steps >= self._next_push
        self._next_push = torch.where(begins, self._num_steps + self._gap(gap), self._next_push)
        self._push_end = torch.where(begins, self._num_steps + self._push_steps, self._push_end)
        self._side = torch.where(begins, torch.where(side < 0.5, -1.0, 1.0), self._side)
        size = self.traits["push_force"] * self._side * (self._num_steps < self._push_end)
        self._num_steps += 1
        yaw = self.scene.read().yaw
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
        traits: How noisy each car's sensors are; None takes the middles of the config's ranges.
    """

    def __init__(
        self,
        controller: Controller,
        config: DisturbanceConfig,
        generator: torch.Generator,
        *,
        cars_alike: int | None = None,
        traits: Traits | None = None,
    ) -> None:
        self.controller = controller
        self.generator = generator
        self.cars_alike = cars_alike
        self.past_commands = getattr(controller, "past_commands", 0)
        self.take(draw_traits(config, 1) if traits is None else traits)

    def take(self, traits: Traits) -> None:
        """Let the cars' sensors be as noisy, those of one car for all."""
        self._deviations = torch.stack([traits[name] for name in _OF_THE_SENSORS], -1)
        self._is_noisy = bool(self._deviations.any())

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        return self.controller(*self.measure(state, errors))

    def measure(self, state: CarState, errors: ErrorState) -> tuple[CarState, ErrorState]:
        """Return what the sensors say of the cars this time, and the errors by that."""
        if not self._is_noisy:
            return state, errors
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
        return measured, compute_error_state(errors.path, measured, errors.arc_length.detach())


class RandomisedCars:
    """Cars for training, of which each differs from the others, and their driver as it sees them.

    Every rollout meets the same pushes and the same noise until `begin` is told another seed.
    """

    def __init__(
        self, scene: CarScene, controller: Controller, config: DisturbanceConfig, *, seed: int
    ) -> None:
        self.config, self._seed = config, seed
        self._generator = torch.Generator()
        self.scene = DisturbedScene(scene, config, self._generator, is_under_way=True)
        self.driver = NoisyController(controller, config, self._generator)
        self.num_commands = max(self.driver.past_commands, int(config.ranges["delay_steps"][1]))
        """How many of the last commands cars need to have with them."""
        self.draw(seed)

    def draw(self, seed: int, is_fresh: Tensor | None = None) -> None:
        """Draw anew what some of the cars are like, by a mask (B,), and all pushes and noise."""
        self._seed = seed
        if self.config.is_calm:
            return
        # Not the numbers that the starts are drawn from.
        generator = torch.Generator().manual_seed(seed + 1_500_000_001)
        drawn = _by_newton(draw_traits(self.config, self.scene.num_envs, generator))
        if is_fresh is not None:
            fresh, own = is_fresh.cpu(), self.scene.traits
            drawn = {name: torch.where(fresh, new, own[name]) for name, new in drawn.items()}
        self.take(drawn)

    def take(self, traits: Traits) -> None:
        """Let the cars and their sensors be so from now on."""
        self.scene.take(traits)
        self.driver.take(traits)

    def roll_out(self, path: Road, start: Placement | Start, num_steps: int) -> Trajectory:
        """Let the network drive them, from the beginning of the pushes and the noise on."""
        self.begin()
        return rollout(self.scene, self.driver, path, start, num_steps)

    def begin(self) -> None:
        """Begin with the pushes and the noise that were drawn."""
        self._generator.manual_seed(self._seed + 2_500_000_001)


def _by_newton(traits: Traits) -> Traits:
    """Let heavy cars have as much weaker motors and pushes instead, as Newton's law has it.

    What wheels hold goes with the weight by itself, and what steers and spins them hardly does. So
    cars of different masses need no kernels of their own, which Genesis compiles for minutes.
    """
    mass = traits["mass_ratio"]
    own = {name: traits[name] / mass for name in ("motor_gain", "push_force")}
    return {**traits, **own, "mass_ratio": torch.ones_like(mass)}


def _repeated(values: Tensor, num_cars: int) -> Tensor:
    """Repeat values along the first axis until every car has its own."""
    return values[torch.arange(num_cars) % len(values)]
