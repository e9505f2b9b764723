"""The suite: figures as those of the metrics, the same trials for everybody, honest losses."""

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError
from diffcar.comparison import suite
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.driven import KeptDrives
from diffcar.comparison.results import Run
from diffcar.comparison.runs import FinishedRun, RunController, Snapshot
from diffcar.comparison.suite import batch_controllers, drive_suite
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.path.reference import ReferencePath
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.drive import Drive
from diffcar.tasks.tracking.metrics import (
    CARS_EACH,
    car_figures,
    suite_figures,
    tracking_metrics,
)
from tests.bicycle import Bicycle, Fragile
from tests.samples import VEHICLE, road

CALM = DisturbanceConfig()
PATH = road("obstacle-avoidance")


@pytest.fixture(scope="module")
def cars() -> Bicycle:
    """Cars for three controllers."""
    return Bicycle(3 * CARS_EACH, dt=0.04)


def tuned(kind: str, **parameters: float) -> RunController:
    """Return a classical controller, with parameters of its own."""
    return RunController(kind, parameters=parameters)


def network(config: ControllerConfig) -> RunController:
    """Return a network with weights of its own."""
    made = MLPController(PathObserver.size(config), 2, config.hidden_sizes).double()
    torch.nn.init.normal_(list(made.parameters())[-2], std=0.1)  # it begins with zeros
    return RunController(config.model_dump_json(), made, config)


PURE_PURSUIT = tuned("pure-pursuit", lookahead_time=0.12)
STANLEY = tuned("stanley", gain=2.0)
ZERO = tuned("zero")


def test_figures_are_those_of_the_metrics_where_the_path_is_driven(cars: Bicycle) -> None:
    """Both cars together: the root of the mean square, the larger maximum, nobody lost."""
    figures, drive = drive_suite(cars, [PURE_PURSUIT, STANLEY, ZERO], PATH, CALM, seed=0)
    for number in (0, 1):
        own = [
            tracking_metrics(
                drive.trajectory.select(torch.tensor([CARS_EACH * number + car])),
                goal_distance=PATH.length,
                skip_distance=2.0,
            )
            for car in range(CARS_EACH)
        ]
        assert all(metrics.completion == 1.0 for metrics in own)
        rmse = math.sqrt(sum(m.cross_track_rmse_m**2 for m in own) / CARS_EACH)
        speed = math.sqrt(sum(m.speed_rmse_mps**2 for m in own) / CARS_EACH)
        largest = max(m.cross_track_max_m for m in own)
        found = dataclasses.astuple(figures[number])
        assert found[:4] == pytest.approx((rmse, largest, speed, 0.0))
        assert rmse < figures[number].cross_track_p95_m < largest
        assert abs(figures[number].time_over_profile) < 0.05
        assert 1e-4 < rmse < 0.05
    # One started at rest, one did not.
    speed = drive.trajectory.speed_before[0]
    assert torch.count_nonzero(speed[::2].abs() > 1e-3) == 0
    assert float(speed[1::2].min()) > 1.0


def test_who_does_nothing_has_lost_and_is_a_metre_off(cars: Bicycle) -> None:
    """A car at rest that stays there has no error, and gets the worst."""
    figures, drive = drive_suite(cars, [ZERO] * 3, PATH, CALM, seed=0)
    found = car_figures(drive)
    assert float(drive.trajectory.cross_track_error[:, 0].abs().max()) < 1e-3
    assert bool(found.is_lost[0])
    assert float(found.cross_track_rmse[0]) == float(found.cross_track_max[0]) == 1.0
    assert math.isnan(float(found.speed_rmse[0]))
    assert figures[0].lost >= 0.5
    assert figures[0].cross_track_rmse_m >= math.sqrt(0.5)
    assert figures[0].cross_track_max_m == 1.0


def test_equal_drivers_meet_the_same_pushes_and_noise(cars: Bicycle) -> None:
    """The first and the third get equal figures, worse than undisturbed, and a seed's own."""
    disturbed = DisturbanceConfig(
        push_force=30.0, push_interval=0.7, position_noise=0.01, yaw_noise=0.02
    )
    who = [PURE_PURSUIT, STANLEY, PURE_PURSUIT]
    (first, other, third), drive = drive_suite(cars, who, PATH, disturbed, seed=4)
    (again, *_), _ = drive_suite(cars, who, PATH, disturbed, seed=4)
    (elsewhere, *_), _ = drive_suite(cars, who, PATH, disturbed, seed=5)
    (calm, *_), _ = drive_suite(cars, who, PATH, CALM, seed=4)
    assert first == third == again
    error = drive.trajectory.cross_track_error
    assert torch.equal(error[:, :CARS_EACH], error[:, 2 * CARS_EACH :])
    assert len({f.cross_track_rmse_m for f in (first, other, elsewhere, calm)}) == 4
    assert first.cross_track_rmse_m > 1.5 * calm.cross_track_rmse_m


