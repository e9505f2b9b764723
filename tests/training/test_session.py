"""Sessions: evaluated before and between, the best kept, interrupted between updates alone."""

import csv
import math
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffcar.base.errors import CheckpointError
from diffcar.controllers.checkpoint import load_checkpoint
from diffcar.training.backprop import make_trainer
from diffcar.training.contract import UpdateRecord
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import Evaluated, OnUpdate, TrainingSession, deferred_interrupt
from tests.bicycle import bicycle_scenes
from tests.training.small import config_of


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., TrainingSession]:
    """Make sessions in one run folder."""

    def make(*overrides: str, on_update: OnUpdate = lambda event: None) -> TrainingSession:
        config = config_of("e2e", *overrides)
        trainer = make_trainer(config, scenes=bicycle_scenes(config))
        return TrainingSession(
            RunFolder.make(tmp_path / "run"), trainer, method="e2e", on_update=on_update
        )

    return make


def rows(session: TrainingSession) -> list[dict[str, str]]:
    with session.folder.metrics_file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_weights_are_evaluated_before_the_first_update_then_at_intervals(
    session: Callable[..., TrainingSession],
) -> None:
    """And after the last one; each update has a row, and those evaluated have their figures."""
    seen: list[UpdateRecord | Evaluated] = []
    made = session("train.num_updates=5", "evaluation.also_after=[1]", on_update=seen.append)
    made.train()
    evaluated = [event.iteration for event in seen if isinstance(event, Evaluated)]
    assert evaluated == [0, 1, 2, 4, 5]
    assert [event.iteration for event in seen if isinstance(event, UpdateRecord)] == [1, 2, 3, 4, 5]
    written = rows(made)
    assert [row["iteration"] for row in written] == list("012345")
    has_figures = [row["eval_cross_track_rmse_m"] != "" for row in written]
    assert has_figures == [True, True, True, False, True, True]
    assert written[0]["loss"] == ""
    assert [row["num_env_steps"] for row in written] == [str(32 * n) for n in range(6)]


