"""Gradients through the physics agree with finite differences, for both actuations."""

import math

import pytest
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState, starts_on_path
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.gradients.finite_differences import check_directions
from diffcar.losses import TrackingLoss
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking.rollout import rollout

pytestmark = pytest.mark.genesis

TOLERANCE = 1e-6
SMALLEST_USEFUL_SLOPE = 1e-7
ACTUATIONS = ("torque", "pd")
# Smoother than training's: its bend at 3 mm would cost the differences digits, not the gradient.
WEIGHTS = TrackingLoss(cross_track=100.0, cross_track_scale=0.02, effort=0.01)


class Recorded:
    """Plays back a table of actions, shape (T, B, 2)."""

    name = "recorded"

    def __init__(self, actions: Tensor) -> None:
        self.actions = actions
        self.step = 0

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        action = self.actions[self.step]
        self.step += 1
        return action


def total_loss(car: GenesisCar, controller: object, path: ReferencePath, num_steps: int) -> Tensor:
    """Roll out from fixed starts beside the path and return the loss."""
    arc_length = torch.linspace(1.0, 12.0, car.num_envs, dtype=torch.float64)
    offsets = torch.linspace(-0.05, 0.05, car.num_envs, dtype=torch.float64)
    start = starts_on_path(path, arc_length, cross_track=offsets, heading=offsets)
    return WEIGHTS.costs(rollout(car, controller, path, start, num_steps)).total


def recorded_actions(car: GenesisCar, num_steps: int) -> Tensor:
    """Return gentle steering and a speed near the reference, different for each car and step."""
    time = torch.arange(num_steps, dtype=torch.float64)[:, None] * car.dt
    phase = torch.arange(car.num_envs, dtype=torch.float64)
    steering = 0.15 * torch.sin(3 * time + phase)
    speed = 2.2 + 0.2 * torch.cos(2 * time + phase)
    return torch.stack([steering, speed], dim=-1)


def network(car: GenesisCar) -> TrackingMLP:
    """Return a small untrained controller in float64."""
    return build_tracking_mlp(
        ControllerConfig(hidden_sizes=[16, 16]), car.vehicle, dtype=torch.float64, seed=3
    )


@pytest.fixture(params=ACTUATIONS)
def car(request: pytest.FixtureRequest, differentiable_car: GenesisCar) -> GenesisCar:
    """The differentiable cars under each actuation in turn."""
    differentiable_car.actuation = request.param
    return differentiable_car


@pytest.mark.parametrize("num_steps", [1, 10, 100])
def test_gradient_by_actions_is_right(
    car: GenesisCar, figure_eight: ReferencePath, num_steps: int
) -> None:
    """Rolling contact at every step, one to a hundred steps, random directions in action space."""
    actions = recorded_actions(car, num_steps).requires_grad_()
    checks = check_directions(
        lambda: total_loss(car, Recorded(actions), figure_eight, num_steps),
        [actions],
        num_directions=6,
    )
    worst = max(checks, key=lambda check: check.relative_error)
    assert worst.relative_error <= TOLERANCE, worst
    assert min(abs(check.numeric_gradient) for check in checks) > SMALLEST_USEFUL_SLOPE
    assert not any(check.is_kink for check in checks)


@pytest.mark.parametrize("num_steps", [1, 100])
def test_gradient_by_network_weights_is_right(
    car: GenesisCar, figure_eight: ReferencePath, num_steps: int
) -> None:
    """The closed loop, policy included: directions over all weights and over each tensor alone."""
    controller = network(car)
    parameters = list(controller.network.parameters())
    checks = check_directions(
        lambda: total_loss(car, controller, figure_eight, num_steps),
        parameters,
        num_directions=3,
        # In one step weights turn the loss by so little that short differences are its rounding.
        step_sizes=(1e-2, 5e-3, 2e-3, 1e-3) if num_steps == 1 else (1e-2, 2e-3, 4e-4, 8e-5),
    )
    worst = max(checks, key=lambda check: check.relative_error)
    assert worst.relative_error <= TOLERANCE, worst
    assert min(abs(check.numeric_gradient) for check in checks) > SMALLEST_USEFUL_SLOPE


