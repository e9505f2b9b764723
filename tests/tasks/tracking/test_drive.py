"""Drives: from start to goal, ended when nothing more can come of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffcar.base.errors import ConfigError, PathError, SimulationError
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.zero import Zero
from diffcar.path.grip import GripDiagram
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking import drive as tracking_drive
from diffcar.tasks.tracking import picture
from diffcar.tasks.tracking.drive import Drive, drive, drive_together
from diffcar.tasks.tracking.picture import plot_drive
from tests.bicycle import Bicycle
from tests.samples import VEHICLE, doubles, road, write_loop

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


def test_paths_driven_together_have_the_figures_that_each_has_alone() -> None:
    """A loop, an open path and one that is given less time than it takes, beside a long one."""
    paths = [road("figure-eight"), road("slalom"), road("circle"), road("circle", scale=2.0)]
    max_times = [None, None, 2.0, None]
    controller = Stanley(VEHICLE)
    together = list(drive_together(Bicycle(9, dt=0.05), controller, paths, max_times=max_times))
    assert [len(is_standing) for _, is_standing in together] == [3, 2, 2, 2]
    for path, most, (driven, is_standing) in zip(paths, max_times, together, strict=True):
        assert is_standing.tolist() == [True, False, True][: len(is_standing)]
        apart = 0.1 * torch.arange(len(is_standing), dtype=torch.float64)
        alone = drive(
            Bicycle(len(apart), dt=0.05),
            controller,
            path,
            is_standing=is_standing,
            arc_length=apart,
            max_time=most,
        )
        assert driven.trajectory.path is path
        assert driven.trajectory.num_steps == alone.trajectory.num_steps
        assert torch.equal(driven.has_arrived, alone.has_arrived)
        assert torch.allclose(driven.trajectory.position, alone.trajectory.position, atol=1e-9)
        assert vars(driven.metrics()) == pytest.approx(vars(alone.metrics()), rel=1e-9)


def test_more_paths_than_pairs_of_cars_are_driven_one_after_the_other() -> None:
    """Two cars a path at the least."""
    paths = [road("slalom"), road("circle"), road("figure-eight")]
    driven = drive_together(Bicycle(4), Stanley(VEHICLE), paths, max_times=[1.0] * 3)
    assert [(own.trajectory.path, len(s)) for own, s in driven] == list(
        zip(paths, [2, 2, 4], strict=True)
    )


@pytest.mark.parametrize(
    ("max_time", "title"), [(None, "lane"), (2.0, "lane: the first 4 m of 8 m")]
)
def test_a_picture_says_what_part_of_the_path_it_shows(
    max_time: float | None, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its title, and nothing of a drive that arrived."""
    drawn: list[Figure] = []
    monkeypatch.setattr(picture, "save_png", lambda figure, file: drawn.append(figure))
    plot_drive(drive(Bicycle(2), PurePursuit(VEHICLE), LANE, max_time=max_time), tmp_path, "lane")
    assert drawn[0].axes[0].get_title() == title


def test_a_long_drive_that_nobody_shows_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As stages do; one that is shown says nothing besides."""
    caplog.set_level("INFO", "diffcar")
    monkeypatch.setattr(tracking_drive, "_TELL_SECONDS", -1.0)
    drive(Bicycle(2), PurePursuit(VEHICLE), LANE, max_time=1.0)
    assert caplog.messages[-1] == "driving: 1 of at most 1 s simulated"
    caplog.clear()
    drive(Bicycle(2), PurePursuit(VEHICLE), LANE, max_time=0.1, on_step=lambda *state: None)
    assert caplog.messages == []


def test_the_picture_of_a_car_at_its_grip_has_a_key_and_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was driven and what is held; no label lies over another panel, and none outside."""
    drawn: list[Figure] = []
    monkeypatch.setattr(picture, "save_png", lambda figure, file: drawn.append(figure))
    grip = GripDiagram(np.ones(1), np.radians([-90.0, 0.0, 90.0]), np.full((1, 3), 12.5))
    driven = drive(Bicycle(2), PurePursuit(VEHICLE), LANE, max_time=1.0)
    plot_drive(driven, tmp_path, grip=grip)
    plan, error, speed, panel = drawn[0].axes
    drawn[0].draw_without_rendering()
    legend = panel.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "driven",
        "car's limit, worst speed",
        "car's limit, best speed",
    ]
    own = [panel.get_tightbbox(), legend.get_window_extent()]
    assert min(box.x0 for box in own) > max(a.get_window_extent().x1 for a in (error, speed))
    assert max(box.y1 for box in own) < plan.get_tightbbox().y0
    assert min(box.y0 for box in own) >= 0
    assert max(box.x1 for box in own) <= drawn[0].bbox.x1


