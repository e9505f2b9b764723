"""The end-to-end trainer: it learns, cuts graphs where told, and survives bad numbers."""

import io
import math

import pytest
import torch

from diffcar.base.config import load_config
from diffcar.base.errors import GradientError
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.path.load import load_path
from diffcar.sim.car import GenesisCar
from diffcar.tasks.contract import seed_of_update
from diffcar.training.config import TrainE2EConfig
from diffcar.training.e2e import E2ETrainer

pytestmark = pytest.mark.genesis


def make_trainer(car: GenesisCar, *overrides: str) -> E2ETrainer:
    """Return a trainer on the circle with eight-step rollouts of all cars."""
    car.actuation = "torque"
    config = load_config(
        TrainE2EConfig,
        overrides=[
            "precision=64",
            "path.source=circle",
            f"train.num_envs={car.num_envs}",
            "train.horizon=8",
            "start.standing_fraction=0",
            *overrides,
        ],
    )
    path = load_path(config.path)
    controller = build_tracking_mlp(config.controller, car.vehicle, dtype=torch.float64)
    return E2ETrainer(config, car, path, controller)


def test_loss_falls(differentiable_car: GenesisCar) -> None:
    """Fifteen updates of 24 steps halve the loss at least."""
    trainer = make_trainer(differentiable_car, "train.num_updates=15", "train.horizon=24")
    steps = list(trainer.train())
    assert [step.iteration for step in steps] == list(range(1, 16))
    first, last = (sum(s.loss for s in part) for part in (steps[:3], steps[-3:]))
    assert last < first / 2
    assert all(step.clipped_gradient_norm <= 1.0 for step in steps)


def test_truncation_cuts_the_gradient_and_not_the_loss(differentiable_car: GenesisCar) -> None:
    """Segments of four steps see the same drive, but a different derivative of it."""
    losses, gradients = [], []
    for cut in ("null", "8", "4"):
        trainer = make_trainer(
            differentiable_car, f"train.truncation_length={cut}", "loss.smoothness=0"
        )
        losses.append(trainer.update().loss)
        gradients.append(trainer.controller.network.network[0].weight.grad.clone())
    assert losses[0] == losses[1]
    assert losses[2] == pytest.approx(losses[0], rel=1e-6)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.dist(gradients[0], gradients[2]) > 1e-3 * gradients[0].norm()


def test_report_s_own_loss_trains_too(differentiable_car: GenesisCar) -> None:
    """(x - ref_x)² + (y - ref_y)² alone gives a finite gradient that is not zero."""
    trainer = make_trainer(
        differentiable_car,
        "loss.time_indexed=1",
        *(f"loss.{name}=0" for name in ("cross_track", "heading", "speed", "smoothness")),
    )
    step = trainer.update()
    assert step.terms.keys() == {"time_indexed"}
    assert 0 < step.gradient_norm < math.inf


def test_non_finite_updates_are_skipped_counted_and_named(
    differentiable_car: GenesisCar,
) -> None:
    """A poisoned weight: nothing is updated, and after the limit the run ends with the reason."""
    trainer = make_trainer(differentiable_car, "train.max_skipped_updates=1")
    output_bias = trainer.controller.network.network[-2].bias
    with torch.no_grad():
        output_bias[0] = math.nan
    before = trainer.controller.network.network[0].weight.clone()
    try:
        assert trainer.update().is_skipped
        assert torch.equal(before, trainer.controller.network.network[0].weight)
        with pytest.raises(GradientError, match=r"loss term .* is nan; 2 updates in a row"):
            trainer.update()
    finally:
        # Genesis has simulated NaN; later tests begin from a clean state.
        differentiable_car.scene.reset()


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_cars_that_drive_on_are_taken_up_exactly(
    differentiable_car: GenesisCar, stop_after: int
) -> None:
    """Four updates in a row equal some, saved, and the rest in a new trainer, bit for bit."""
    overrides = ("train.num_updates=4", "train.episode_updates=2")
    whole = make_trainer(differentiable_car, *overrides)
    expected = [step.loss for step in whole.train()]
    stopped = make_trainer(differentiable_car, *overrides)
    found = [step.loss for step in stopped.train(stop_after)]
    stream = io.BytesIO()
    torch.save(stopped.state_dict(), stream)
    stream.seek(0)
    resumed = make_trainer(differentiable_car, *overrides, "controller.hidden_sizes=[64, 64]")
    resumed.load_state_dict(torch.load(stream, weights_only=True))
    found += [step.loss for step in resumed.train()]
    assert found == expected
    for name, weight in whole.controller.network.state_dict().items():
        assert torch.equal(weight, resumed.controller.network.state_dict()[name]), name


def test_cars_drive_on_from_where_they_were(differentiable_car: GenesisCar) -> None:
    """Half of them in every second update, the others afresh; all afresh where none drives on."""
    trainer = make_trainer(
        differentiable_car, "train.episode_updates=2", "train.gradient_check_interval=0"
    )
    trainer.update()
    reached = differentiable_car.read().position.detach().clone()
    arc_length, start = trainer._starts()
    drives_on = (start.position - reached).norm(dim=-1) < 1e-9
    # After one update the odd ones are due.
    assert drives_on.tolist() == [True, False, True, False]
    errors = compute_error_state(trainer.path, start, arc_length)
    assert torch.allclose(errors.arc_length, arc_length, atol=0.05)
    fresh = make_trainer(differentiable_car, "train.episode_updates=1")
    fresh.update()
    _, start = fresh._starts()
    _, drawn = fresh.draw_starts(seed_of_update(fresh.config.seed, 1))
    assert torch.equal(start.position, drawn.position)


def test_the_spot_check_is_of_the_rollout_that_gave_the_gradient(
    differentiable_car: GenesisCar,
) -> None:
    """Also where the cars drive on, and stand elsewhere by the time of the check."""
    trainer = make_trainer(
        differentiable_car, "train.episode_updates=2", "train.gradient_check_interval=1"
    )
    assert max(trainer.update().gradient_error for _ in range(3)) < 0.01
    # The gradient is still there; from where the cars are now it would be another.
    assert trainer._spot_check(*trainer._starts()) > 0.1


def test_step_size_decays_by_a_half_cosine(differentiable_car: GenesisCar) -> None:
    """From its highest, through the middle, to its lowest, and no further."""
    trainer = make_trainer(differentiable_car, "train.decay_updates=10")
    rates = []
    for done in (0, 5, 10, 50):
        trainer.num_updates_done = done
        rates.append(trainer._learning_rate())
    assert rates == pytest.approx([0.01, 0.0051, 0.0002, 0.0002])


def test_starts_are_within_their_offsets_and_depend_on_the_seed(
    differentiable_car: GenesisCar,
) -> None:
    """Offsets within their limits, standing cars at rest, the draw repeatable."""
    trainer = make_trainer(differentiable_car, "start.standing_fraction=1")
    path, config = trainer.path, trainer.config
    arc_length, start = trainer.draw_starts(5)
    again, _ = trainer.draw_starts(5)
    other, _ = trainer.draw_starts(6)
    assert torch.equal(arc_length, again)
    assert not torch.equal(arc_length, other)
    assert torch.count_nonzero(start.speed) == 0
    differentiable_car.reset(start)
    errors = compute_error_state(path, differentiable_car.read(), arc_length)
    assert float(errors.cross_track_error.detach().abs().max()) <= config.start.cross_track
    assert float(errors.heading_error.detach().abs().max()) <= config.start.heading + 1e-6
