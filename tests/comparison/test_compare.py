"""`diffcar compare`: everybody is trained, driven and written down, and nothing twice."""

import functools
import json
import math
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError, ConfigError, SimulationError
from diffcar.base.settings_yaml import dump_config
from diffcar.comparison import runs, suite
from diffcar.comparison.compare import CompareResult, _suite_paths, compare
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.page import write_results
from diffcar.sim.model.read import load_vehicle
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.training.contract import UpdateRecord
from diffcar.training.session import Evaluated
from tests.bicycle import bicycle_scenes, bicycles

# What its tests share is made in one worker alone.
pytestmark = pytest.mark.xdist_group("comparison")

TINY = """
precision: 64
dt: 0.05
methods: [bc-e2e, e2e, stanley]
path: {source: FOLDER/track.csv}
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
def _few_cars() -> Iterator[None]:
    """Bicycles for everybody, sixteen controllers at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffcar.comparison.compare.Scenes", bicycle_scenes)
        patch.setattr(suite, "build_scene", bicycles)
        patch.setattr(suite, "_CONTROLLERS_AT_ONCE", 16)
        patch.setattr(runs, "_NUM_EVALUATION_CARS", 4)
        yield


@pytest.fixture(scope="module")
def finished(_few_cars: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Stopped in the first training, and gone on with to the end."""
    folder = tmp_path_factory.mktemp("compare")
    for name, size in {"bend": 0.3, "track": 0.4}.items():
        points = ((0.1 * i, size * math.sin(0.1 * i)) for i in range(41))
        (folder / f"{name}.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in points))
    (folder / "tiny.yaml").write_text(TINY.replace("FOLDER", str(folder)))
    config = load_config(CompareConfig, file=folder / "tiny.yaml")

    def stop(event: UpdateRecord | Evaluated) -> None:
        if isinstance(event, UpdateRecord):
            signal.raise_signal(signal.SIGINT)

    stopped = compare(config, out=folder / "runs", on_update=stop)
    # As a session leaves it that is ended while its scene is built.
    (folder / "runs" / "bc-e2e-0" / "checkpoints").mkdir(parents=True)
    return Finished(stopped, compare(config, resume=folder / "runs"), config, folder / "runs")


def test_a_stopped_training_ends_the_comparison_and_can_go_on(finished: Finished) -> None:
    """After its update, with nothing scored; the rest is done later, and the first not again."""
    assert finished.stopped.is_interrupted
    assert not finished.result.is_interrupted
    assert finished.stopped.comparison.scores.empty
    lines = (finished.folder / "e2e-0" / "metrics.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["iteration", "0", "1", "2", "3"]


def test_everybody_is_scored_everywhere(finished: Finished) -> None:
    """Each method in each engine under each condition on each path, finite and not all alike."""
    scores = finished.result.comparison.scores
    found = list(scores[["method", "engine", "condition", "path"]].itertuples(index=False))
    expected = {
        (method, engine, condition, "bend")
        for method in ("e2e", "bc-e2e", "stanley")
        for engine in ("genesis", "mujoco")
        for condition in ("nominal", "slippery")
    }
    assert {tuple(place) for place in found} == expected
    assert len(found) == len(expected)
    rmse = scores.cross_track_rmse_m
    assert ((rmse > 0) & (rmse <= 1.0)).all()
    tuned = rmse[scores.method == "stanley"]
    assert tuned.nunique() == 4
    assert tuned.max() < 0.1
    tracks = finished.result.comparison.tracks
    assert set(zip(tracks.method, tracks.engine, strict=True)) == {p[:2] for p in expected}


def test_curves_go_from_the_first_update_to_the_final_score(finished: Finished) -> None:
    """Costs grow along them; at their end is who was scored in Genesis, undisturbed."""
    comparison = finished.result.comparison
    iterations = {"e2e": [0, 1, 2, 3], "bc-e2e": [0, 1, 2, 4], "stanley": [1, 2]}
    for method, expected in iterations.items():
        curve = comparison.curves[comparison.curves.method == method]
        assert curve.iteration.tolist() == expected
        assert curve.train_seconds.is_monotonic_increasing
        assert curve.train_seconds.is_unique, method
        assert curve.num_env_steps.is_monotonic_increasing, method
        assert curve.num_env_steps.iloc[-1] > 0
    # After the slippery drives in the same scene: nothing of them is left.
    scored = comparison.rmse("path", engine="genesis", condition="nominal").loc["bend", "stanley"]
    assert curve.cross_track_rmse_m.iloc[-1] == pytest.approx(scored, rel=1e-6)


def test_results_are_written(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page to read, and every figure in JSON and CSV; pictures are drawn for other tests."""
    monkeypatch.setattr("diffcar.comparison.page.save_png", lambda figure, file: None)
    monkeypatch.setattr("diffcar.comparison.page.inline_svg", lambda *args: "<svg></svg>")
    page = write_results(
        finished.result.comparison,
        finished.folder,
        configuration=dump_config(finished.config),
        command="diffcar compare",
        unwritten={},
    )
    assert page.read_text().lstrip().lower().startswith("<!doctype html")
    scores = json.loads((finished.folder / "comparison.json").read_text())["scores"]
    assert len(scores) == 12
    assert len((finished.folder / "scores.csv").read_text().splitlines()) == 13


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

    again = compare(finished.config, resume=finished.folder, on_update=note)
    assert stamps() == before
    assert len(before) >= 4 + 4 + 4 + 1
    assert steps == []
    assert again.comparison.runs == finished.result.comparison.runs
    pd.testing.assert_frame_equal(again.comparison.scores, finished.result.comparison.scores)


def test_a_comparison_goes_on_with_its_settings_and_files(finished: Finished) -> None:
    """Refused before anything is trained, with what differs."""
    config = finished.config
    tuning = config.tuning.model_copy(update={"num_generations": 7})
    e2e = config.e2e.model_copy(update={"horizon": 9})
    for changed, told in (
        ({"tuning": tuning}, "tuning.num_generations 2 -> 7"),
        ({"e2e": e2e}, "train.horizon 6 -> 9"),
    ):
        with pytest.raises(ConfigError, match=told):
            compare(config.model_copy(update=changed), resume=finished.folder)
    track = Path(config.path.source)
    before = track.read_text()
    for methods in (["stanley"], ["e2e"]):
        track.write_text(before + "4.2,0\n")
        with pytest.raises(ConfigError, match=r"track.csv' is something else now"):
            compare(config.model_copy(update={"methods": methods}), resume=finished.folder)
        track.write_text(before)


TUNINGS = {
    "5": "Input should be an object",
    "{": "Invalid JSON",
    '{"settings": {}, "generations": []}': "generations: List should have at least 1",
    '{"settings": {}, "generations": [5]}': "generations.0: ",
    '{"settings": [1], "generations": []}': "settings: ",
}


@pytest.mark.parametrize("text", TUNINGS)
def test_a_damaged_search_is_told(text: str, tmp_path: Path) -> None:
    """With the key, and what to do."""
    file = tmp_path / "tuning.json"
    file.write_text(text)
    with pytest.raises(CheckpointError, match=rf"tuning.json' is damaged: {TUNINGS[text]}") as told:
        runs._read_tuning(file)
    assert told.value.hint == "remove it to search anew"


def test_a_copy_of_a_checkpoint_is_no_snapshot(finished: Finished) -> None:
    """Nor does it end the comparison."""
    kept = finished.folder / "e2e-0" / "checkpoints"
    copy = kept / "at-000001 copy.pt"
    shutil.copyfile(kept / "at-000001.pt", copy)
    again = compare(finished.config, resume=finished.folder)
    copy.unlink()
    pd.testing.assert_frame_equal(again.comparison.curves, finished.result.comparison.curves)


def test_only_a_comparison_is_gone_on_with(tmp_path: Path) -> None:
    """With settings given or without; no folder is made."""
    for config in (None, CompareConfig()):
        with pytest.raises(CheckpointError, match="is not the folder of a comparison"):
            compare(config, resume=tmp_path / "typo")
    assert list(tmp_path.iterdir()) == []


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
    result = compare(config, out=tmp_path / "runs", loaded={"e2e": run})
    assert result.comparison.methods == ["e2e", "bc-e2e"]
    assert result.comparison.runs[0].source == str(run)
    assert not (tmp_path / "runs" / "e2e-0").exists()
    recorded = [
        f / "bc-e2e-0" / "demonstrations-0.csv" for f in (tmp_path / "runs", finished.folder)
    ]
    assert recorded[0].read_text() == recorded[1].read_text()


def test_a_run_that_is_missing_is_missed_before_anything_is_trained(tmp_path: Path) -> None:
    """Not after the hours that the other methods take."""
    with pytest.raises(CheckpointError, match="nowhere"):
        compare(CompareConfig(), out=tmp_path / "runs", loaded={"bc-e2e": tmp_path / "nowhere"})
    assert not (tmp_path / "runs").exists()


def test_a_road_has_one_number_however_much_grip_it_is_driven_with() -> None:
    """Names tell all paths of a suite apart."""
    sources = [
        *("sine, grip: 0.8", "sine, grip: 0.9", "sine, scale: 2.0, grip: 0.9", "slalom"),
        *("sine, grip: 0.9", "sine", "sine"),
    ]
    paths = ", ".join(f"{{source: {source}}}" for source in sources)
    config = load_config(CompareConfig, overrides=[f"suite.paths=[{paths}]"])
    loaded = _suite_paths(config, load_vehicle("racer"))
    assert [path.name for path in loaded] == [
        *("sine at 80 %", "sine at 90 %", "sine #2 at 90 %", "slalom", "sine #3 at 90 %"),
        *("sine", "sine #4"),
    ]
    assert (loaded[1].samples[:, 4] >= loaded[0].samples[:, 4]).all()


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


def test_a_scene_that_cannot_be_built_leaves_no_folder_in_the_way(tmp_path: Path) -> None:
    """The same `--out` can be given again; what was there before stays."""

    def refuse(*args: object, **options: object) -> None:
        raise SimulationError("no room for so many cars")

    (tmp_path / "there").mkdir()
    for out in (tmp_path / "c", tmp_path / "c", tmp_path / "there"):
        with pytest.MonkeyPatch.context() as patch:
            scenes = functools.partial(Scenes, build=refuse)
            patch.setattr("diffcar.comparison.compare.Scenes", scenes)
            with pytest.raises(SimulationError, match="no room"):
                compare(CompareConfig(methods=["stanley"], seeds=[0]), out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