def in_32_bits(path: ReferencePath) -> Drive:
    return drive(Bicycle(2, dtype=torch.float32, dt=0.04), Stanley(VEHICLE), path)


@pytest.fixture(scope="module")
def near_the_origin(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """A lap of a loop."""
    return in_32_bits(load_path(str(write_loop(tmp_path_factory.mktemp("near") / "near.csv"))))


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_a_drive_far_from_the_origin_is_the_one_near_it(
    scale: float, near_the_origin: Drive, tmp_path: Path
) -> None:
    """In 32 bits, on a track in UTM coordinates: to 0.05 mm, in the file's coordinates."""
    east, north = 600000.4, 5300000.7
    file = write_loop(tmp_path / "far.csv", east=east, north=north, scale=1 / scale)
    far = load_path(str(file), scale=scale)
    drives = [near_the_origin, in_32_bits(far)]
    local, shifted = (driven.trajectory for driven in drives)
    assert shifted.num_steps == local.num_steps > 100
    moved = shifted.unshifted_position - local.unshifted_position
    assert float((moved - doubles(east, north)).abs().max()) < 5e-5
    rmse = [driven.metrics().cross_track_rmse_m for driven in drives]
    assert rmse[1] == pytest.approx(rmse[0], abs=1e-5)
    assert drives[1].metrics().completion == pytest.approx(1.0)


def test_a_car_cannot_start_where_an_open_path_ends() -> None:
    """Its way would be none, or less than none."""
    for start in (LANE.length, LANE.length + 1.0):
        with pytest.raises(PathError, match="a car starts at"):
            drive(Bicycle(2), Zero(VEHICLE), LANE, arc_length=doubles(0.0, start))
    driven = drive(
        Bicycle(2), Zero(VEHICLE), road("circle"), arc_length=doubles(0.0, 99.0), max_time=0.02
    )
    assert driven.trajectory.num_steps == 1


class TurnsOff:
    """Follows the path, but lets the last car go straight on in the first bend."""

    name = "turns off"

    def __call__(self, state: CarState, errors: object) -> Tensor:
        action = PurePursuit(VEHICLE)(state, errors)
        action[-1, 0] = 0.0
        return action


def test_how_long_others_drive_on_changes_nothing_in_the_figures_of_a_lost_car() -> None:
    """Its errors count until it has lost the path; where it comes back or goes does not."""
    circle = road("circle")
    together = drive(Bicycle(2), TurnsOff(), circle, is_standing=STANDING)
    alone = drive(Bicycle(1), TurnsOff(), circle, is_standing=STANDING[1:])
    assert together.trajectory.num_steps > 1.5 * alone.trajectory.num_steps
    lost = together.select(torch.tensor([1])).metrics(skip_distance=0.0)
    assert lost == alone.metrics(skip_distance=0.0)
    assert 1.0 < lost.cross_track_max_m < 1.1
    assert lost.completion < 0.5


def test_short_paths_have_figures_and_what_leaves_nothing_to_measure_is_refused() -> None:
    """A quarter of a path of a metre and a half is left out, not all of it."""
    short = road("line", scale=0.075)
    driven = drive(Bicycle(2), PurePursuit(VEHICLE), short, cross_track=0.05)
    metrics = driven.metrics()
    assert 0 < metrics.cross_track_rmse_m < 0.05
    assert (metrics.completion, metrics.got_going) == (1.0, 1.0)
    for asked in (short.length, 1000.0):
        with pytest.raises(ConfigError, match="leaves nothing of 'line'"):
            driven.metrics(skip_distance=asked)