def test_neighbours_of_a_kind_are_driven_together_in_order() -> None:
    """Networks of one architecture are an ensemble, tuned ones share a controller of vectors."""
    small, large = ControllerConfig(hidden_sizes=[4]), ControllerConfig(hidden_sizes=[6])

    controllers = [
        network(small),
        network(small),
        network(large),
        tuned("stanley", gain=1.0),
        tuned("stanley", gain=2.0),
        tuned("pure-pursuit", lookahead_time=0.2),
        network(small),
    ]
    members = batch_controllers(controllers, Bicycle(2))._members
    assert [count for _, count in members] == [4, 2, 4, 2, 2]
    kinds = [TrackingMLP, TrackingMLP, Stanley, PurePursuit, TrackingMLP]
    assert [type(controller) for controller, _ in members] == kinds
    assert members[2][0].gain.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert members[2][0].gain.dtype == torch.float64


def record(
    distance: torch.Tensor, error: torch.Tensor, goal: float, start: float = 0.0, dt: float = 0.4
) -> Drive:
    """Return the drive of two cars on a road of 8 m that takes 4 s, from 1 m/s to 3 m/s."""
    grid = np.linspace(0, 8, 81)
    still = np.zeros(81)
    samples = np.stack([grid, still, still, still, np.sqrt(1 + grid)], 1)
    trajectory = SimpleNamespace(
        path=ReferencePath(grid, samples, closed=False),
        vehicle=VEHICLE,
        distance=distance,
        cross_track_error=error,
        speed_error=torch.zeros_like(error),
        start_arc_length=torch.full((2,), start, dtype=torch.float64),
        dt=dt,
    )
    whole = torch.full((2,), goal, dtype=torch.float64)
    return Drive(trajectory, whole, (distance >= whole).cummax(0).values)  # type: ignore[arg-type]


def test_time_and_percentile_are_as_by_hand() -> None:
    """Of a car that arrives between two steps, 25 % after the reference speed; then from 3 m on."""
    step = torch.arange(1, 15, dtype=torch.float64)[:, None].expand(-1, 2)
    distance, error = 0.64 * step, torch.full_like(step, 0.01)
    # 18 entries of both cars count, from 2.56 m to 7.68 m: the 95th percentile is past the 17th.
    error[5, 0], error[6, 1] = -0.02, 0.04
    error[13, 1] = 3.0  # after the goal
    (found,) = suite_figures(record(distance, error, 8.0))
    assert found.time_over_profile == pytest.approx(5.0 / 4.0 - 1)
    assert found.cross_track_p95_m == pytest.approx(0.02 + 0.15 * 0.02)
    assert (found.cross_track_max_m, found.lost) == (0.04, 0.0)
    # From 3 m at 2 m/s to the end: 2 s, and 5 m of 0.64 m a step.
    (late,) = suite_figures(record(distance, error, 5.0, start=3.0))
    assert late.time_over_profile == pytest.approx(5.0 / 0.64 * 0.4 / 2 - 1)


def test_who_fails_has_no_time_and_a_percentile_of_a_metre() -> None:
    """The car at speed alone has a time; it is lost, or stands still, or the other is lost."""
    step = torch.arange(1, 15, dtype=torch.float64)[:, None].expand(-1, 2)
    distance = 0.64 * step
    for lost in (0, 1):
        error = torch.zeros_like(step)
        error[6, lost] = 1.5
        (found,) = suite_figures(record(distance, error, 8.0))
        assert (found.lost, found.cross_track_p95_m) == (0.5, 1.0)
        assert math.isnan(found.time_over_profile) == (lost == 1)
    slow = distance * torch.tensor([1.0, 0.5])
    assert math.isnan(suite_figures(record(slow, 0 * slow, 8.0))[0].time_over_profile)


def settings(*overrides: str) -> CompareConfig:
    """Return settings of a small comparison."""
    only = ["seeds=[0]", "suite.engines=[genesis]", "suite.conditions={}"]
    return load_config(CompareConfig, overrides=[*only, *overrides])


