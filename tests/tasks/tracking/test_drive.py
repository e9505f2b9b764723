"""Drives: from start to goal, ended when nothing more can come of them."""

from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.zero import Zero
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking import drive as tracking_drive
from diffcar.tasks.tracking.drive import drive, plot_drive
from tests.bicycle import Bicycle
from tests.samples import VEHICLE, doubles, road

STANDING = torch.tensor([True, False])
LANE = road("obstacle-avoidance")


class Breaks:
    """Drives well until one of the cars is no longer anywhere."""

    name = "breaks"

    def __call__(self, state: CarState, errors: object) -> Tensor:
        action = torch.stack([torch.zeros_like(state.speed), 0 * state.speed + 3.0], -1)
        action[1, 1] = torch.nan
        return action


def test_a_drive_ends_when_everybody_has_arrived() -> None:
    """At the end of an open path, standing starts last; who is there stays there."""
    driven = drive(Bicycle(2), PurePursuit(VEHICLE), LANE, is_standing=STANDING)
    assert driven.has_arrived[-1].all()
    assert not driven.has_arrived[-2].all()
    first = driven.has_arrived.double().argmax(0)
    assert first[1] < first[0] == driven.trajectory.num_steps - 1
    assert driven.trajectory.speed_before[0].tolist() == pytest.approx([0.0, 3.0])


def test_a_loop_is_driven_once_around_and_an_open_path_to_its_end() -> None:
    """From wherever a car starts."""
    start = doubles(1.0, 3.0)
    for path, expected in (
        (road("circle"), [road("circle").length] * 2),
        (LANE, [LANE.length - 1.0, LANE.length - 3.0]),
    ):
        driven = drive(
            Bicycle(2),
            PurePursuit(VEHICLE),
            path,
            is_standing=STANDING,
            arc_length=start,
            max_time=0.1,
        )
        assert driven.goal_distance.tolist() == pytest.approx(expected)
        assert driven.trajectory.start_arc_length.tolist() == pytest.approx(start.tolist())


def test_a_drive_ends_when_everybody_has_lost_the_path_or_the_time_is_over() -> None:
    """A metre and a half beside it nobody is waited for; who stands still is, to the limit."""
    lost = drive(Bicycle(2), Zero(VEHICLE), LANE, is_standing=STANDING, cross_track=1.5)
    assert lost.trajectory.num_steps == 1
    still = drive(Bicycle(2), Zero(VEHICLE), LANE, is_standing=STANDING | True, max_time=0.5)
    assert still.trajectory.num_steps == 25


def test_starts_are_offset_as_asked() -> None:
    """To the left, and turned."""
    driven = drive(
        Bicycle(2), Zero(VEHICLE), LANE, is_standing=~STANDING | True, cross_track=0.2, heading=0.1,
        max_time=0.02,
    )  # fmt: skip
    assert driven.trajectory.cross_track_error[0].tolist() == pytest.approx([0.2, 0.2], abs=1e-4)
    assert driven.trajectory.heading_error[0].tolist() == pytest.approx([0.1, 0.1], abs=1e-4)


def test_a_state_that_is_no_number_ends_the_drive_or_is_its_car_s_affair() -> None:
    """An error with what helps; or the one car has lost the path, and the other drives on."""
    with pytest.raises(SimulationError, match="no longer finite") as caught:
        drive(Bicycle(2), Breaks(), LANE, is_standing=STANDING)
    assert "substeps" in (caught.value.hint or "")
    driven = drive(
        Bicycle(2), Breaks(), LANE, is_standing=STANDING, must_stay_finite=False, max_time=1.0
    )
    assert driven.trajectory.num_steps > 5
    assert torch.isfinite(driven.trajectory.speed[:, 0]).all()


@pytest.mark.parametrize(
    ("max_time", "title"), [(None, "lane"), (2.0, "lane: the first 4 m of 8 m")]
)
def test_a_picture_says_what_part_of_the_path_it_shows(
    max_time: float | None, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its title, and nothing of a drive that arrived."""
    drawn: list[Figure] = []
    monkeypatch.setattr(tracking_drive, "save_png", lambda figure, file: drawn.append(figure))
    plot_drive(drive(Bicycle(2), PurePursuit(VEHICLE), LANE, max_time=max_time), tmp_path, "lane")
    assert drawn[0].axes[0].get_title() == title