def test_the_best_weights_are_kept_and_written(
    session: Callable[..., TrainingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the smallest score, whatever came after them, also from an earlier session."""
    made = session()
    scores = iter([4.0, 1.0, 2.0])
    monkeypatch.setattr(made.task, "score", lambda metrics: next(scores))
    weights = []
    made.on_update = lambda event: weights.append(made.task.network.network[0].weight.clone())
    made.train()
    # Events: evaluation, two updates, evaluation (the best), two updates, evaluation.
    best = load_checkpoint(made.folder.path)
    assert torch.equal(best["network"]["network.0.weight"], weights[2])
    assert best["best_score"] == 1.0
    made.take_best_weights()
    assert torch.equal(made.task.network.network[0].weight, weights[2])
    again = session("train.num_updates=6")
    again.restore()
    monkeypatch.setattr(again.task, "score", lambda metrics: 1.5)
    again.train()
    again.take_best_weights()
    assert torch.equal(again.task.network.network[0].weight, weights[2])


def test_training_without_a_number_of_updates_ends_when_an_evaluation_finds_it_done(
    session: Callable[..., TrainingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before, nor between evaluations where it was interrupted; given a number it goes on."""

    def begun(*overrides: str) -> TrainingSession:
        made = session("train.num_updates=null", *overrides)
        # As good from the first update on; those of intervals of two are evaluated.
        monkeypatch.setattr(made.task, "is_done", lambda metrics: made.trainer.num_updates_done > 0)
        return made

    made = begun()
    assert (made.trainer.config.train.most_updates, made.trainer.is_finished) == (100, False)
    made.train(stop_after=1)
    assert not made.trainer.is_finished
    again = begun()
    again.restore()
    assert len(again.train().updates) == 1
    assert again.trainer.is_finished
    ended = begun()
    ended.restore()
    assert ended.train().updates == []
    assert ended.trainer.is_finished
    on = begun("train.num_updates=5")
    on.restore()
    assert len(on.train().updates) == 3


def test_weights_that_end_a_training_are_those_that_it_leaves(
    session: Callable[..., TrainingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the score, which knows the speed, liked earlier ones better."""
    made = session("train.num_updates=null")
    monkeypatch.setattr(made.task, "is_done", lambda metrics: made.trainer.num_updates_done == 4)
    scores = iter([4.0, 1.0, 2.0])
    monkeypatch.setattr(made.task, "score", lambda metrics: next(scores))
    made.train()
    weights = made.task.network.network[0].weight.clone()
    made.take_best_weights()
    assert made.trainer.num_updates_done == 4
    assert torch.equal(made.task.network.network[0].weight, weights)
    best = load_checkpoint(made.folder.path)
    assert torch.equal(best["network"]["network.0.weight"], weights)
    assert best["best_score"] == 2.0


def test_the_path_is_tracked_well_enough_at_the_target(
    session: Callable[..., TrainingSession],
) -> None:
    """If all cars get going; the step size falls in 40 updates then, and otherwise in 100."""
    made = session("train.num_updates=null", "train.target=0.003")
    metrics = made.task.evaluate()
    well = replace(metrics, got_going=1.0, cross_track_rmse_m=0.003)
    assert made.task.is_done(well)
    assert not made.task.is_done(replace(well, cross_track_rmse_m=0.0031))
    assert not made.task.is_done(replace(well, got_going=0.9))
    assert not made.task.is_done(replace(well, cross_track_rmse_m=math.nan))
    decays = {
        setting: config_of("e2e", *setting.split()).train.num_decay_updates
        for setting in (
            "train.num_updates=null",
            "train.num_updates=200",
            "train.num_updates=200 train.decay_updates=null",
            "train.decay_updates=7",
        )
    }
    assert list(decays.values()) == [40, 100, 200, 7]


def test_weights_that_have_no_score_do_not_stand_for_the_run_once_others_have() -> None:
    """The score knows the tracking and the speed; a car that does not get going has none."""
    config = config_of("e2e")
    task = make_trainer(config, scenes=bicycle_scenes(config)).task
    metrics = task.evaluate()
    loss = config.loss
    expected = (
        loss.cross_track * metrics.cross_track_rmse_m**2 + loss.speed * metrics.speed_rmse_mps**2
    )
    assert task.score(replace(metrics, got_going=1.0)) == pytest.approx(expected)
    assert task.score(replace(metrics, got_going=0.5)) == math.inf
    assert task.score(replace(metrics, got_going=1.0, speed_rmse_mps=math.nan)) == math.inf


def test_while_nothing_has_a_score_the_latest_weights_are_the_best(
    session: Callable[..., TrainingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the untrained ones."""
    made = session()
    monkeypatch.setattr(made.task, "score", lambda metrics: math.inf)
    made.train()
    best = load_checkpoint(made.folder.path)
    assert best["trainer"]["num_updates_done"] == 4


def test_a_session_that_is_stopped_early_judges_its_last_weights(
    session: Callable[..., TrainingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what is left behind is the best so far, not what an early evaluation found."""
    made = session("evaluation.interval=100")
    scores = iter([4.0, 1.0])
    monkeypatch.setattr(made.task, "score", lambda metrics: next(scores))
    outcome = made.train(3)
    assert len(outcome.updates) == 3
    assert load_checkpoint(made.folder.path)["trainer"]["num_updates_done"] == 3


def test_snapshots_of_evaluations_are_kept_where_asked_for(
    session: Callable[..., TrainingSession],
) -> None:
    """Each with the weights of its time."""
    made = session("evaluation.keep_snapshots=true")
    made.train()
    names = sorted(file.name for file in made.folder.checkpoints.iterdir())
    assert names == ["at-000000.pt", "at-000002.pt", "at-000004.pt", "best.pt", "last.pt"]


def test_an_interrupt_ends_a_session_after_its_update(
    session: Callable[..., TrainingSession],
) -> None:
    """With a checkpoint of what was done, from which another session goes on bit for bit."""

    def interrupt(event: object) -> None:
        if isinstance(event, UpdateRecord) and event.iteration == 3:
            signal.raise_signal(signal.SIGTERM)

    made = session(on_update=interrupt)
    outcome = made.train()
    assert outcome.is_interrupted
    assert not made.trainer.is_finished
    resumed = session()
    resumed.restore()
    resumed.train()
    stopped_at = [row["iteration"] for row in rows(resumed)]
    assert stopped_at == list("01234")
    whole = make_trainer(config_of("e2e"), scenes=bicycle_scenes(config_of("e2e")))
    list(whole.train())
    for name, weight in whole.task.network.state_dict().items():
        assert torch.equal(weight, resumed.task.network.state_dict()[name]), name
    assert resumed.train_seconds > made.train_seconds


def test_signals_that_are_ignored_stay_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As SIGHUP is under nohup, whose runs go on when the terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred_interrupt() as is_interrupted:
            signal.raise_signal(signal.SIGHUP)
            assert not is_interrupted()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_was_best_before_a_kill_stays_the_best(
    session: Callable[..., TrainingSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the last checkpoint is older than it; and the first row is not written twice."""
    made = session("train.checkpoint_interval=100", "evaluation.interval=1")
    made.save()

    def die(event: object) -> None:
        if isinstance(event, UpdateRecord) and event.iteration == 3:
            raise RuntimeError("killed")

    scores = iter([4.0, 3.0, 1.0])
    monkeypatch.setattr(made.task, "score", lambda metrics: next(scores))
    made.on_update = die
    with pytest.raises(RuntimeError, match="killed"):
        made.train()
    resumed = session("train.checkpoint_interval=100", "evaluation.interval=1")
    resumed.restore()
    assert resumed.trainer.num_updates_done == 0
    monkeypatch.setattr(resumed.task, "score", lambda metrics: 2.0)
    resumed.train()
    assert load_checkpoint(resumed.folder.path)["best_score"] == 1.0
    assert [row["iteration"] for row in rows(resumed)] == list("01234")


def test_a_second_interrupt_is_not_deferred() -> None:
    """Whoever insists does not wait; afterwards signals mean what they meant."""
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupt() as is_interrupted:
        signal.raise_signal(signal.SIGINT)
        assert is_interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_leaves_the_last_periodic_checkpoint(
    session: Callable[..., TrainingSession],
) -> None:
    """Not the state in the middle of what failed; rows that come again are dropped on resuming."""

    def fail(event: object) -> None:
        if isinstance(event, UpdateRecord) and event.iteration == 4:
            raise RuntimeError("the disk is on fire")

    made = session("train.checkpoint_interval=2", "train.num_updates=6", on_update=fail)
    with pytest.raises(RuntimeError, match="on fire"):
        made.train()
    resumed = session("train.num_updates=6")
    resumed.restore()
    assert resumed.trainer.num_updates_done == 2
    assert [row["iteration"] for row in rows(resumed)] == list("012")


def test_a_checkpoint_of_other_sizes_is_explained(session: Callable[..., TrainingSession]) -> None:
    """Not by a traceback of torch."""
    session().train(1)
    with pytest.raises(CheckpointError, match="does not fit the configuration") as caught:
        session("controller.hidden_sizes=[4]").restore()
    assert "sizes" in (caught.value.hint or "")