def test_paths_of_several_grips_are_scored_apart_and_one_of_them_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That of the training path; learning curves are of it, too."""
    monkeypatch.setattr(
        suite, "build_scene", lambda *args, num_envs, **how: Bicycle(num_envs, dt=0.04)
    )
    monkeypatch.setattr(suite, "_CONTROLLERS_AT_ONCE", 4)
    grips = ", ".join(f"{{source: obstacle-avoidance, grip: {grip}}}" for grip in (0.8, 0.9))
    config = settings(f"suite.paths=[{grips}]", "path.grip=0.85")
    assert config.ranked_grip == 0.8
    config = settings(f"suite.paths=[{grips}]")
    assert config.ranked_grip == 0.9
    paths = [PATH.slowed(0.9).named("slow"), PATH]
    made = suite.Suite(config, paths, VEHICLE, KeptDrives(tmp_path, config, VEHICLE))
    run = Run("stanley", 0, "", 0.0, 0)
    snapshot = Snapshot(1, 1.0, 10, STANLEY)
    finished = [FinishedRun(run, STANLEY, [snapshot])]
    scores, tracks = made.scores(finished)
    assert scores[["path", "grip"]].to_numpy().tolist() == [["slow", 0.8], [PATH.name, 0.9]]
    assert scores.cross_track_rmse_m.nunique() == 2
    assert tracks.path.unique().tolist() == [PATH.name]
    assert made.curves(finished).cross_track_rmse_m[0] == scores.cross_track_rmse_m[1]


def test_who_breaks_the_physics_fails_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The others are driven again without it, and score as they would have without it."""
    monkeypatch.setattr(
        suite, "build_scene", lambda *args, num_envs, **how: Fragile(num_envs, dt=0.04)
    )
    monkeypatch.setattr(suite, "_CONTROLLERS_AT_ONCE", 4)
    config = settings("suite.paths=[{source: obstacle-avoidance}]")
    controllers = [PURE_PURSUIT, STANLEY, PURE_PURSUIT]
    runs = [
        FinishedRun(Run(method, 0, "", 0.0, 0), controller, [])
        for method, controller in zip("abc", controllers, strict=True)
    ]
    made = suite.Suite(config, [PATH], VEHICLE, KeptDrives(tmp_path, config, VEHICLE))
    alone, _ = made.scores(runs[:1])
    monkeypatch.setattr(
        "diffcar.controllers.stanley.Stanley.__call__",
        lambda self, state, errors: torch.full((len(state.yaw), 2), 99.0, dtype=torch.float64),
    )
    scores, tracks = made.scores(runs)
    assert scores.method.tolist() == ["a", "b", "c"]
    figures = scores.drop(columns=["method", "grip"]).to_dict("records")
    assert figures[0] == figures[2] == alone[list(figures[0])].to_dict("records")[0]
    assert (figures[1]["lost"], figures[1]["cross_track_rmse_m"]) == (1.0, 1.0)
    assert tracks.method.unique().tolist() == ["a", "c"]


def test_what_was_driven_is_kept_until_something_it_depends_on_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same drive is not driven twice, not even by another session; a damaged file is named."""
    driven = []

    def counted(cars: Bicycle, controllers: list[RunController], *others: object, seed: int):
        driven.append(controllers)
        return drive_suite(cars, controllers, *others, seed=seed)

    monkeypatch.setattr(
        suite, "build_scene", lambda *args, num_envs, **how: Bicycle(num_envs, dt=0.04)
    )
    monkeypatch.setattr(suite, "_CONTROLLERS_AT_ONCE", 2)
    monkeypatch.setattr(suite, "drive_suite", counted)

    def scores(controller: RunController, *overrides: str, path: ReferencePath = PATH) -> list:
        config = settings("suite.paths=[{source: obstacle-avoidance}]", *overrides)
        made = suite.Suite(config, [path], VEHICLE, KeptDrives(tmp_path, config, VEHICLE))
        table, tracks = made.scores([FinishedRun(Run("a", 0, "", 0.0, 0), controller, [])])
        return [table.cross_track_rmse_m.tolist(), tracks.to_numpy().tolist()]

    first = scores(STANLEY)
    assert (scores(STANLEY), len(driven)) == (first, 1)
    assert scores(tuned("stanley", gain=2.1)) != first
    assert scores(STANLEY, path=PATH.slowed(0.9)) != first
    assert len(driven) == 3
    scores(STANLEY, "seed=5")
    scores(STANLEY, "actuation=pd")
    assert scores(network(ControllerConfig())) != scores(network(ControllerConfig()))
    assert len(driven) == 7
    monkeypatch.setattr("importlib.metadata.version", lambda name: "of another simulator")
    assert (scores(STANLEY), len(driven)) == (first, 8)
    for damaged, told in {"[[": "damaged", "[]": "0 drives instead of 1"}.items():
        for file in tmp_path.iterdir():
            file.write_text(damaged)
        with pytest.raises(CheckpointError, match=told):
            scores(STANLEY)
