"""Ways to get a gradient through Genesis that people try, run to see what becomes of them."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from diffcar.base.table import Column, Table
from diffcar.controllers.errors import compute_error_state
from diffcar.gradients.capabilities import Capability, outcome_column
from diffcar.gradients.finite_differences import check_directions
from diffcar.gradients.slopes import worst_of
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import repair
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import Placement

__all__ = ["Attempt", "Tried", "attempts_table", "list_attempts", "run_attempt", "try_attempts"]

_NUM_STEPS = 3
_SPEED = 1.5
_STEP_SIZES = (1e-2, 1e-3, 1e-4, 1e-5)
# Of the motors that they suit [N m].
_TORQUE = 0.55
_NUM_DIRECTIONS = 2
_REPORTED = {"failed": "failed", "error": "error", "-": "not tried"}

_Read = Callable[[GenesisCar], Tensor]
_Write = Callable[[GenesisCar, Tensor], object]
_Run = Callable[[GenesisCar, Tensor], Tensor]


@dataclass(frozen=True)
class Attempt:
    """One way from an input to something read from the simulator."""

    name: str
    """What is written and how the result is read."""
    kind: Literal["read", "write"]
    """Whether it is about a way to write an input or to read a result."""
    start: _Read
    """Returns the input's value."""
    run: _Run
    """Turns the input into a scalar through the simulator."""
    report: str = "-"
    """What those found who first reported on it: `failed`, `error`, or `-` where they did not."""
    advice: str = "-"
    """What to do where it does not work."""
    repairs: bool | None = None
    """Whether it is there to show a repair, or to show Genesis as it comes; None where neither."""


class Tried(NamedTuple):
    """An attempt and what became of it."""

    attempt: Attempt
    """What was tried."""
    found: Capability
    """What became of it."""

    @property
    def advice(self) -> str:
        """Return what to do where it does not work; `-` where it does."""
        return "-" if self.found.outcome in ("right", "arrives") else self.attempt.advice


def attempts_table(tried: Sequence[Tried]) -> Table[Tried]:
    """Return what became of each way to get a gradient, the exact errors among it."""

    def told(own: Tried) -> str:
        return own.found.detail + ("" if own.advice == "-" else f"\n-> {own.advice}")

    return Table(
        "ways to get a gradient, tried just now (controls written under torch.no_grad), beside "
        "what the first report on it found",
        (
            Column("way", lambda own: own.attempt.name, key="name"),
            Column(
                "report",
                lambda own: own.attempt.report,
                key="report",
                words=lambda own: _REPORTED[own.attempt.report],
            ),
            outcome_column("today", lambda own: own.found.outcome, key="outcome"),
            Column("relative\nerror", lambda own: own.found.figure, key="relative_error"),
            Column(
                "error, and what to do instead",
                lambda own: own.found.detail or None,
                key="error",
                words=told,
            ),
        ),
        tried,
    )


def try_attempts(
    car: GenesisCar, path: ReferencePath, *, tolerance: float, with_repairs: bool = True
) -> Iterator[Tried]:
    """Run the attempts on a scene that is repaired once those are over that go without."""
    for own in list_attempts(path):
        if with_repairs and own.repairs is not False:
            repair(car)
        if with_repairs or not own.repairs:
            yield Tried(own, run_attempt(car, own, tolerance=tolerance))


