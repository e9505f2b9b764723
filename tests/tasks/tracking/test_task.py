"""The task of driving, as methods see it; on bicycles."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffcar.base.errors import ConfigError, PathError, SimulationError
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.gradients.certificate import certify
from diffcar.gradients.hops import trace_hops
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking.task import TrackingTask
from tests.bicycle import bicycle_scenes
from tests.training.small import config_of


def task_of(*overrides: str) -> TrackingTask:
    config = config_of("e2e", *overrides)
    return TrackingTask(config, scenes=bicycle_scenes(config)).build()


def test_what_is_certified_before_training_begins_with_the_weights() -> None:
    """They are what training changes, however few cars there are."""
    problem = task_of().problem(10)
    kinds = [case.parameter for case in problem.cases]
    assert kinds == ["network weights", "initial state", "actions", "network weights"]
    assert certify(problem).is_certified


def test_the_gradient_arrives_at_every_hop() -> None:
    """From the loss back to the weights."""
    task = task_of()
    hops = trace_hops(task.network, task.trace, task.backward)
    assert all(hop.requires_grad and (hop.gradient_norm or 0.0) > 0 for hop in hops)
    assert {"MLP output", "loss"} <= {hop.name for hop in hops}


def test_weights_with_which_no_car_gets_going_are_never_the_best() -> None:
    """However well they hold the path."""
    task = task_of()
    metrics = task.evaluate()
    assert task.score(replace(metrics, got_going=0.5)) == math.inf


def test_draws_depend_on_seed_and_update_alone() -> None:
    """So that a resumed run draws what it would have drawn."""
    one, other = task_of(), task_of()
    other.draw(3, None)
    assert torch.equal(one.draw(7, None).arc_length, other.draw(7, None).arc_length)
    assert not torch.equal(one.draw(7, None).arc_length, one.draw(8, None).arc_length)


def test_evaluation_cars_have_their_way_before_them_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred and fifty on a path shorter than their usual distances: each has figures."""
    monkeypatch.setattr("diffcar.tasks.tracking.unseen.plot_drive", lambda *args: None)
    monkeypatch.setattr("diffcar.tasks.tracking.unseen._DRAWN_TIME", 0.1)
    task = task_of("evaluation.num_envs=150", "evaluation.unseen_paths=[obstacle-avoidance]")
    task.driver = PurePursuit(task.vehicle)
    for score in task.finish(tmp_path)["scores"]:
        assert score.metrics.got_going == 1.0
        assert score.metrics.completion == pytest.approx(1.0)
        assert 0 < score.metrics.cross_track_rmse_m < 0.05


