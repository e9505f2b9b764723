"""Figures of trajectories against hand-worked values."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from diffcar.tasks.tracking.drive import Drive
from diffcar.tasks.tracking.metrics import car_figures, tracking_metrics
from tests.samples import VEHICLE, trajectory_of


def test_metrics_count_between_the_skipped_start_and_the_goal() -> None:
    """Errors 9, 3, -4, 9 at 1 to 4 m: after 1.5 m and up to 3 m only 3 and -4 count."""
    metrics = tracking_metrics(
        trajectory_of([9.0, 3.0, -4.0, 9.0]), goal_distance=3.0, skip_distance=1.5
    )
    assert metrics.cross_track_rmse_m == pytest.approx(math.sqrt(12.5))
    assert metrics.cross_track_mean_m == pytest.approx(3.5)
    assert metrics.cross_track_max_m == pytest.approx(4.0)
    assert metrics.speed_rmse_mps == pytest.approx(0.5)
    assert metrics.completion == 1.0


def test_metrics_of_a_car_that_never_left_are_not_numbers() -> None:
    """Nothing is invented where nothing was measured."""
    trajectory = dataclasses.replace(
        trajectory_of([0.0, 0.0]), arc_length=torch.zeros(2, 1, dtype=torch.float64)
    )
    metrics = tracking_metrics(trajectory, goal_distance=10.0, skip_distance=2.0)
    assert math.isnan(metrics.cross_track_rmse_m)
    assert metrics.completion == 0.0


LONG = SimpleNamespace(length=100.0)


def driven(
    distance: list[list[float]], error: list[list[float]], speed_error: list[list[float]]
) -> Drive:
    """Return a drive towards a goal ten metres ahead, each list a car's."""
    columns = (torch.tensor(c, dtype=torch.float64).T for c in (distance, error, speed_error))
    names = ("distance", "cross_track_error", "speed_error")
    trajectory = SimpleNamespace(
        path=LONG, vehicle=VEHICLE, **dict(zip(names, columns, strict=True))
    )
    goal = torch.full((len(distance),), 10.0, dtype=torch.float64)
    return Drive(trajectory, goal, (trajectory.distance >= goal).cummax(0).values)


def test_a_lost_car_counts_as_a_metre_off() -> None:
    """However well it began, and although it comes back; without it the errors are by hand."""
    found = car_figures(
        driven(
            [[1.0, 3.0, 4.0, 5.0, 6.0], [1.0, 3.0, 9.0, 10.0, 11.0]],
            [[0.5, 0.2, 0.4, 1.5, 0.1], [0.5, 0.2, 0.4, 7.0, 7.0]],
            [[9.0, 1.0, 2.0, 9.0, 9.0], [9.0, 1.0, 2.0, 9.0, 9.0]],
        ),
    )
    assert found.is_lost.tolist() == [True, False]
    assert found.cross_track_rmse.tolist() == pytest.approx([1.0, math.sqrt((0.04 + 0.16) / 2)])
    assert found.cross_track_max.tolist() == pytest.approx([1.0, 0.4])
    assert math.isnan(found.speed_rmse[0])
    assert float(found.speed_rmse[1]) == pytest.approx(math.sqrt((1 + 4) / 2))


def test_a_car_that_does_not_arrive_has_failed_unless_it_need_not() -> None:
    """A crawling car tracks very well."""
    drive = driven([[3.0, 4.0, 5.0]], [[0.1, 0.1, 0.1]], [[0.0, 0.0, 0.0]])
    assert float(car_figures(drive).cross_track_rmse) == 1.0
    free = car_figures(drive, must_arrive=False)
    assert float(free.cross_track_rmse) == pytest.approx(0.1)


def test_a_car_lost_on_the_first_metres_is_a_metre_off() -> None:
    """What is left out of the figures of others does not excuse it."""
    found = car_figures(driven([[0.5, 1.0, 1.2]], [[0.1, 1.2, 0.3]], [[0.0, 0.0, 0.0]]))
    assert (bool(found.is_lost), float(found.cross_track_rmse)) == (True, 1.0)


def test_what_a_car_does_beyond_its_goal_does_not_count() -> None:
    """It waits for the others there, and whatever becomes of it, it has arrived."""

    def figures_of(after: Tensor) -> list[float]:
        error = [[0.1, 0.2, 0.2, *after.tolist()]]
        found = car_figures(driven([[3.0, 6.0, 9.0, 11.0, 12.0]], error, [[0.5] * 5]))
        return [float(value) for value in vars(found).values()]

    near, far = figures_of(torch.tensor([0.1, 0.1])), figures_of(torch.tensor([0.7, 1.4]))
    assert near == far
    assert near == pytest.approx([math.sqrt(0.09 / 3), 0.2, 0.5, 0.0])


def test_a_car_that_never_gets_going_is_told_of() -> None:
    """It has no errors, and the figures say of how many cars they are."""
    one = trajectory_of([0.1, 0.1, 0.1])
    both = dataclasses.replace(
        one,
        **{
            name: getattr(one, name).repeat(1, 2, *[1] * (getattr(one, name).ndim - 2))
            for name in ("cross_track_error", "heading_error", "speed_error", "action")
        },
        arc_length=torch.tensor([[1.0, 0.1], [2.0, 0.2], [3.0, 0.3]], dtype=torch.float64),
        start_arc_length=torch.zeros(2, dtype=torch.float64),
    )
    metrics = tracking_metrics(both, goal_distance=3.0, skip_distance=1.5)
    assert metrics.got_going == 0.5
    assert metrics.completion == pytest.approx((1.0 + 0.1) / 2)
