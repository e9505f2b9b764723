"""Ways to get a gradient through Genesis that people try, run to see what becomes of them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from diffcar.controllers.errors import compute_error_state
from diffcar.gradients.finite_differences import check_directions
from diffcar.gradients.slopes import worst_of
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import Placement

__all__ = ["Attempt", "AttemptResult", "list_attempts", "run_attempt"]

_NUM_STEPS = 3
_SPEED = 1.5
_STEP_SIZES = (1e-2, 1e-3, 1e-4, 1e-5)
_NUM_DIRECTIONS = 2

Read = Callable[[GenesisCar], Tensor]
Write = Callable[[GenesisCar, Tensor], None]


@dataclass(frozen=True)
class Attempt:
    """One way from an input to something read from the simulator."""

    name: str
    """What is written and how the result is read."""
    kind: Literal["read", "write"]
    """Whether it is about a way to write an input or to read a result."""
    start: Callable[[GenesisCar], Tensor]
    """Returns the input's value."""
    run: Callable[[GenesisCar, Tensor], Tensor]
    """Turns the input into a scalar through the simulator."""
    report: str = "-"
    """What those found who first reported on it: `failed`, `error`, or `-` where they did not."""
    advice: str = "-"
    """What to do where it does not work."""
    with_repairs: bool = True
    """Whether diffcar's repairs are in place while it runs."""
    needs_repairs: bool = False
    """Whether it is there to show a repair, and says nothing without."""


@dataclass(frozen=True)
class AttemptResult:
    """What became of an attempt."""

    name: str
    """What was tried."""
    report: str
    """What the first report on it found."""
    outcome: str
    """`right`, `wrong`, `arrives` (in float32, where it is not judged), `no gradient` or
    `error`."""
    error: str | None
    """The exact error, if one was raised."""
    relative_error: float | None
    """Of the worst of a few directions, where a gradient came."""
    advice: str
    """What to do where it does not work."""