def test_steering_that_swings_to_and_fro_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However small the error is; calm steering is not worth a word."""
    monkeypatch.setattr("diffcar.tasks.tracking.unseen.plot_drive", lambda *args: None)
    monkeypatch.setattr("diffcar.tasks.tracking.unseen._DRAWN_TIME", 0.1)
    task = task_of("evaluation.num_envs=4", "evaluation.unseen_paths=[double-lane-change]")
    calm = PurePursuit(task.vehicle)
    number = itertools.count()

    def shaking(state: CarState, errors: ErrorState) -> torch.Tensor:
        swing = torch.tensor([0.05 * (-1.0) ** next(number), 0.0], dtype=torch.float64)
        return calm(state, errors) + swing

    for task.driver, is_told in ((calm, False), (shaking, True)):
        caplog.clear()
        (score, _) = task.finish(tmp_path)["scores"]
        assert score.metrics.cross_track_rmse_m < 0.1
        assert ("to and fro (over 2 rad/s) on double-lane-change" in caplog.text) == is_told


def test_an_evaluation_on_a_short_path_ends_at_its_end() -> None:
    """What cars do beyond it does not count, nor how long they are there."""
    short = "path.source=line", "path.scale=0.1", "evaluation.num_envs=4"
    metrics = []
    for duration in (3, 6):
        task = task_of(*short, f"evaluation.duration={duration}")
        task.driver = PurePursuit(task.vehicle)
        metrics.append(task.evaluate())
    assert metrics[0] == metrics[1]
    assert (metrics[0].completion, metrics[0].got_going) == (1.0, 1.0)


def test_what_is_told_of_paths_is_told_once_of_each() -> None:
    """The training path is no unseen one; what others were read as is said with their names."""
    config = config_of("e2e", "evaluation.unseen_paths=[circle, slalom]")
    task = TrackingTask(config, scenes=bicycle_scenes(config))
    assert task.warnings == ("circle is trained on, and left out of the unseen paths",)
    assert [path.name for path in task.unseen] == ["slalom"]


def test_columns_that_are_told_hold_for_all_files_without_a_header(tmp_path: Path) -> None:
    """Of as many columns; a header goes before them, and two columns need none."""
    angles = torch.linspace(0, 2 * math.pi, 41)[:-1].tolist()
    wide = [
        f"{3 * math.cos(a):.6f},{3 * math.sin(a):.6f},{1.5 + 0.1 * math.sin(a)}" for a in angles
    ]
    contents = {
        "nameless": wide,
        "named": ["x,v,y", *(f"{x},{v},{y}" for x, y, v in (row.split(",") for row in wide))],
        "narrow": [row.rpartition(",")[0] for row in wide],
    }
    files = [tmp_path / f"{name}.csv" for name in contents]
    for file, content in zip(files, contents.values(), strict=True):
        file.write_text("\n".join(content))
    unseen = f"evaluation.unseen_paths=[{', '.join(map(str, files))}]"
    config = config_of("e2e", unseen)
    with pytest.raises(PathError, match="may be a speed") as caught:
        TrackingTask(config, scenes=bicycle_scenes(config))
    assert "path.columns" in str(caught.value.hint)
    for source in ("random", str(files[0])):
        told = ("path.columns=[x, y, ignore]", f"path.source={source}")
        config = config_of("e2e", unseen, *told)
        task = TrackingTask(config, scenes=bicycle_scenes(config))
        columns = {path.name: path.columns for path in (task.path, *task.unseen)}
        columns.pop("random", None)
        assert columns == {
            "nameless": ("x", "y", "ignore"),
            "named": ("x", "speed", "y"),
            "narrow": ("x", "y"),
        }
    for idle in ("slalom", "math:tau"):
        with pytest.raises(ConfigError, match="no effect"):
            config_of("e2e", f"evaluation.unseen_paths=[{idle}]", "path.columns=[x, y]")


def test_the_reference_speed_rises_while_cars_stay_on_the_road() -> None:
    """By a quarter of the way in each of four updates; where they do not, by half of it back."""
    task = task_of("train.ramp_updates=4", "train.ramp_from=0.2", "start.speed=0")
    shares, reached = [], None
    for update, are_on_road in enumerate((True, True, False, True, True, True, True)):
        start = task.draw(update, reached)
        driven = task.roll_out(start, 2)
        reference = driven.speed - driven.speed_error
        shares.append((reference[-1] / task.path.sample(driven.arc_length[-1]).speed).mean())
        reached = start if are_on_road else None
        assert task.progress() == {"pace": pytest.approx(float(shares[-1].detach()))}
    assert torch.stack(shares).tolist() == pytest.approx([0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.8])
    assert task_of().progress() == {}


def test_an_evaluation_that_breaks_the_physics_is_the_worst(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the training goes on; so it is with the paths that are driven in the end."""
    task = task_of()

    def explode(*args: object, **how: object) -> None:
        raise SimulationError("a car has exploded")

    monkeypatch.setattr(task.scene, "step", explode)
    with caplog.at_level("WARNING"):
        metrics = task.evaluate()
        found = task.finish(Path())
    assert metrics.got_going == 0.0 and math.isnan(metrics.cross_track_rmse_m)
    assert task.score(metrics) == math.inf
    assert found == {"scores": [], "skip_distance_m": 2.0, "unwritten": {}}
    told = [record.message for record in caplog.records]
    assert told == [
        "an evaluation broke off, which counts as the worst: a car has exploded",
        "driving the paths broke off: a car has exploded",
    ]


def test_groups_of_cars_train_at_paces_of_their_own() -> None:
    """Evenly between the slowest and the reference speed, of starts as of what is followed."""
    task = task_of("train.pace_spread=0.6", "start.speed=0", "start.standing_fraction=0")
    start = task.draw(0, None)
    assert start.state is not None and start.arc_length is not None
    whole = task.path.sample(start.arc_length).speed
    expected = torch.tensor([0.4, 0.6, 0.8, 1.0], dtype=whole.dtype)
    assert torch.allclose(start.state.speed / whole, expected)
    driven = task.roll_out(start, 2)
    reference = driven.speed - driven.speed_error
    assert torch.allclose(reference / task.path.sample(driven.arc_length).speed, expected)
    again = task.draw(1, task.end(driven))
    assert again.arc_length is not None
