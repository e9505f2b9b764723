"""The suite: figures as those of the metrics, the same trials for everybody, honest losses."""

import dataclasses
import math

import pytest
import torch

from diffcar.base.config import load_config
from diffcar.base.errors import SimulationError
from diffcar.comparison import suite
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.results import Run
from diffcar.comparison.runs import FinishedRun, RunController, batch_controllers
from diffcar.comparison.suite import drive_suite
from diffcar.controllers.batch import TrackingEnsemble
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.observation import PathObserver
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.metrics import CARS_EACH, SuiteFigures, car_figures, tracking_metrics
from tests.bicycle import Bicycle
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
        expected = SuiteFigures(rmse, largest, speed, 0.0)
        assert dataclasses.astuple(figures[number]) == pytest.approx(dataclasses.astuple(expected))
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

    def network(config: ControllerConfig) -> RunController:
        sizes = (PathObserver.size(config), 2, config.hidden_sizes)
        return RunController(config.model_dump_json(), MLPController(*sizes).double(), config)

    controllers = [
        network(small),
        network(small),
        network(large),
        tuned("stanley", gain=1.0),
        tuned("stanley", gain=2.0),
        tuned("pure-pursuit", lookahead_time=0.2),
        network(small),
    ]
    members = batch_controllers(controllers, Bicycle(2), 2)._members
    assert [count for _, count in members] == [4, 2, 4, 2, 2]
    kinds = ["ensemble", "ensemble", "stanley", "pure-pursuit", "ensemble"]
    assert [controller.name for controller, _ in members] == kinds
    assert isinstance(members[0][0], TrackingEnsemble)
    assert members[2][0].gain.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert members[2][0].gain.dtype == torch.float64


class Fragile(Bicycle):
    """Cars of which one breaks the physics for everybody when it is told to."""

    def apply(self, action: torch.Tensor) -> None:
        if bool((action[:, 1] > 90).any()):
            raise SimulationError("a state is no longer finite")
        super().apply(action)


def test_who_breaks_the_physics_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are driven again without it, and score as they would have without it."""
    monkeypatch.setattr(
        suite, "build_scene", lambda *args, num_envs, **how: Fragile(num_envs, dt=0.04)
    )
    monkeypatch.setattr(suite, "_CONTROLLERS_AT_ONCE", 4)
    only = ["seeds=[0]", "suite.engines=[genesis]", "suite.conditions={}"]
    config = load_config(CompareConfig, overrides=only)
    controllers = [PURE_PURSUIT, STANLEY, PURE_PURSUIT]
    runs = [
        FinishedRun(Run(method, 0, "", 0.0, 0), controller, [])
        for method, controller in zip("abc", controllers, strict=True)
    ]
    made = suite.Suite(config, [PATH], VEHICLE)
    alone, _ = made.scores(runs[:1])
    monkeypatch.setattr(
        "diffcar.controllers.stanley.Stanley.__call__",
        lambda self, state, errors: torch.full((len(state.yaw), 2), 99.0, dtype=torch.float64),
    )
    scores, tracks = made.scores(runs)
    assert scores.method.tolist() == ["a", "b", "c"]
    figures = scores.drop(columns="method").to_dict("records")
    assert figures[0] == figures[2] == alone.drop(columns="method").to_dict("records")[0]
    assert (figures[1]["lost"], figures[1]["cross_track_rmse_m"]) == (1.0, 1.0)
    assert tracks.method.unique().tolist() == ["a", "c"]
