"""The suite: figures as those of the metrics, the same trials for everybody, honest losses."""

import dataclasses
import math
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from diffcar.compare.suite import Entrants, drive_entrants
from diffcar.controllers.contract import Controller
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.zero import Zero
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.build import build_mujoco_scene
from diffcar.sim.config import CarConfig
from diffcar.sim.mujoco_car import MuJoCoCar
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.drive import Drive
from diffcar.tasks.tracking.metrics import CARS_EACH, SuiteFigures, car_figures, tracking_metrics

CALM = DisturbanceConfig()
PATH = load_path(PathConfig(source="double-lane-change"))


@pytest.fixture(scope="module")
def cars() -> MuJoCoCar:
    """Cars for three entrants."""
    return build_mujoco_scene(CarConfig(), num_envs=3 * CARS_EACH, dtype=torch.float64)


def entrants(cars: MuJoCoCar, *kinds: type) -> Entrants:
    def build(cars_each: int) -> Sequence[tuple[Controller, int]]:
        made = [kind() if kind is Zero else kind(cars.vehicle) for kind in kinds]
        return [(controller, cars_each) for controller in made]

    return build


def driven(
    distance: list[list[float]], error: list[list[float]], speed_error: list[list[float]]
) -> Drive:
    """Return a drive towards a goal ten metres ahead, each list a car's."""
    columns = (torch.tensor(c, dtype=torch.float64).T for c in (distance, error, speed_error))
    names = ("distance", "cross_track_error", "speed_error")
    trajectory = SimpleNamespace(**dict(zip(names, columns, strict=True)))
    goal = torch.full((len(distance),), 10.0, dtype=torch.float64)
    return Drive(trajectory, goal, (trajectory.distance >= goal).cummax(0).values)


LONG = SimpleNamespace(length=100.0)


def test_figures_are_those_of_the_metrics_where_the_path_is_driven(cars: MuJoCoCar) -> None:
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


def test_who_does_nothing_has_lost_and_is_a_metre_off(cars: MuJoCoCar) -> None:
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


def test_equal_entrants_meet_the_same_pushes_and_noise(cars: MuJoCoCar) -> None:
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


def test_a_lost_car_counts_as_a_metre_off() -> None:
    """However well it began, and although it comes back; without it the errors are by hand."""
    found = car_figures(
        driven(
            [[1.0, 3.0, 4.0, 5.0, 6.0], [1.0, 3.0, 9.0, 10.0, 11.0]],
            [[0.5, 0.2, 0.4, 1.5, 0.1], [0.5, 0.2, 0.4, 7.0, 7.0]],
            [[9.0, 1.0, 2.0, 9.0, 9.0], [9.0, 1.0, 2.0, 9.0, 9.0]],
        ),
        LONG,
    )
    assert found.is_lost.tolist() == [True, False]
    assert found.cross_track_rmse.tolist() == pytest.approx([1.0, math.sqrt((0.04 + 0.16) / 2)])
    assert found.cross_track_max.tolist() == pytest.approx([1.0, 0.4])
    assert math.isnan(found.speed_rmse[0])
    assert float(found.speed_rmse[1]) == pytest.approx(math.sqrt((1 + 4) / 2))


def test_a_car_that_does_not_arrive_has_failed_unless_it_need_not() -> None:
    """A crawling car tracks very well."""
    drive = driven([[3.0, 4.0, 5.0]], [[0.1, 0.1, 0.1]], [[0.0, 0.0, 0.0]])
    assert float(car_figures(drive, LONG).cross_track_rmse) == 1.0
    free = car_figures(drive, LONG, must_arrive=False)
    assert float(free.cross_track_rmse) == pytest.approx(0.1)


def test_a_car_lost_on_the_first_metres_is_a_metre_off() -> None:
    """What is left out of the figures of others does not excuse it."""
    found = car_figures(driven([[0.5, 1.0, 1.2]], [[0.1, 1.2, 0.3]], [[0.0, 0.0, 0.0]]), LONG)
    assert (bool(found.is_lost), float(found.cross_track_rmse)) == (True, 1.0)


def test_what_a_car_does_beyond_its_goal_does_not_count() -> None:
    """It waits for the others there, and whatever becomes of it, it has arrived."""

    def figures_of(after: Tensor) -> list[float]:
        error = [[0.1, 0.2, 0.2, *after.tolist()]]
        found = car_figures(driven([[3.0, 6.0, 9.0, 11.0, 12.0]], error, [[0.5] * 5]), LONG)
        return [float(value) for value in vars(found).values()]

    near, far = figures_of(torch.tensor([0.1, 0.1])), figures_of(torch.tensor([0.7, 1.4]))
    assert near == far
    assert near == pytest.approx([math.sqrt(0.09 / 3), 0.2, 0.5, 0.0])
