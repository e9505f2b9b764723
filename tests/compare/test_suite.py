"""The suite: figures as those of the metrics, the same trials for everybody, honest losses."""

import dataclasses
import math
from collections.abc import Sequence

import pytest
import torch

from diffcar.compare.suite import Entrants, drive_entrants
from diffcar.controllers.contract import Controller
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.zero import Zero
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.metrics import CARS_EACH, SuiteFigures, car_figures, tracking_metrics
from tests.bicycle import Bicycle
from tests.samples import road

CALM = DisturbanceConfig()
PATH = road("obstacle-avoidance")


@pytest.fixture(scope="module")
def cars() -> Bicycle:
    """Cars for three entrants."""
    return Bicycle(3 * CARS_EACH, dt=0.04)


def entrants(cars: Bicycle, *kinds: type) -> Entrants:
    def build(cars_each: int) -> Sequence[tuple[Controller, int]]:
        made = [kind(cars.vehicle) for kind in kinds]
        return [(controller, cars_each) for controller in made]

    return build


def test_figures_are_those_of_the_metrics_where_the_path_is_driven(cars: Bicycle) -> None:
    """Both cars together: the root of the mean square, the larger maximum, nobody lost."""
    figures, drive = drive_entrants(
        cars, entrants(cars, PurePursuit, Stanley, Zero), PATH, CALM, seed=0
    )
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
    figures, drive = drive_entrants(cars, entrants(cars, Zero, Zero, Zero), PATH, CALM, seed=0)
    found = car_figures(drive, PATH)
    assert float(drive.trajectory.cross_track_error[:, 0].abs().max()) < 1e-3
    assert bool(found.is_lost[0])
    assert float(found.cross_track_rmse[0]) == float(found.cross_track_max[0]) == 1.0
    assert math.isnan(float(found.speed_rmse[0]))
    assert figures[0].lost >= 0.5
    assert figures[0].cross_track_rmse_m >= math.sqrt(0.5)
    assert figures[0].cross_track_max_m == 1.0


def test_equal_entrants_meet_the_same_pushes_and_noise(cars: Bicycle) -> None:
    """The first and the third get equal figures, worse than undisturbed, and a seed's own."""
    disturbed = DisturbanceConfig(
        push_force=30.0, push_interval=0.7, position_noise=0.01, yaw_noise=0.02
    )
    who = entrants(cars, PurePursuit, Stanley, PurePursuit)
    (first, other, third), drive = drive_entrants(cars, who, PATH, disturbed, seed=4)
    (again, *_), _ = drive_entrants(cars, who, PATH, disturbed, seed=4)
    (elsewhere, *_), _ = drive_entrants(cars, who, PATH, disturbed, seed=5)
    (calm, *_), _ = drive_entrants(cars, who, PATH, CALM, seed=4)
    assert first == third == again
    error = drive.trajectory.cross_track_error
    assert torch.equal(error[:, :CARS_EACH], error[:, 2 * CARS_EACH :])
    assert len({f.cross_track_rmse_m for f in (first, other, elsewhere, calm)}) == 4
    assert first.cross_track_rmse_m > 1.5 * calm.cross_track_rmse_m
