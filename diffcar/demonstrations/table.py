"""Demonstrations as a table with a column a quantity, and as what a network learns from."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from diffcar.base.errors import DemonstrationError
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState, compute_error_state
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.tracking_mlp import output_for
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = [
    "ACTION_COLUMNS",
    "STATE",
    "DemonstrationTable",
    "Demonstrations",
    "locate",
    "nearest_branch",
    "observation_columns",
    "to_demonstrations",
]

DemonstrationTable = dict[str, Tensor]
"""Columns by name, float64 on the CPU, shape (N,) each; a row is a state and what to do in it."""

STATE: dict[str, Callable[[CarState], Tensor]] = {
    "x_m": lambda state: state.position[:, 0],
    "y_m": lambda state: state.position[:, 1],
    "yaw_rad": lambda state: state.yaw,
    "speed_mps": lambda state: state.speed,
    "lateral_velocity_mps": lambda state: state.lateral_velocity,
    "yaw_rate_radps": lambda state: state.yaw_rate,
    "steering_angle_rad": lambda state: state.steering_angles.mean(-1),
}
"""What an observation can be derived from, given the path, and how it is got, shape (B,)."""

ACTION_COLUMNS = ("steering_command_rad", "speed_command_mps")
"""What the expert commands in that state."""

# How many metres off the path weigh as much as a heading that is one radian off.
_METRES_PER_RADIAN = 0.5


@dataclass(frozen=True)
class Demonstrations:
    """Pairs of what a network sees and what it should put out, float64 on the CPU."""

    observation: Tensor
    """As `PathObserver` makes them, shape (N, size)."""
    output: Tensor
    """What the network should put out, in [-1, 1], shape (N, 2)."""
    episode: Tensor
    """Which drive each row belongs to, int64 from 0, shape (N,)."""
    num_skipped: int = 0
    """Incomplete rows that were left out."""
    notes: tuple[str, ...] = ()
    """What was assumed in reading them."""
    files: tuple[tuple[str, str], ...] = ()
    """What they were read from: name and digest of each file."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.output)

    @staticmethod
    def concatenate(parts: Sequence["Demonstrations"]) -> "Demonstrations":
        """Return all rows of at least one set of demonstrations; their episodes stay apart."""
        episodes, first = [], 0
        for part in parts:
            episodes.append(part.episode + first)
            first = int(episodes[-1].max()) + 1 if len(part) else first
        return Demonstrations(
            observation=torch.cat([part.observation for part in parts]),
            output=torch.cat([part.output for part in parts]),
            episode=torch.cat(episodes),
            num_skipped=sum(part.num_skipped for part in parts),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            files=tuple(file for part in parts for file in part.files),
        )


def observation_columns(config: ControllerConfig) -> tuple[str, ...]:
    """Return the names of the columns that hold an observation."""
    return tuple(f"obs_{name}" for name in PathObserver.names(config))


def to_demonstrations(
    table: DemonstrationTable,
    *,
    controller_config: ControllerConfig,
    vehicle: Vehicle,
    path: ReferencePath | None = None,
) -> Demonstrations:
    """Turn a table into what a network learns from.

    Args:
        table: With the columns of the action and `speed_mps`, and either those of the observation
            or those of the state. Without an `episode` it is all one; an `arc_length_m` tells
            branches of the path apart.
        path: What was driven, to derive observations that the table does not hold.

    Raises:
        DemonstrationError: If observations are lacking and there is no path to derive them from.
    """
    names = observation_columns(controller_config)
    if not (missing := [name for name in names if name not in table]):
        observation = _stack(table, names)
    elif path is not None:
        state, errors = locate(table, path)
        observation = PathObserver(controller_config).observe(state, errors)
        observation = observation.to("cpu", torch.float64)
    else:
        raise DemonstrationError(
            f"of the {len(names)} columns that the network observes {len(missing)} are missing, "
            f"such as {missing[0]!r}, and without the path they cannot be derived",
            hint="name the path that was driven with --path",
        )
    action = _stack(table, ACTION_COLUMNS)
    episode = torch.unique(table.get("episode", torch.zeros(len(action))), return_inverse=True)[1]
    output = output_for(action, table["speed_mps"], vehicle, controller_config)
    return Demonstrations(observation, output, episode)


def _stack(table: DemonstrationTable, names: Iterable[str]) -> Tensor:
    """Return some columns side by side."""
    return torch.stack([table[name] for name in names], dim=-1)


def locate(table: DemonstrationTable, path: ReferencePath) -> tuple[CarState, ErrorState]:
    """Return the cars of a table, and where they are relative to the path."""
    state = _states(table, path)
    known = table.get("arc_length_m")
    hint = nearest_branch(table, path) if known is None else known
    return state, compute_error_state(path, state, hint.to(state.yaw))


def _states(table: DemonstrationTable, path: ReferencePath) -> CarState:
    """Return the cars of a table as the path has its numbers; what it lacks is not known."""
    values = _stack(table, STATE)
    values[:, :2] -= values.new_tensor(path.origin)  # before 32 bits are too few
    values = values.to(path.device, path.dtype)
    x, y, yaw, speed, lateral_velocity, yaw_rate, steering_angle = values.unbind(-1)
    return CarState(
        position=torch.stack([x, y], dim=-1),
        yaw=yaw,
        speed=speed,
        lateral_velocity=lateral_velocity,
        yaw_rate=yaw_rate,
        steering_angles=torch.stack([steering_angle, steering_angle], dim=-1),
        wheel_speeds=values.new_full((len(values), 2), torch.nan),
        qpos=values.new_full((len(values), 13), torch.nan),
        dofs_velocity=values.new_full((len(values), 12), torch.nan),
    )


def nearest_branch(table: DemonstrationTable, path: ReferencePath) -> Tensor:
    """Return the arc length [m] where the path is nearest and points where the car does, (N,).

    The heading tells the branches of a path that crosses itself apart, in rows of any order.
    """
    state = _states(table, path)
    points = torch.as_tensor(path.samples).to(state.yaw)
    road, cars = _pose(points[:, :2], points[:, 2]), _pose(state.position, state.yaw)
    _, nearest = cKDTree(road.cpu().numpy()).query(cars.cpu().numpy())
    # Of what is endlessly far away there is no nearest point.
    return torch.from_numpy(path.grid[nearest.clip(max=len(path.grid) - 1)])


def _pose(position: Tensor, heading: Tensor) -> Tensor:
    """Return points, shape (B, 4), as far apart as positions and headings together are."""
    direction = torch.stack([torch.cos(heading), torch.sin(heading)], dim=-1)
    return torch.cat([position, _METRES_PER_RADIAN * direction], dim=-1)
