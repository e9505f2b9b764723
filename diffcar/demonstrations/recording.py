"""Records what an expert does in the states that it, or a student, gets into."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.observation import PathObserver
from diffcar.demonstrations.config import DemonstrationConfig
from diffcar.demonstrations.table import (
    ACTION_COLUMNS,
    STATE,
    DemonstrationTable,
    observation_columns,
)
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarScene, CarState
from diffcar.tasks.tracking.config import StartConfig
from diffcar.tasks.tracking.metrics import lost_distance
from diffcar.tasks.tracking.rollout import Trajectory, rollout
from diffcar.tasks.tracking.starts import draw_starts

__all__ = ["Recording", "record_demonstrations"]


@dataclass(frozen=True)
class Recording:
    """What was recorded, and how the cars got on."""

    table: DemonstrationTable
    """A row for each state before an action, episode by episode; docs/demonstrations.md lists the
    columns."""
    trajectory: Trajectory
    """With the disturbed commands."""
    is_noisy: Tensor
    """Whether a car's commands were disturbed, shape (B,)."""
    is_lost: Tensor
    """Whether a car lost its path, where its episode ends, shape (B,)."""


def record_demonstrations(
    scene: CarScene,
    expert: Controller,
    path: ReferencePath,
    controller_config: ControllerConfig,
    *,
    config: DemonstrationConfig,
    start_config: StartConfig,
    seed: int,
    driver: Controller | None = None,
    on_step: Callable[[float], None] = lambda fraction: None,
) -> Recording:
    """Drive every car of a scene and write down what the expert would do in each state.

    An episode ends early where its car loses the path or comes to the end of an open one.

    Args:
        scene: Plain cars; each drives one episode.
        expert: Whose actions are recorded.
        controller_config: What the network that is to learn observes.
        driver: Who drives; None for the expert. A student that drives while the expert's actions
            are recorded is what DAgger asks for.
        on_step: Called after each step with the fraction of the time that is over.

    Raises:
        SimulationError: If the state of a car is no longer finite.

    Source:
        S. Ross, G. Gordon and D. Bagnell, "A Reduction of Imitation Learning and Structured
        Prediction to No-Regret Online Learning", AISTATS 2011, algorithm 3.1 (DAgger).
    """
    num_steps = max(1, round(config.duration / scene.dt))
    generator = torch.Generator().manual_seed(seed)
    reach = num_steps * scene.dt * float(path.samples[:, 4].max())
    start = draw_starts(path, scene.num_envs, seed=generator, config=start_config, reach=reach)
    is_noisy = torch.arange(scene.num_envs) < round(config.noisy_fraction * scene.num_envs)
    noise = _command_noise(config, is_noisy, scene.dt, generator)
    columns = (*observation_columns(controller_config), *ACTION_COLUMNS)
    recorder = _Recorder(driver or expert, expert, PathObserver(controller_config), columns, noise)

    is_on_path = partial(_is_on_path, path, lost_distance(scene.vehicle))

    def is_over(state: CarState, errors: ErrorState) -> bool:
        errors.require_finite()
        on_step(len(recorder.rows) / num_steps)
        return not bool(is_on_path(errors.arc_length, errors.cross_track_error).any())

    with torch.no_grad():
        trajectory = rollout(scene, recorder, path, start, num_steps, on_step=is_over)
    return _collect(recorder.rows, trajectory, is_noisy)


def _command_noise(
    config: DemonstrationConfig, is_noisy: Tensor, dt: float, generator: torch.Generator
) -> Iterator[Tensor]:
    """Yield an Ornstein-Uhlenbeck process on the commands of some of the cars, shape (B, 2)."""
    size = torch.tensor([config.steering_noise, config.speed_noise], dtype=torch.float64)
    size = size * is_noisy[:, None]
    decay = torch.exp(torch.tensor(-dt / config.noise_time, dtype=torch.float64))
    value = size * torch.randn(size.shape, generator=generator, dtype=torch.float64)
    while True:
        yield value
        # The exact discretisation: the standard deviation is the same at every time step.
        unit = torch.randn(size.shape, generator=generator, dtype=torch.float64)
        value = decay * value + (1 - decay**2).sqrt() * (size * unit)


@dataclass(eq=False)
class _Recorder:
    """Drives as the driver does, disturbed, and keeps what the expert would do undisturbed.

    Unlike other controllers it has a memory: it is for one rollout.
    """

    driver: Controller
    expert: Controller
    observer: PathObserver
    columns: tuple[str, ...]
    """What the entries of an observation and an action are called."""
    noise: Iterator[Tensor]
    rows: list[DemonstrationTable] = field(default_factory=list)

    @property
    def past_commands(self) -> int:
        """Return how many of the last commands driver and expert must be shown."""
        return max(getattr(own, "past_commands", 0) for own in (self.driver, self.expert))

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        action = self.expert(state, errors)
        learnt = torch.cat([self.observer.observe(state, errors), action], dim=-1)
        self.rows.append(
            {
                **{name: of(state) for name, of in STATE.items()},
                "arc_length_m": errors.arc_length,
                "cross_track_m": errors.cross_track_error,
                "heading_error_rad": errors.heading_error,
                "speed_error_mps": errors.speed_error,
                **dict(zip(self.columns, learnt.unbind(-1), strict=True)),
            }
        )
        if self.driver is not self.expert:
            action = self.driver(state, errors)
        return action + next(self.noise).to(action)


def _is_on_path(
    path: ReferencePath, most: float, arc_length: Tensor, cross_track: Tensor
) -> Tensor:
    """Tell which cars have not lost the path nor come to its end."""
    has_way_left = arc_length < (torch.inf if path.closed else path.length)
    return has_way_left & (cross_track.abs() <= most)


def _collect(rows: list[DemonstrationTable], trajectory: Trajectory, is_noisy: Tensor) -> Recording:
    """Join the steps to a table, each episode up to where its car leaves the path."""

    def stacked(name: str) -> Tensor:  # (B, T)
        return torch.stack([row[name] for row in rows], dim=1).to("cpu", torch.float64)

    path, most = trajectory.path, lost_distance(trajectory.vehicle)
    is_on_path = _is_on_path(path, most, stacked("arc_length_m"), stacked("cross_track_m"))
    is_kept = is_on_path.cummin(dim=1).values
    car, step = (torch.arange(n, dtype=torch.float64) for n in is_kept.shape)
    table = {
        "episode": car[:, None].expand_as(is_kept)[is_kept],
        "t_s": (step * trajectory.dt).expand_as(is_kept)[is_kept],
    }
    # One at a time, and not all of them twice.
    table |= {name: stacked(name)[is_kept] for name in rows[0]}
    place = path.unshifted(torch.stack([table["x_m"], table["y_m"]], dim=-1))
    table |= {"x_m": place[:, 0], "y_m": place[:, 1]}
    return Recording(
        table=table,
        trajectory=trajectory,
        is_noisy=is_noisy.to(trajectory.speed.device),
        is_lost=(trajectory.cross_track_error.abs() > most).any(0),
    )
