"""Ways to get a gradient through Genesis that people try, run to see what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diffcar.controllers.errors import compute_error_state
from diffcar.gradients.finite_differences import check_directions
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState, Placement

__all__ = ["Attempt", "AttemptResult", "list_attempts", "run_attempt"]

_NUM_STEPS = 3
_SPEED = 1.5

Read = Callable[[GenesisCar], Tensor]
Write = Callable[[GenesisCar, Tensor], None]


@dataclass(frozen=True)
class Attempt:
    """One way from an input to something read from the simulator."""

    name: str
    """What is written and how the result is read."""
    report: str
    """What those found who first reported on it: `failed`, `error`, or `-` where they did not."""
    advice: str
    """What to do where it does not work."""
    start: Callable[[GenesisCar], Tensor]
    """Returns the input's value."""
    run: Callable[[GenesisCar, Tensor], Tensor]
    """Turns the input into a scalar through the simulator."""
    with_repairs: bool = True
    """Whether diffcar's repairs are in place while it runs."""
    needs_repairs: bool = False
    """Whether it is there to show a repair, and says nothing without."""

    @property
    def kind(self) -> Literal["read", "write"]:
        """Return whether it is about a way to write an input or to read a result."""
        return "write" if self.name.startswith(("control", "set_", "gs.", "one hand")) else "read"


def list_attempts(path: ReferencePath) -> list[Attempt]:
    """Return the attempts, those without repairs first.

    Args:
        path: Reference of the attempts that compute an error state.
    """
    read_state = "read rigid_solver.get_state()"
    use_adjoint = "actuation pd: diffcar hands out the adjoint that Genesis computes"

    def errors_of(read: Read) -> Read:
        return lambda car: compute_error_state(path, _car_state(car, read)).cross_track_error

    def torques(read: Read) -> Callable[[GenesisCar, Tensor], Tensor]:
        return lambda car, leaf: _drive(car, leaf, _write_torques, read)

    return [
        Attempt(
            "control_dofs_position, Genesis as it comes",
            "failed",
            use_adjoint,
            _steering,
            lambda car, leaf: _drive(car, leaf, _write_steering, _qpos),
            with_repairs=False,
        ),
        Attempt(
            "control_dofs_velocity, Genesis as it comes",
            "-",
            use_adjoint,
            _wheel_speeds,
            lambda car, leaf: _drive(car, leaf, _write_wheel_speeds, _qpos),
            with_repairs=False,
        ),
        Attempt(
            "requires_grad=True and get_qpos()", "failed", read_state, _torque, torques(_plain_qpos)
        ),
        Attempt(
            "gs.from_torch(tensor)",
            "failed",
            "hand over the torch tensor itself",
            _torque,
            lambda car, leaf: _drive(car, _from_torch(leaf), _write_torques, _qpos),
        ),
        Attempt("rigid_solver.get_state().qpos", "error", "-", _torque, torques(_qpos)),
        Attempt(
            "one hand-over, control_dofs_position, diffcar's adjoint",
            "failed",
            "-",
            _steering,
            lambda car, leaf: _drive(car, leaf, _write_steering, _qpos),
            needs_repairs=True,
        ),
        Attempt(
            "control_dofs_velocity, diffcar's adjoint",
            "-",
            "-",
            _wheel_speeds,
            lambda car, leaf: _drive(car, leaf, _write_wheel_speeds, _qpos),
            needs_repairs=True,
        ),
        Attempt(
            "error state in torch from get_qpos()",
            "failed",
            read_state,
            _torque,
            torques(errors_of(_plain_qpos)),
        ),
        Attempt(
            "error state in torch from get_state()", "-", "-", _torque, torques(errors_of(_qpos))
        ),
        Attempt("rigid_solver.get_qvel()", "error", read_state, _torque, torques(_qvel)),
        Attempt("get_dofs_velocity()", "failed", read_state, _torque, torques(_plain_velocity)),
        Attempt("control_dofs_force", "-", "-", _torque, torques(_velocity)),
        Attempt("entity.get_state().pos", "-", "-", _torque, torques(_entity_position)),
        Attempt("get_state().links_pos", "-", "-", _torque, torques(_link_positions)),
        Attempt("set_pos", "-", "-", lambda car: 0 * _pose(car)[:, :3], _place_position),
        Attempt("set_quat (by yaw)", "-", "-", lambda car: _pose(car)[:, 3:], _place_yaw),
        Attempt("set_dofs_velocity", "-", "-", _rolling, _place_velocity),
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


def _drive(car: GenesisCar, leaf: Tensor, write: Write, read: Read) -> Tensor:
    """Start, write the input, step, and reduce what is read to a scalar."""
    car.reset(_start(car))
    with torch.no_grad():
        write(car, leaf)
    return _step_and_weigh(car, read)


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


def _from_torch(leaf: Tensor) -> Tensor:
    import genesis as gs

    return gs.from_torch(leaf)


def _qpos(car: GenesisCar) -> Tensor:
    return car.scene.sim.rigid_solver.get_state().qpos


def _velocity(car: GenesisCar) -> Tensor:
    return car.scene.sim.rigid_solver.get_state().dofs_vel


def _link_positions(car: GenesisCar) -> Tensor:
    return car.scene.sim.rigid_solver.get_state().links_pos


def _entity_position(car: GenesisCar) -> Tensor:
    return car.entity.get_state().pos


def _plain_qpos(car: GenesisCar) -> Tensor:
    return car.scene.sim.rigid_solver.get_qpos()


def _plain_velocity(car: GenesisCar) -> Tensor:
    return car.scene.sim.rigid_solver.get_dofs_velocity()


def _qvel(car: GenesisCar) -> Tensor:
    return car.scene.sim.rigid_solver.get_qvel()


def _car_state(car: GenesisCar, read: Read) -> CarState:
    """Return the car's state from one way to read it."""
    return car.describe(read(car), car.read().dofs_velocity)


_ATTEMPT_STEP_SIZES = (1e-2, 1e-3, 1e-4, 1e-5)
_ATTEMPT_DIRECTIONS = 2


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
            num_directions=_ATTEMPT_DIRECTIONS,
            step_sizes=_ATTEMPT_STEP_SIZES,
            gradients=[leaf.grad.clone()],
        )
    except Exception as error:
        return result("error", error)
    worst = max(checks, key=lambda check: check.relative_error)
    outcome = "right" if all(check.agrees(tolerance) for check in checks) else "wrong"
    return result(outcome, None, worst.relative_error)
