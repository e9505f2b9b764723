"""Training through physics: it learns, cuts graphs where told, and survives bad numbers."""

import io
import math
from pathlib import Path

import pytest
import torch

from diffcar.base.errors import GradientError
from diffcar.controllers.errors import compute_error_state
from diffcar.sim.contract import Start
from diffcar.training import backprop
from diffcar.training.backprop import Backprop, make_trainer
from diffcar.training.run import TrainingResult
from diffcar.training.tables import _gradient_checks
from tests.bicycle import bicycle_scenes
from tests.training.small import config_of

ONLY_TIME = (
    "loss.time_indexed=1",
    *(f"loss.{name}=0" for name in ("cross_track", "heading", "speed", "smoothness")),
)


RANDOMISED = (
    "controller.past_commands=2",
    "randomisation.delay_steps=[0, 3]",
    "randomisation.mass_ratio=[0.8, 1.2]",
    "randomisation.motor_gain=[0.8, 1.2]",
    "randomisation.yaw_noise=[0.0, 0.01]",
    "randomisation.push_force=[0.0, 5.0]",
    "randomisation.push_interval=0.5",
)


def trainer_of(*overrides: str) -> Backprop:
    """Return a trainer on the circle with eight-step rollouts of four cars."""
    config = config_of("e2e", "train.gradient_check_interval=10", *overrides)
    return make_trainer(config, scenes=bicycle_scenes(config))


def begins(trainer: Backprop) -> Start:
    """Return where the next update begins."""
    return trainer.task.draw(trainer.num_updates_done, trainer._reached)


def test_loss_falls() -> None:
    """Twelve updates of sixteen steps halve the loss at least."""
    trainer = trainer_of("train.num_updates=12", "train.horizon=16")
    updates = list(trainer.train())
    assert [update.iteration for update in updates] == list(range(1, 13))
    first, last = (sum(u.loss for u in part) for part in (updates[:3], updates[-3:]))
    assert last < first / 2
    assert all(update.clipped_gradient_norm <= 1.0 for update in updates)
    assert trainer.is_finished
    assert trainer.num_env_steps == 12 * 16 * 4


def test_truncation_cuts_the_gradient_and_not_the_loss() -> None:
    """Segments of four steps see the same drive, but a different derivative of it."""
    losses, gradients = [], []
    for cut in ("null", "8", "4"):
        trainer = trainer_of(f"train.truncation_length={cut}", "loss.smoothness=0")
        losses.append(trainer.update().loss)
        gradients.append(trainer.task.network.network[0].weight.grad.clone())
    assert losses[0] == losses[1]
    assert losses[2] == pytest.approx(losses[0], rel=1e-6)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.dist(gradients[0], gradients[2]) > 1e-3 * gradients[0].norm()


def test_the_gradient_of_cut_graphs_is_not_checked() -> None:
    """It is not that of the whole rollout, and would be called wrong."""
    whole, cut = trainer_of(), trainer_of("train.truncation_length=4")
    assert whole.update().gradient_error < 0.01
    updates = [cut.update()]
    assert math.isnan(updates[0].gradient_error)
    assert cut.findings(updates)["num_checks_without_verdict"] == 0, "it was none"


def test_checks_whose_differences_disagree_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """They say nothing of the gradient, and that there were some must not go under."""
    monkeypatch.setattr(
        backprop, "spot_check", lambda *args, number, **how: (0.01, math.nan)[number]
    )
    trainer = trainer_of("train.gradient_check_interval=2")
    findings = trainer.findings([trainer.update() for _ in range(4)])
    assert findings["errors_in_training"] == [0.01]
    assert findings["num_checks_without_verdict"] == 1
    mute = TrainingResult(Path("run"), findings={**findings, "worst_gradient_error": None})
    (told,) = _gradient_checks(mute)
    assert "1 spot check came to no verdict" in str(told)