def list_attempts(path: ReferencePath) -> list[Attempt]:
    """Return the attempts, those without repairs first.

    Args:
        path: Reference of the attempts that compute an error state.
    """
    state = "read rigid_solver.get_state()"
    adjoint = "actuation pd: diffcar hands out the adjoint that Genesis computes"
    hand_over = "hand over the torch tensor itself"

    def reading(name: str, read: _Read, report: str = "-", advice: str = "-") -> Attempt:
        return Attempt(name, "read", _torque, _driving(_write_torques, read), report, advice)

    def steering(name: str, *told: Any) -> Attempt:  # noqa: ANN401
        drive = _driving(lambda car, own: car.entity.control_dofs_position(own, car.steering_dofs))
        return Attempt(name, "write", _steering, drive, "failed", *told)

    def spinning(name: str, *told: Any) -> Attempt:  # noqa: ANN401
        drive = _driving(lambda car, own: car.entity.control_dofs_velocity(own, car.driven_dofs))
        return Attempt(name, "write", _wheel_speeds, drive, "-", *told)

    def placing(name: str, start: _Read, place: _Write) -> Attempt:
        def run(car: GenesisCar, leaf: Tensor) -> Tensor:
            place(car, leaf)
            return _step_and_weigh(car, _qpos)

        return Attempt(name, "write", start, run)

    def error_of(read: _Read) -> _Read:
        def cross_track_error(car: GenesisCar) -> Tensor:
            # Off the graph, so that a gradient can only be that of what is read.
            state = car.describe(read(car), car.read().dofs_velocity.detach())
            return compute_error_state(path, state).cross_track_error

        return cross_track_error

    force = _driving(_write_torques, lambda car: _solver(car).get_state().dofs_vel)
    from_torch = _driving(_write_from_torch)
    return [
        steering("control_dofs_position, Genesis as it comes", adjoint, False),
        spinning("control_dofs_velocity, Genesis as it comes", adjoint, False),
        reading("requires_grad=True and get_qpos()", _plain_qpos, "failed", state),
        Attempt("gs.from_torch(tensor)", "write", _torque, from_torch, "failed", hand_over),
        reading("rigid_solver.get_state().qpos", _qpos, "error"),
        steering("one hand-over, control_dofs_position, diffcar's adjoint", "-", True),
        spinning("control_dofs_velocity, diffcar's adjoint", "-", True),
        reading("error state in torch from get_qpos()", error_of(_plain_qpos), "failed", state),
        reading("error state in torch from get_state()", error_of(_qpos)),
        reading("rigid_solver.get_qvel()", lambda car: _solver(car).get_qvel(), "error", state),
        reading(
            "get_dofs_velocity()", lambda car: _solver(car).get_dofs_velocity(), "failed", state
        ),
        Attempt("control_dofs_force", "write", _torque, force),
        reading("entity.get_state().pos", lambda car: car.entity.get_state().pos),
        reading("get_state().links_pos", lambda car: _solver(car).get_state().links_pos),
        placing("set_pos", lambda car: 0 * _pose(car)[:, :3], _place_position),
        placing("set_quat (by yaw)", lambda car: _pose(car)[:, 3:], _place_yaw),
        placing("set_dofs_velocity", _rolling, lambda car, own: car.place(_pose(car), own)),
    ]


def _start(car: GenesisCar) -> Placement:
    """Return cars that roll straight ahead."""
    ones = torch.ones(car.num_envs, dtype=car.dtype, device=car.device)
    return Placement(torch.stack([ones, 0.1 * ones], -1), 0.2 * ones, _SPEED * ones, 0.0 * ones)


def _pose(car: GenesisCar) -> Tensor:
    """Return x, y, z and yaw of the start, shape (B, 4)."""
    start = _start(car)
    height = torch.full_like(start.yaw, car.rest_height)
    return torch.cat([start.position, height[:, None], start.yaw[:, None]], -1)


def _rolling(car: GenesisCar) -> Tensor:
    """Return the generalised velocities of the start."""
    car.reset(_start(car))
    return car.read().dofs_velocity.detach().clone()


def _qpos(car: GenesisCar) -> Tensor:
    return _solver(car).get_state().qpos


def _driving(write: _Write, read: _Read = _qpos) -> _Run:
    """Return what starts, writes the input, steps, and reduces what is read to a scalar."""

    def drive(car: GenesisCar, leaf: Tensor) -> Tensor:
        car.reset(_start(car))
        with torch.no_grad():
            write(car, leaf)
        return _step_and_weigh(car, read)

    return drive


def _step_and_weigh(car: GenesisCar, read: _Read) -> Tensor:
    """Step and return a fixed random projection of what is read."""
    for _ in range(_NUM_STEPS):
        car.step()
    result = read(car)
    weights = torch.randn(result.shape[1:], generator=torch.Generator().manual_seed(0))
    return (result * weights.to(result)).sum() / car.num_envs


