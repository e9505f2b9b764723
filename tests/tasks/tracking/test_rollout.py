"""The closed loop: differentiable, recorded as it is driven, gone on with where it ended."""

import pytest
import torch

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state, starts_on_path
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.gradients.finite_differences import check_directions
from diffcar.losses import TrackingLoss
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import Placement, Start
from diffcar.tasks.tracking.rollout import ClosedLoop, advance_along, rollout
from tests.bicycle import Bicycle
from tests.samples import VEHICLE, doubles, road

LOSS = TrackingLoss(effort=0.01, time_indexed=1.0)


@pytest.fixture
def start(figure_eight: ReferencePath) -> Placement:
    """Four cars, each somewhere else beside the path."""
    arc_length = doubles(2.0, 5.0, 11.0, 17.0)
    return starts_on_path(figure_eight, arc_length, cross_track=doubles(0.05, -0.02, 0.0, 0.1))


def network(**seen: int) -> TrackingMLP:
    config = ControllerConfig(hidden_sizes=[8], **seen)
    return build_tracking_mlp(config, VEHICLE, dtype=torch.float64, seed=3)


def test_the_loss_of_a_rollout_has_the_right_derivatives(
    figure_eight: ReferencePath, start: Placement
) -> None:
    """By every weight of the network, through controller, cars, path and loss."""
    cars, controller = Bicycle(4, differentiable=True), network()

    def loss() -> torch.Tensor:
        return LOSS.costs(rollout(cars, controller, figure_eight, start, 5)).total

    checks = check_directions(loss, list(controller.network.parameters()), num_directions=2)
    assert max(check.relative_error for check in checks) < 1e-6


def test_a_plain_scene_leaves_no_graph(figure_eight: ReferencePath, start: Placement) -> None:
    """Nor does a differentiable one where no gradient is asked for."""
    plain = rollout(Bicycle(4), network(), figure_eight, start, 3)
    assert not plain.position.requires_grad
    cars = Bicycle(4, differentiable=True)
    with torch.no_grad():
        assert not rollout(cars, network(), figure_eight, start, 3).position.requires_grad
    assert rollout(cars, network(), figure_eight, start, 3).position.requires_grad


def test_two_halves_are_the_whole(figure_eight: ReferencePath, start: Placement) -> None:
    """The end of one is the start of the next, bit for bit and off the graph.

    So it is for the point that runs along at the reference speed.
    """
    cars, controller = Bicycle(4, differentiable=True), network(past_commands=1)
    cars.command_delay = torch.tensor([0, 1, 2, 3])  # commands that are under way go on, too
    whole = rollout(cars, controller, figure_eight, start, 12)
    first = rollout(cars, controller, figure_eight, start, 5)
    assert torch.equal(first.timed_position, whole.timed_position[:5])
    middle = first.end
    assert not middle.state.position.requires_grad
    assert middle.state.commands.shape == (4, 3, 4)
    assert not middle.state.commands.requires_grad
    second = rollout(cars, controller, figure_eight, middle, 7)
    for name in ("position", "cross_track_error", "action", "timed_position"):
        both = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(both, getattr(whole, name)), name
    assert torch.equal(second.start_arc_length, middle.arc_length)


def test_who_has_no_place_goes_on_from_where_the_cars_are(
    figure_eight: ReferencePath, start: Placement
) -> None:
    """A start without a state leaves the scene as it is; without an arc length it is searched."""
    cars = Bicycle(4)
    cars.reset(start)
    found = rollout(cars, PurePursuit(VEHICLE), figure_eight, Start(None, None), 6)
    placed = rollout(cars, PurePursuit(VEHICLE), figure_eight, start, 6)
    assert torch.equal(found.position, placed.position)


def test_a_step_says_when_it_is_over(figure_eight: ReferencePath, start: Placement) -> None:
    """A true answer is the last step; nothing is driven that is not recorded."""
    seen: list[float] = []

    def is_over(state: object, errors: object) -> bool:
        seen.append(float(errors.arc_length[0]))
        return len(seen) == 4

    driven = rollout(Bicycle(4), PurePursuit(VEHICLE), figure_eight, start, 50, on_step=is_over)
    assert driven.num_steps == 4
    assert driven.arc_length[:, 0].tolist() == seen


def test_a_record_is_of_states_after_actions(figure_eight: ReferencePath, start: Placement) -> None:
    """The errors are those of the states, and the action that of the state before."""
    cars, controller = Bicycle(4), PurePursuit(VEHICLE)
    driven = rollout(cars, controller, figure_eight, start, 5)
    loop = ClosedLoop(cars, figure_eight, start)
    for number in range(5):
        action = controller(loop.state, loop.errors)
        step = loop.step(action)
        assert torch.equal(driven.action[number], action)
        assert torch.equal(driven.position[number], step.state.position)
        again = compute_error_state(figure_eight, step.state, step.errors.arc_length)
        assert torch.allclose(driven.cross_track_error[number], again.cross_track_error, atol=1e-9)
    assert torch.equal(driven.final_state.qpos, loop.state.qpos)
    limits = doubles(VEHICLE.max_steering, VEHICLE.speed_increment)
    excess = driven.action - torch.stack([0 * driven.speed_before, driven.speed_before], -1)
    assert torch.allclose(driven.output, excess / limits)


def test_restarted_cars_begin_elsewhere_and_the_others_drive_on(
    figure_eight: ReferencePath, start: Placement
) -> None:
    """With their errors, on their own branch of the path."""
    loop, alone = (ClosedLoop(Bicycle(4), figure_eight, start) for _ in range(2))
    still = torch.zeros(4, 2, dtype=torch.float64)
    fresh = starts_on_path(figure_eight, doubles(8.0, 20.0))
    for each in (loop, alone):
        each.step(still)
    loop.restart(torch.tensor([1, 3]), fresh)
    assert loop.errors.arc_length[[1, 3]].tolist() == pytest.approx([8.0, 20.0])
    for each in (loop, alone):
        each.step(still)
    assert torch.equal(loop.state.position[::2], alone.state.position[::2])
    assert not torch.equal(loop.state.position[1::2], alone.state.position[1::2])


def test_the_record_of_some_cars_is_theirs_alone(
    figure_eight: ReferencePath, start: Placement
) -> None:
    """By a mask or by indices, over time and at the start."""
    driven = rollout(Bicycle(4), PurePursuit(VEHICLE), figure_eight, start, 5)
    picked = driven.select(torch.tensor([False, True, False, True]))
    assert torch.equal(picked.position, driven.position[:, [1, 3]])
    assert torch.equal(picked.distance, driven.distance[:, [1, 3]])
    assert torch.equal(picked.final_state.qpos, driven.final_state.qpos[[1, 3]])
    assert torch.equal(picked.timed_position, driven.timed_position[:, [1, 3]])
    assert torch.equal(driven.select(torch.tensor([3])).position, driven.position[:, [3]])


def test_a_point_runs_along_at_the_speed_of_the_path() -> None:
    """Sixty steps of a fiftieth of a second at three metres a second."""
    line, where = road("line"), doubles(1.0)
    for _ in range(60):
        where = advance_along(line, where, 0.02)
    assert float(where) == pytest.approx(1.0 + 60 * 0.02 * 3.0)