def test_the_loss_of_the_first_report_trains_too() -> None:
    """(x - ref_x)² + (y - ref_y)² alone gives a finite gradient that is not zero.

    Cut or not: the running point goes on from segment to segment.
    """
    losses = []
    for cut in ("null", "4"):
        update = trainer_of(*ONLY_TIME, f"train.truncation_length={cut}").update()
        assert update.terms.keys() == {"time_indexed"}
        assert 0 < update.gradient_norm < math.inf
        losses.append(update.loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_non_finite_updates_are_skipped_counted_and_named() -> None:
    """A poisoned weight: nothing is updated, and after the limit the run ends with the reason."""
    trainer = trainer_of("train.max_skipped_updates=1")
    network = trainer.task.network.network
    with torch.no_grad():
        network[-2].bias[0] = math.nan
    before = network[0].weight.clone()
    assert trainer.update().is_skipped
    assert torch.equal(before, network[0].weight)
    with pytest.raises(GradientError, match=r"loss term .* is nan; 2 updates in a row") as caught:
        trainer.update()
    assert "train.horizon" in (caught.value.hint or "")


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize(
    "pace", [(), ("train.ramp_updates=3", "train.pace_spread=0.4"), RANDOMISED]
)
def test_cars_that_drive_on_are_taken_up_exactly(stop_after: int, pace: tuple[str, ...]) -> None:
    """Four updates in a row equal some, saved, and the rest in a new trainer, bit for bit."""
    overrides = ("train.num_updates=4", "train.episode_updates=2", *pace)
    whole = trainer_of(*overrides)
    expected = [update.loss for update in whole.train()]
    stopped = trainer_of(*overrides)
    found = [update.loss for update in stopped.train(stop_after)]
    stream = io.BytesIO()
    torch.save(stopped.state_dict(), stream)
    stream.seek(0)
    resumed = trainer_of(*overrides)
    resumed.load_state_dict(torch.load(stream, weights_only=True))
    found += [update.loss for update in resumed.train()]
    assert found == expected
    for name, weight in whole.task.network.state_dict().items():
        assert torch.equal(weight, resumed.task.network.state_dict()[name]), name


def test_cars_drive_on_from_where_they_were() -> None:
    """Half of them in every second update, the others afresh; all afresh where none drives on."""
    trainer = trainer_of("train.episode_updates=2", "train.gradient_check_interval=0")
    trainer.update()
    reached = trainer.task.scene.read().position.detach().clone()
    start = begins(trainer)
    drives_on = (start.state.position - reached).norm(dim=-1) < 1e-9
    # After one update the odd ones are due.
    assert drives_on.tolist() == [True, False, True, False]
    errors = compute_error_state(trainer.task.path, start.state, start.arc_length)
    assert torch.allclose(errors.arc_length, start.arc_length, atol=0.05)
    fresh = trainer_of("train.episode_updates=1")
    fresh.update()
    drawn = fresh.task.draw(1, None)
    assert torch.equal(begins(fresh).state.position, drawn.state.position)


def test_cars_that_have_lost_the_path_start_afresh() -> None:
    """Half a metre off there is nothing to learn that a fresh start would not teach better."""
    trainer = trainer_of("train.episode_updates=100")
    trainer.update()
    reached = trainer._reached
    afield = reached.state.position.clone()
    afield[2] += 2.0
    state = trainer.task.scene.describe(
        torch.cat([afield, reached.state.qpos[:, 2:]], -1), reached.state.dofs_velocity
    )
    start = trainer.task.draw(1, Start(state, reached.arc_length))
    assert (start.state.position == afield).all(-1).tolist() == [True, True, False, True]


@pytest.mark.parametrize("own", [(), RANDOMISED])
def test_the_spot_check_is_of_the_rollout_that_gave_the_gradient(own: tuple[str, ...]) -> None:
    """Also where the cars drive on, and stand elsewhere by the time of the check."""
    trainer = trainer_of("train.episode_updates=2", "train.gradient_check_interval=1", *own)
    updates = [trainer.update() for _ in range(3)]
    assert max(update.gradient_error for update in updates) < 0.01
    assert trainer.findings(updates)["worst_gradient_error"] < 0.01
    # The gradient is still there; from where the cars are now it would be another.
    assert trainer._spot_check(begins(trainer), 3) > 0.1


def test_step_size_decays_by_a_half_cosine() -> None:
    """From its highest, through the middle, to its lowest, and no further."""
    trainer = trainer_of("train.decay_updates=10")
    rates = []
    for done in (0, 5, 10, 50):
        trainer.num_updates_done = done
        rates.append(trainer.update().learning_rate)
    assert rates == pytest.approx([0.01, 0.0051, 0.0002, 0.0002])


def test_starts_depend_on_the_run_and_the_update_alone() -> None:
    """Not on what was driven before."""
    one, other = trainer_of(), trainer_of("seed=1")
    first = one.task.draw(3, None)
    one.update()
    assert torch.equal(one.task.draw(3, None).state.qpos, first.state.qpos)
    assert not torch.equal(one.task.draw(4, None).state.qpos, first.state.qpos)
    assert not torch.equal(other.task.draw(3, None).state.qpos, first.state.qpos)