def list_attempts(path: ReferencePath) -> list[Attempt]:
    """Return the attempts, those without repairs first.

    Args:
        path: Reference of the attempts that compute an error state.
    """
    state = "read rigid_solver.get_state()"
    adjoint = "actuation pd: diffcar hands out the adjoint that Genesis computes"
    hand_over = "hand over the torch tensor itself"

    def reading(name: str, read: Read, report: str = "-", advice: str = "-") -> Attempt:
        return Attempt(name, "read", _torque, _driving(_write_torques, read), report, advice)

    def writing(name: str, start: Read, write: Write, report: str, advice: str) -> Attempt:
        return Attempt(name, "write", start, _driving(write, _qpos), report, advice)

    def error_of(read: Read) -> Read:
        def cross_track_error(car: GenesisCar) -> Tensor:
            state = car.describe(read(car), car.read().dofs_velocity)
            return compute_error_state(path, state).cross_track_error

        return cross_track_error

    as_it_comes = [
        writing("control_dofs_position", _steering, _write_steering, "failed", adjoint),
        writing("control_dofs_velocity", _wheel_speeds, _write_wheel_speeds, "-", adjoint),
    ]
    repaired = [
        writing("one hand-over, control_dofs_position", _steering, _write_steering, "failed", "-"),
        writing("control_dofs_velocity", _wheel_speeds, _write_wheel_speeds, "-", "-"),
    ]
    return [
        *(
            replace(own, name=f"{own.name}, Genesis as it comes", with_repairs=False)
            for own in as_it_comes
        ),
        reading("requires_grad=True and get_qpos()", _plain_qpos, "failed", state),
        writing("gs.from_torch(tensor)", _torque, _write_from_torch, "failed", hand_over),
        reading("rigid_solver.get_state().qpos", _qpos, "error"),
        *(
            replace(own, name=f"{own.name}, diffcar's adjoint", needs_repairs=True)
            for own in repaired
        ),
        reading("error state in torch from get_qpos()", error_of(_plain_qpos), "failed", state),
        reading("error state in torch from get_state()", error_of(_qpos)),
        reading("rigid_solver.get_qvel()", lambda car: _solver(car).get_qvel(), "error", state),
        reading("get_dofs_velocity()", _plain_velocity, "failed", state),
        Attempt("control_dofs_force", "write", _torque, _driving(_write_torques, _velocity)),
        reading("entity.get_state().pos", lambda car: car.entity.get_state().pos),
        reading("get_state().links_pos", lambda car: _solver(car).get_state().links_pos),
        Attempt("set_pos", "write", lambda car: 0 * _pose(car)[:, :3], _place_position),
        Attempt("set_quat (by yaw)", "write", lambda car: _pose(car)[:, 3:], _place_yaw),
        Attempt("set_dofs_velocity", "write", _rolling, _place_velocity),
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


def _driving(write: Write, read: Read) -> Callable[[GenesisCar, Tensor], Tensor]:
    """Return what starts, writes the input, steps, and reduces what is read to a scalar."""

    def drive(car: GenesisCar, leaf: Tensor) -> Tensor:
        car.reset(_start(car))
        with torch.no_grad():
            write(car, leaf)
        return _step_and_weigh(car, read)

    return drive


def _step_and_weigh(car: GenesisCar, read: Read) -> Tensor:
    """Step and return a fixed random projection of what is read."""
    for _ in range(_NUM_STEPS):
        car.step()
    result = read(car)
    weights = torch.randn(result.shape[1:], generator=torch.Generator().manual_seed(0))
    return (result * weights.to(result)).sum() / car.num_envs


def _place_position(car: GenesisCar, leaf: Tensor) -> Tensor:
    """Start from a position: x and y in metres, and the height, which is stiff, in millimetres."""
    scale = torch.tensor([1.0, 1.0, 1e-3, 0.0]).to(leaf)
    change = torch.cat([leaf, torch.zeros_like(leaf[:, :1])], -1)
    car.place(_pose(car) + scale * change, _rolling(car))
    return _step_and_weigh(car, _qpos)


def _place_yaw(car: GenesisCar, leaf: Tensor) -> Tensor:
    """Start from a heading."""
    car.place(torch.cat([_pose(car)[:, :3], leaf], -1), _rolling(car))
    return _step_and_weigh(car, _qpos)


def _place_velocity(car: GenesisCar, leaf: Tensor) -> Tensor:
    """Start from generalised velocities."""
    car.place(_pose(car), leaf)
    return _step_and_weigh(car, _qpos)


def _steering(car: GenesisCar) -> Tensor:
    """Return two steering targets [rad]."""
    return torch.full((car.num_envs, 2), 0.1, dtype=car.dtype, device=car.device)


def _wheel_speeds(car: GenesisCar) -> Tensor:
    """Return two wheel speed targets [rad/s]."""
    return torch.full_like(_steering(car), (_SPEED + 0.1) / car.vehicle.wheel_radius)


def _torque(car: GenesisCar) -> Tensor:
    """Return torques of the two driven wheels [N m]."""
    return torch.full_like(_steering(car), 0.2 * car.vehicle.max_drive_torque)


def _write_steering(car: GenesisCar, leaf: Tensor) -> None:
    car.entity.control_dofs_position(leaf, car.steering_dofs)


def _write_wheel_speeds(car: GenesisCar, leaf: Tensor) -> None:
    car.entity.control_dofs_velocity(leaf, car.driven_dofs)


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


def _qpos(car: GenesisCar) -> Tensor:
    return _solver(car).get_state().qpos


def _velocity(car: GenesisCar) -> Tensor:
    return _solver(car).get_state().dofs_vel


def _plain_qpos(car: GenesisCar) -> Tensor:
    return _solver(car).get_qpos()


def _plain_velocity(car: GenesisCar) -> Tensor:
    return _solver(car).get_dofs_velocity()


def run_attempt(car: GenesisCar, attempt: Attempt, *, tolerance: float) -> AttemptResult:
    """Run one attempt on a differentiable scene.

    Args:
        car: The scene; left rewound.
        attempt: What to try; whether repairs are in place is up to the caller.
        tolerance: Largest relative error of a gradient that is called right.
    """

    def result(
        outcome: str, error: Exception | str | None = None, relative_error: float | None = None
    ) -> AttemptResult:
        text = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else error
        return AttemptResult(
            name=attempt.name,
            report=attempt.report,
            outcome=outcome,
            error=text and text.partition("\n")[0],
            relative_error=relative_error,
            advice="-" if outcome in ("right", "arrives") else attempt.advice,
        )

    # Whatever an attempt raises is its result: that is what it is run for.
    try:
        leaf = attempt.start(car).detach().clone().requires_grad_()
        value = attempt.run(car, leaf)
    except Exception as error:
        return result("error", error)
    if not value.requires_grad:
        return result("no gradient", "requires_grad is False after the step")
    try:
        value.backward()
    except Exception as error:
        return result("error", error)
    if leaf.grad is None:
        return result("no gradient", "backward leaves the input's grad None")
    if leaf.dtype == torch.float32:
        return result("arrives", "float32 differences over three steps are rounding: not judged")
    try:
        checks = check_directions(
            lambda: attempt.run(car, leaf),
            [leaf],
            num_directions=_NUM_DIRECTIONS,
            step_sizes=_STEP_SIZES,
            gradients=[leaf.grad.clone()],
        )
    except Exception as error:
        return result("error", error)
    outcome = "right" if all(check.agrees(tolerance) for check in checks) else "wrong"
    return result(outcome, None, worst_of([check.relative_error for check in checks]))
