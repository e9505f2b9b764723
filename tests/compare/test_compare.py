"""`diffcar compare`: everybody is trained, driven and written down, and nothing twice."""

import json
import math
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from diffcar.compare.contestants import NetworkDriver, TunedDriver, entrants_of

from diffcar.base.config import dump_config, load_config
from diffcar.base.errors import CheckpointError, ConfigError
from diffcar.compare import compare, jury, workshop
from diffcar.compare import training as compare_training
from diffcar.compare.compare import CompareResult
from diffcar.compare.config import CompareConfig
from diffcar.compare.page import write_results
from diffcar.controllers.batch import TrackingEnsemble
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.observation import PathObserver
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.training.contract import UpdateRecord
from diffcar.training.session import Evaluated
from tests.bicycle import Bicycle

TINY = """
precision: 64
methods: [bc-e2e, e2e, stanley]
seeds: [0]
num_snapshots: 3
controller: {hidden_sizes: [8]}
e2e: {num_updates: 3, num_envs: 4, horizon: 6, gradient_check_interval: 0}
demonstrations: {num_episodes: 4, duration: 0.6}
bc: {num_updates: 4}
tuning: {num_generations: 2, num_candidates: 8, duration: 1.5}
suite:
  paths: [{source: FOLDER/bend.csv, closed: false}]
  conditions: {slippery: {friction_ratio: 0.7, mass_ratio: 1.3}}
"""


@dataclass
class Finished:
    """A comparison that was stopped once and then went on."""

    stopped: CompareResult
    result: CompareResult
    config: CompareConfig
    folder: Path


