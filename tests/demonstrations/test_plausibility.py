"""Logs that cannot be what their columns say are refused, with the row and what mends them."""

import functools
import math
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from diffcar.base.errors import DemonstrationError
from diffcar.demonstrations.config import DemonstrationConfig
from diffcar.demonstrations.files import read_demonstrations, write_demonstrations
from diffcar.demonstrations.table import (
    ACTION_COLUMNS,
    STATE,
    Demonstrations,
    DemonstrationTable,
)
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from tests.demonstrations.recorded import CONFIG, record
from tests.samples import VEHICLE, road, seeded

# What its tests share is recorded in one worker alone.
pytestmark = pytest.mark.xdist_group("plausibility")
COLUMNS = ("episode", "t_s", *STATE, *ACTION_COLUMNS)
ROADS = ("circle", "figure-eight", "slalom", "obstacle-avoidance", "line", "random")


@functools.cache
def driven(source: str, dt: float = 0.02, duration: float = 6.0) -> DemonstrationTable:
    """Return a log of four cars, disturbed, without what only diffcar writes."""
    config = DemonstrationConfig(duration=duration, noisy_fraction=0.5)
    table = record(road(source), config, dt=dt).table
    return {name: table[name] for name in COLUMNS}


def log_of(source: str, *how: float) -> DemonstrationTable:
    return {name: column.clone() for name, column in driven(source, *how).items()}


def read(
    table: DemonstrationTable, file: Path, path: ReferencePath, **arguments: object
) -> Demonstrations:
    write_demonstrations(table, file)
    return read_demonstrations(
        [file], controller_config=CONFIG, vehicle=VEHICLE, path=path, **arguments
    )


def scaled(**factors: float) -> Callable[[DemonstrationTable], object]:
    """Multiply columns."""

    def damage(table: DemonstrationTable) -> None:
        for name, factor in factors.items():
            table[name] *= factor

    return damage


def lone(**values: float) -> Callable[[DemonstrationTable], object]:
    """Put other numbers in row 42 of the file."""

    def damage(table: DemonstrationTable) -> None:
        for name, value in values.items():
            table[name][40] = value

    return damage


def a_third_elsewhere(table: DemonstrationTable) -> None:
    table["y_m"][100::3] += 50.0