def _place_position(car: GenesisCar, leaf: Tensor) -> None:
    """Start from a position: x and y in metres, and the height, which is stiff, in millimetres."""
    scale = torch.tensor([1.0, 1.0, 1e-3, 0.0]).to(leaf)
    change = torch.cat([leaf, torch.zeros_like(leaf[:, :1])], -1)
    car.place(_pose(car) + scale * change, _rolling(car))


def _place_yaw(car: GenesisCar, leaf: Tensor) -> None:
    """Start from a heading."""
    car.place(torch.cat([_pose(car)[:, :3], leaf], -1), _rolling(car))


def _steering(car: GenesisCar) -> Tensor:
    """Return two steering targets [rad]."""
    return torch.full((car.num_envs, 2), 0.1, dtype=car.dtype, device=car.device)


def _wheel_speeds(car: GenesisCar) -> Tensor:
    """Return a target for each driven wheel [rad/s]."""
    target = (_SPEED + 0.1) / car.vehicle.wheel_radius
    return car.zeros(car.num_envs, len(car.driven_dofs)) + target


def _torque(car: GenesisCar) -> Tensor:
    """Return a torque for each driven wheel [N m]."""
    return torch.full_like(_wheel_speeds(car), 0.2 * car.vehicle.max_drive_torque)


def _write_torques(car: GenesisCar, leaf: Tensor) -> None:
    car.entity.control_dofs_force(leaf, car.driven_dofs)


def _write_from_torch(car: GenesisCar, leaf: Tensor) -> None:
    # Of the engine that runs the scene; where it exists, it hands over what requires a gradient.
    with torch.enable_grad():
        handed_over = sys.modules["genesis"].from_torch(leaf)
    _write_torques(car, handed_over)


def _solver(car: GenesisCar) -> Any:  # noqa: ANN401
    """Return Genesis's rigid solver."""
    return car.scene.sim.rigid_solver


def _plain_qpos(car: GenesisCar) -> Tensor:
    return _solver(car).get_qpos()


def run_attempt(car: GenesisCar, attempt: Attempt, *, tolerance: float) -> Capability:
    """Run one attempt on a differentiable scene; the exact error is the detail, if one was raised.

    Args:
        car: The scene; left rewound. Whether repairs are in place is up to the caller.
        attempt: What to try.
        tolerance: Largest relative error of a gradient that is called right.
    """
    # Whatever an attempt raises is its result: that is what it is run for.
    try:
        outcome, figure, detail = _outcome_of(car, attempt, tolerance)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        outcome, figure, detail = "error", None, told.partition("\n")[0]
    return Capability("rigid", attempt.kind, attempt.name, outcome, figure, detail)


def _outcome_of(
    car: GenesisCar, attempt: Attempt, tolerance: float
) -> tuple[str, float | None, str]:
    """Return whether a gradient comes and is right, its worst error, and what is missing."""
    leaf = attempt.start(car).detach().clone().requires_grad_()
    value = attempt.run(car, leaf)
    if not value.requires_grad:
        return "no gradient", None, "requires_grad is False after the step"
    value.backward()
    if leaf.grad is None:
        return "no gradient", None, "backward leaves the input's grad None"
    if leaf.dtype == torch.float32:
        return "arrives", None, "float32 differences over three steps are rounding: not judged"
    # A newton metre that is much for a small motor is nothing for a large one.
    unit = car.vehicle.max_drive_torque / _TORQUE if attempt.start is _torque else 1.0
    checks = check_directions(
        lambda: attempt.run(car, leaf),
        [leaf],
        num_directions=_NUM_DIRECTIONS,
        step_sizes=[unit * step for step in _STEP_SIZES],
        gradients=[leaf.grad.clone()],
    )
    outcome = "right" if all(check.agrees(tolerance) for check in checks) else "wrong"
    return outcome, worst_of([check.relative_error for check in checks]), ""