@pytest.fixture(scope="module")
def _few_cars(differentiable_car: GenesisCar, plain_car: GenesisCar) -> Iterator[None]:
    """Each scene once in this process, and drives of four drivers at a time."""
    scenes = {(4, True, False): differentiable_car, (4, False, False): plain_car}

    def build(config: CarConfig, **how: object) -> GenesisCar:
        key = (how["num_envs"], how["differentiable"], how.get("with_varied_mass", False))
        if key not in scenes:
            scenes[key] = build_scene(config, **how)
        scenes[key].actuation = config.actuation
        return scenes[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (jury, workshop):
            patch.setattr(module, "build_scene", build)
        patch.setattr(jury, "_DRIVERS_AT_ONCE", 4)
        for module in (workshop, compare_training):
            patch.setattr(module, "NUM_JUDGED_CARS", 4)
        yield


@pytest.fixture(scope="module")
def finished(_few_cars: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Stopped in the first training, and gone on with to the end."""
    folder = tmp_path_factory.mktemp("compare")
    points = ((0.1 * i, 0.3 * math.sin(0.1 * i)) for i in range(61))
    (folder / "bend.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in points))
    (folder / "tiny.yaml").write_text(TINY.replace("FOLDER", str(folder)))
    config = load_config(CompareConfig, file=folder / "tiny.yaml")

    def stop(event: UpdateRecord | Evaluated) -> None:
        if isinstance(event, UpdateRecord):
            signal.raise_signal(signal.SIGINT)

    stopped = compare.run(config, out=folder / "runs", on_update=stop)
    # As a session leaves it that is ended while its scene is built.
    (folder / "runs" / "bc-e2e-0" / "checkpoints").mkdir(parents=True)
    return Finished(stopped, compare.run(config, resume=folder / "runs"), config, folder / "runs")


@pytest.mark.genesis
def test_a_stopped_training_ends_the_comparison_and_can_go_on(finished: Finished) -> None:
    """After its update, with nothing scored; the rest is done later, and the first not again."""
    assert finished.stopped.is_interrupted
    assert not finished.result.is_interrupted
    assert finished.stopped.comparison.scores == []
    lines = (finished.folder / "e2e-0" / "metrics.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["iteration", "0", "1", "2", "3"]


@pytest.mark.genesis
def test_everybody_is_scored_everywhere(finished: Finished) -> None:
    """Each method in each engine under each condition on each path, finite and not all alike."""
    comparison = finished.result.comparison
    found = [(s.method, s.engine, s.condition, s.path) for s in comparison.scores]
    expected = {
        (method, engine, condition, "bend")
        for method in ("e2e", "bc-e2e", "stanley")
        for engine in ("genesis", "mujoco")
        for condition in ("nominal", "slippery")
    }
    assert set(found) == expected
    assert len(found) == len(expected)
    figures = {
        key: score.figures.cross_track_rmse_m
        for key, score in zip(found, comparison.scores, strict=True)
    }
    assert all(0 < rmse <= 1.0 for rmse in figures.values())
    tuned = [rmse for (method, *_), rmse in figures.items() if method == "stanley"]
    assert len(set(tuned)) == 4
    assert max(tuned) < 0.1
    assert {(t.method, t.engine) for t in comparison.tracks} == {key[:2] for key in expected}


@pytest.mark.genesis
def test_curves_go_from_the_first_update_to_the_final_score(finished: Finished) -> None:
    """Costs grow along them; at their end is who was scored in Genesis, undisturbed."""
    comparison = finished.result.comparison
    iterations = {"e2e": [0, 1, 2, 3], "bc-e2e": [0, 1, 2, 4], "stanley": [1, 2]}
    for method, expected in iterations.items():
        curve = [point for point in comparison.curves if point.method == method]
        assert [point.iteration for point in curve] == expected
        seconds = [point.train_seconds for point in curve]
        steps = [point.num_env_steps for point in curve]
        assert seconds == sorted(set(seconds)), method
        assert steps == sorted(steps), method
        assert steps[-1] > 0
    last = [point for point in comparison.curves if point.method == "stanley"][-1]
    # After the slippery drives in the same scene: nothing of them is left.
    assert last.cross_track_rmse_m == pytest.approx(
        comparison.path_rmse_m("stanley", "genesis", "bend"), rel=1e-6
    )


@pytest.mark.genesis
def test_results_are_written(finished: Finished) -> None:
    """A page to read, every figure in JSON and CSV, and the pictures."""
    page = write_results(
        finished.result.comparison,
        finished.folder,
        configuration=dump_config(finished.config),
        command="diffcar compare",
    )
    assert page.read_text().lstrip().lower().startswith("<!doctype html")
    scores = json.loads((finished.folder / "comparison.json").read_text())["scores"]
    assert len(scores) == 12
    assert len((finished.folder / "scores.csv").read_text().splitlines()) == 13
    for name in ("learning-curves", "conditions", "tracks"):
        assert (finished.folder / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.genesis
def test_what_is_trained_is_not_trained_again(finished: Finished) -> None:
    """A finished comparison is driven again, with the same checkpoints and so the same scores."""

    def stamps() -> dict[Path, int]:
        kept = [*finished.folder.rglob("*.pt"), *finished.folder.rglob("tuning.json")]
        return {file: file.stat().st_mtime_ns for file in kept}

    before = stamps()
    steps: list[UpdateRecord | Evaluated] = []

    def note(event: UpdateRecord | Evaluated) -> None:
        if isinstance(event, UpdateRecord):
            steps.append(event)

    again = compare.run(finished.config, resume=finished.folder, on_update=note)
    assert stamps() == before
    assert len(before) >= 4 + 4 + 4 + 1
    assert steps == []
    assert again.comparison.contestants == finished.result.comparison.contestants
    for one, other in zip(again.comparison.scores, finished.result.comparison.scores, strict=True):
        assert one.figures.cross_track_rmse_m == pytest.approx(
            other.figures.cross_track_rmse_m, rel=1e-6
        )


@pytest.mark.genesis
def test_a_loaded_run_is_compared_and_cloned(finished: Finished, tmp_path: Path) -> None:
    """Not trained again, and the expert of those that clone its method."""
    run = finished.folder / "e2e-0"
    config = finished.config.model_copy(
        update={
            "methods": ["e2e", "bc-e2e"],
            "suite": finished.config.suite.model_copy(
                update={"conditions": {}, "engines": ["genesis"]}
            ),
        }
    )
    result = compare.run(config, out=tmp_path / "runs", loaded={"e2e": run})
    assert [c.method for c in result.comparison.contestants] == ["e2e", "bc-e2e"]
    assert result.comparison.contestants[0].source == str(run)
    assert not (tmp_path / "runs" / "e2e-0").exists()
    recorded = [
        f / "bc-e2e-0" / "demonstrations-0.csv" for f in (tmp_path / "runs", finished.folder)
    ]
    assert recorded[0].read_text() == recorded[1].read_text()


def test_a_run_that_is_missing_is_missed_before_anything_is_trained(tmp_path: Path) -> None:
    """Not after the hours that the other methods take."""
    with pytest.raises(CheckpointError, match="nowhere"):
        compare.run(CompareConfig(), out=tmp_path / "runs", loaded={"bc-e2e": tmp_path / "nowhere"})
    assert not (tmp_path / "runs").exists()


BAD = {
    "a clone without its expert": (["methods=[bc-e2e]"], "bc-e2e cannot be had without"),
    "DAgger without its expert": (["methods=[ppo, dagger-e2e]"], "dagger-e2e cannot be had"),
    "a method twice": (["methods=[ppo, ppo]"], "named twice"),
    "a seed twice": (["seeds=[1, 1]"], "named twice"),
    "nobody": (["methods=[]"], "methods = "),
    "no path": (["suite.paths=[]"], "suite.paths = "),
    "no engine": (["suite.engines=[]"], "suite.engines = "),
    "another engine": (["suite.engines=[bullet]"], "suite.engines.0 = 'bullet'"),
    "a nominal of one's own": (["suite.conditions={nominal: {delay_steps: 1}}"], "nominal"),
    "an unknown disturbance": (["suite.conditions={wind: {wind_speed: 3}}"], "wind_speed"),
    "one snapshot": (["num_snapshots=1"], "num_snapshots = 1"),
    "too few candidates": (["tuning.num_candidates=2"], "tuning.num_candidates = 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_that_make_no_comparison_are_refused(case: str) -> None:
    """With the key, or the reason."""
    overrides, told = BAD[case]
    with pytest.raises(ConfigError) as caught:
        load_config(CompareConfig, overrides=overrides)
    assert told in caught.value.message


def test_neighbours_of_a_kind_are_driven_together_in_order() -> None:
    """Networks of one architecture are an ensemble, tuned ones share a controller of vectors."""
    scene = Bicycle(2)
    small, large = ControllerConfig(hidden_sizes=[4]), ControllerConfig(hidden_sizes=[6])

    def network(config: ControllerConfig) -> NetworkDriver:
        sizes = (PathObserver.size(config), 2, config.hidden_sizes)
        return NetworkDriver(MLPController(*sizes).double(), config)

    drivers = [
        network(small),
        network(small),
        network(large),
        TunedDriver("stanley", {"gain": 1.0}),
        TunedDriver("stanley", {"gain": 2.0}),
        TunedDriver("pure-pursuit", {"lookahead_time": 0.2}),
        network(small),
    ]
    entrants = entrants_of(drivers, scene)
    members = entrants(2)
    assert [count for _, count in members] == [4, 2, 4, 2, 2]
    kinds = ["ensemble", "ensemble", "stanley", "pure-pursuit", "ensemble"]
    assert [controller.name for controller, _ in members] == kinds
    assert isinstance(members[0][0], TrackingEnsemble)
    assert members[2][0].gain.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert members[2][0].gain.dtype == torch.float64