DEGREES, KMH = math.degrees(1.0), 3.6
DAMAGE = {
    "a sentinel for x": ("slalom", lone(x_m=-9999.0), "row 42 is more than 5 m off", "empty"),
    "a sentinel for y": ("line", lone(y_m=-9999.0), "row 42 is more than 5 m off", "empty"),
    "a sentinel for both": ("line", lone(x_m=-99.0, y_m=-99.0), "row 42 is more", "empty"),
    "for a heading": ("figure-eight", lone(yaw_rad=-9999.0), "row 42: yaw_rad is -9999", "empty"),
    "for a speed": ("circle", lone(speed_mps=-9999.0), "row 42: speed_mps is -9999", "empty"),
    "for a command": (
        "circle",
        lone(speed_command_mps=-9999.0),
        "row 42: speed_command_mps is -9999",
        "empty",
    ),
    "for an angle": ("line", lone(steering_angle_rad=99.0), "row 42: .* a right angle", "empty"),
    "for a rate": ("line", lone(yaw_rate_radps=-999.0), "row 42: yaw_rate_radps is -999", "empty"),
    "no number that path or car can have": ("line", lone(x_m=1e300), "row 42: x_m is", "empty"),
    "yaw in degrees": (
        "circle",
        scaled(yaw_rad=DEGREES),
        r"yaw_rad is in degrees: row 2 is .* 'circle'",
        "--column 'yaw_rad=yaw_rad*0.01745329'",
    ),
    "yaw in degrees on a straight road": (
        "line",
        scaled(yaw_rad=DEGREES),
        "yaw_rad is in degrees: row .* 'line'",
        "--column 'yaw_rad=yaw_rad*0.01745329'",
    ),
    "a clockwise yaw": (
        "figure-eight",
        scaled(yaw_rad=-1),
        "yaw_rad turns clockwise: row ",
        "--column 'yaw_rad=yaw_rad*-1'",
    ),
    "a mirrored y": (
        "figure-eight",
        scaled(y_m=-1),
        "y_m is mirrored: row 2 ",
        "--column 'y_m=y_m*-1'",
    ),
    "a mirrored y on an odd road": (
        "random",
        scaled(y_m=-1),
        "y_m is mirrored: row .* 'random'",
        "--column 'y_m=y_m*-1'",
    ),
    "a mirrored y on a straight road": (
        "line",
        scaled(y_m=-1),
        r"y_m is -1\.\d+ times what it is by headings and speeds, as in row \d+: ",
        "if it is mirrored: --column 'y_m=y_m*-1'",
    ),
    "a mirrored frame": (
        "random",
        scaled(y_m=-1, yaw_rad=-1),
        "y_m and yaw_rad are mirrored: row ",
        "--column 'y_m=y_m*-1' --column 'yaw_rad=yaw_rad*-1'",
    ),
    "a mirrored frame of a symmetric road": (
        "figure-eight",
        scaled(y_m=-1, yaw_rad=-1),
        "y_m and yaw_rad are mirrored: row ",
        "--column 'y_m=y_m*-1' --column 'yaw_rad=yaw_rad*-1'",
    ),
    "a third of the rows elsewhere": (
        "figure-eight",
        a_third_elsewhere,
        r"367 rows, the first of them row 102, are more than 5 m off .*: \d+",
        "delete",
    ),
    "speed in km/h": (
        "slalom",
        scaled(speed_mps=KMH),
        r"speed_mps is 3\.[67]\d? times what it is by positions and times, as in row 14: 10",
        "in km/h: --column 'speed_mps=speed_mps*0.2777778'",
    ),
    "speed in mph": (
        "circle",
        scaled(speed_mps=2.23694),
        r"speed_mps is 2\.\d+ times what it is by positions and times, as in row 14: 6.99, not 3",
        "in mph: --column 'speed_mps=speed_mps*0.44704'",
    ),
    "speed that is none": (
        "line",
        scaled(speed_mps=0.0),
        r"speed_mps is 0 times what it is by positions and times, as in row 7",
        "",
    ),
    "commands in km/h": (
        "circle",
        scaled(speed_command_mps=KMH),
        r"speed_command_mps is 3\.6 times what it is by speed_mps, as in row 18",
        "in km/h: --column 'speed_command_mps=speed_command_mps*0.2777778'",
    ),
    "rates in degrees": (
        "line",
        scaled(yaw_rate_radps=DEGREES),
        r"row \d+: yaw_rate_radps is .* ",
        "in degrees: --column 'yaw_rate_radps=yaw_rate_radps*0.01745329'",
    ),
    "a clockwise rate": (
        "slalom",
        scaled(yaw_rate_radps=-1),
        r"yaw_rate_radps is -[.\d]+ times what it is by headings and times, as in row 227",
        "positive to the right: --column 'yaw_rate_radps=yaw_rate_radps*-1'",
    ),
    "angles in degrees": (
        "circle",
        scaled(steering_angle_rad=DEGREES),
        r"row \d+: steering_angle_rad is .* more than a right angle",
        "in degrees: --column 'steering_angle_rad=steering_angle_rad*0.01745329'",
    ),
    "commands to the other side": (
        "circle",
        scaled(steering_command_rad=-1),
        r"steering_command_rad is -.* times what it is by steering_angle_rad, as in row \d+",
        "to the right: --column 'steering_command_rad=steering_command_rad*-1'",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_a_row_and_a_remedy(name: str, tmp_path: Path) -> None:
    """What is wrong in words, in which row, and what mends it; and nothing is wrong without it."""
    source, damage, told, remedy = DAMAGE[name]
    table = log_of(source)
    damage(table)
    with pytest.raises(DemonstrationError, match=f"log.csv': {told}") as caught:
        read(table, tmp_path / "log.csv", road(source))
    assert remedy in (caught.value.hint or "")


def test_times_that_hardly_differ_tell_nothing(tmp_path: Path) -> None:
    """No rows are a moment apart then; what is known without times is still looked at."""
    table = log_of("circle")
    table["t_s"] = 1e-310 * torch.arange(len(table["t_s"]), dtype=torch.float64)
    assert len(read(table, tmp_path / "log.csv", road("circle"))) == len(table["t_s"])
    table["yaw_rad"] *= DEGREES
    with pytest.raises(DemonstrationError, match="yaw_rad is in degrees"):
        read(table, tmp_path / "log.csv", road("circle"))


@pytest.mark.parametrize("source", ["circle", "figure-eight", "random"])
def test_a_drive_against_the_path_is_named(source: str, tmp_path: Path) -> None:
    """Also where the path is as symmetric as a figure of eight, which might be mirrored instead."""
    points = road(source).samples[::-5, :2].tolist()
    (tmp_path / "back.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in points))
    back = load_path(str(tmp_path / "back.csv"), closed=road(source).closed)
    told = "the cars drive against the path: row 2 is .* 3.. rad away from the path 'back'"
    with pytest.raises(DemonstrationError, match=told) as caught:
        read(log_of(source), tmp_path / "log.csv", back)
    assert "turn the order of the path's points round" in (caught.value.hint or "")
    assert len(read(log_of(source), tmp_path / "log.csv", road(source))) > 500


def noisy(table: DemonstrationTable, every: int, seed: int) -> DemonstrationTable:
    """Return what sensors of an ordinary car log of a drive, each so many rows."""
    generator = seeded(seed)

    def noise(size: float) -> torch.Tensor:
        return size * torch.randn(len(table["t_s"]), generator=generator, dtype=torch.float64)

    for name, size in NOISE.items():
        table[name] += noise(size)
    table["speed_mps"] *= 1 + noise(0.05)
    table["yaw_rad"] = torch.remainder(table["yaw_rad"] + math.pi, 2 * math.pi) - math.pi
    is_kept = torch.arange(len(table["t_s"])) % every == 0
    is_kept &= torch.rand(len(is_kept), generator=generator) > 0.1
    return {name: column[is_kept] for name, column in table.items()}


NOISE = {
    "x_m": 0.03,
    "y_m": 0.03,
    "yaw_rad": 0.03,
    "t_s": 0.002,
    "yaw_rate_radps": 0.1,
    "lateral_velocity_mps": 0.1,
    "steering_angle_rad": 0.03,
}


@pytest.mark.parametrize("rate", [50, 25, 10])
@pytest.mark.parametrize("source", ROADS)
def test_a_noisy_log_is_accepted_whatever_its_order(source: str, rate: int, tmp_path: Path) -> None:
    """Centimetres, degrees and milliseconds off, gaps, rows of any order, with and without t_s."""
    table = noisy(log_of(source), 50 // rate, seed=rate)
    found = read(table, tmp_path / "log.csv", road(source))
    assert found.notes == ()
    shuffled = torch.randperm(len(found), generator=seeded(1))
    table = {name: column[shuffled] for name, column in table.items()}
    again = read(table, tmp_path / "log.csv", road(source))
    assert torch.equal(again.output, found.output[shuffled])
    del table["t_s"]
    (note,) = read(table, tmp_path / "log.csv", road(source)).notes
    assert "speeds were not compared with positions: no column 't_s'" in note


def test_a_remedy_mends_what_it_was_given_for(tmp_path: Path) -> None:
    """The option in the hint, taken as it stands, with a factor that was there before."""
    table = log_of("slalom")
    table["v"] = 36.0 * table.pop("speed_mps")
    table["t_s"] = table["t_s"].fill_(math.nan)
    columns = {"speed_mps": "v*0.1"}
    assert len(read(table, tmp_path / "untimed.csv", road("slalom"), columns=columns)) == 1200
    table["t_s"] = log_of("slalom")["t_s"]
    with pytest.raises(DemonstrationError, match="in row 14") as caught:
        read(table, tmp_path / "log.csv", road("slalom"), columns=columns)
    option = shlex.split((caught.value.hint or "").partition(": ")[2])
    assert option[0] == "--column"
    columns = dict([option[1].split("=")])
    mended = read(table, tmp_path / "log.csv", road("slalom"), columns=columns)
    sound = read(log_of("slalom"), tmp_path / "log.csv", road("slalom"))
    assert torch.allclose(mended.observation, sound.observation, atol=1e-5)


def test_rows_a_little_off_the_path_are_noted(tmp_path: Path) -> None:
    """Where an episode of `record` would end, a log of another tool goes on, and that is said."""
    table = log_of("line")
    table["y_m"][[40, 50]] += 2.0
    (note,) = read(table, tmp_path / "log.csv", road("line")).notes
    assert "2 rows, the first of them row 42, are more than 1 m off the path" in note


def test_a_command_that_the_car_speeds_up_to_is_no_other_unit(tmp_path: Path) -> None:
    """On the way there it is a multiple of the speed, which is no multiple of anything."""
    table = log_of("circle", 0.005, 1.5)
    share = table["speed_mps"] / table["speed_mps"].max()
    start = (share > 0.25) & (share < 0.7)
    assert int(start.sum()) > 30
    table = {name: column[start] for name, column in table.items()}
    ramp = table["speed_mps"]
    table["speed_command_mps"] = torch.full_like(ramp, 2.24 * float(ramp.square().mean().sqrt()))
    assert len(read(table, tmp_path / "log.csv", road("circle"))) == len(ramp)