def test_remainder_falls_at_rate_two(car: GenesisCar, figure_eight: ReferencePath) -> None:
    """The Taylor remainder of a 20-step rollout is of second order: half the step, a quarter."""
    controller = network(car)
    weights = list(controller.network.parameters())
    loss = total_loss(car, controller, figure_eight, 20)
    gradients = torch.autograd.grad(loss, weights)
    generator = torch.Generator().manual_seed(0)
    change = [
        torch.randn(weight.shape, generator=generator, dtype=torch.float64) for weight in weights
    ]
    norm = math.sqrt(sum(float(own.square().sum()) for own in change))
    slope = sum(float((g * v).sum()) for g, v in zip(gradients, change, strict=True)) / norm
    base = [weight.detach().clone() for weight in weights]

    def remainder(step: float) -> float:
        with torch.no_grad():
            for weight, origin, own in zip(weights, base, change, strict=True):
                weight.copy_(origin + step / norm * own)
            ahead = float(total_loss(car, controller, figure_eight, 20))
        return abs(ahead - float(loss.detach()) - step * slope)

    rates = [math.log2(remainder(step) / remainder(step / 2)) for step in (1e-2, 5e-3, 2.5e-3)]
    assert rates == pytest.approx([2.0] * 3, abs=0.1)


def test_wrong_gradient_is_caught(car: GenesisCar, figure_eight: ReferencePath) -> None:
    """A gradient off by one part in a thousand fails the same check that the right one passes."""
    actions = recorded_actions(car, 10).requires_grad_()

    def function() -> Tensor:
        return total_loss(car, Recorded(actions), figure_eight, 10)

    (right,) = torch.autograd.grad(function(), [actions])
    wrong = check_directions(function, [actions], gradients=[1.001 * right], num_directions=3)
    assert min(check.relative_error for check in wrong) > 10 * TOLERANCE


def test_rollouts_repeat_themselves_bit_for_bit(
    car: GenesisCar, figure_eight: ReferencePath
) -> None:
    """Two forward and backward passes from one start agree exactly: nothing stale is summed."""
    controller = network(car)
    parameters = list(controller.network.parameters())
    results = []
    for _ in range(2):
        loss = total_loss(car, controller, figure_eight, 30)
        results.append((loss.detach(), *torch.autograd.grad(loss, parameters)))
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


def test_action_after_the_last_scored_state_has_no_gradient(
    car: GenesisCar, figure_eight: ReferencePath
) -> None:
    """What is commanded after the loss was read cannot have moved it."""
    actions = recorded_actions(car, 6).requires_grad_()
    arc_length = torch.full((car.num_envs,), 2.0, dtype=torch.float64)
    start = starts_on_path(figure_eight, arc_length)
    trajectory = rollout(car, Recorded(actions), figure_eight, start, 6)
    trajectory.cross_track_error[:4].square().sum().backward()
    assert actions.grad is not None
    assert torch.count_nonzero(actions.grad[4:]) == 0
    assert torch.count_nonzero(actions.grad[:3]) > 0


def test_differentiable_and_plain_physics_agree(
    car: GenesisCar, plain_car: GenesisCar, figure_eight: ReferencePath
) -> None:
    """The two modes detect contacts differently; after 100 steps the cars are within 10 µm."""
    actions = recorded_actions(car, 100)
    plain_car.actuation = car.actuation
    ends = []
    for cars in (car, plain_car):
        arc_length = torch.linspace(1.0, 12.0, 4, dtype=torch.float64)
        with torch.no_grad():
            start = starts_on_path(figure_eight, arc_length)
            trajectory = rollout(cars, Recorded(actions), figure_eight, start, 100)
            ends.append(trajectory.position[-1])
    assert torch.dist(*ends) < 1e-5


def test_control_buffers_stay_off_the_graph(car: GenesisCar, figure_eight: ReferencePath) -> None:
    """Without the repair each step leaves two nodes behind, for as long as the scene lives."""
    actions = recorded_actions(car, 5).requires_grad_()
    total_loss(car, Recorded(actions), figure_eight, 5).backward()
    dofs = car.scene.sim.rigid_solver.dyn_state.dofs
    views = []
    for name in ("ctrl_force", "ctrl_pos", "ctrl_vel"):
        buffer = getattr(dofs, name)
        buffer = buffer._unwrap() if hasattr(buffer, "_unwrap") else buffer
        views.append(getattr(buffer, "_T_tc", None))
    used = [view for view in views if view is not None]
    assert used, "Genesis no longer caches views of its control buffers: is the repair needed?"
    assert all(view.grad_fn is None for view in used)


def test_gradient_that_is_not_a_number_leaves_no_trace(
    car: GenesisCar, figure_eight: ReferencePath
) -> None:
    """Genesis raises in the middle of the reverse pass; the next rollout is as if nothing was."""
    actions = recorded_actions(car, 10).requires_grad_()

    def value_and_gradient() -> tuple[Tensor, Tensor]:
        loss = total_loss(car, Recorded(actions), figure_eight, 10)
        return loss.detach(), torch.autograd.grad(loss, [actions])[0]

    before = value_and_gradient()
    with pytest.raises(SimulationError, match="Nan"):
        car.backward(math.nan * total_loss(car, Recorded(actions), figure_eight, 10))
    after = value_and_gradient()
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
