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
from diffcar.path.reference import ReferencePath
from tests.demonstrations.recorded import CONFIG, record
from tests.samples import VEHICLE, road, seeded

COLUMNS = ("episode", "t_s", *STATE, *ACTION_COLUMNS)
ROADS = ("circle", "figure-eight", "slalom", "obstacle-avoidance", "line", "random")


@functools.cache
def driven(source: str, dt: float = 0.02) -> DemonstrationTable:
    """Return a log of four cars, disturbed, without what only diffcar writes."""
    config = DemonstrationConfig(duration=6.0, noisy_fraction=0.5)
    table = record(road(source), config, dt=dt).table
    return {name: table[name] for name in COLUMNS}


def log_of(source: str, dt: float = 0.02) -> DemonstrationTable:
    return {name: column.clone() for name, column in driven(source, dt).items()}


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


def against(table: DemonstrationTable) -> None:
    """Turn everything round that a drive in the other direction would: the path stays."""
    table["y_m"] *= -1
    for name in ("yaw_rad", "yaw_rate_radps", "lateral_velocity_mps", "steering_angle_rad"):
        table[name] *= -1
    table["steering_command_rad"] *= -1


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
        r"row \d+: y_m is .* where headings and speeds tell",
        "if it is mirrored: --column 'y_m=y_m*-1'",
    ),
    "a mirrored frame": (
        "random",
        scaled(y_m=-1, yaw_rad=-1),
        "y_m and yaw_rad are mirrored: row ",
        "--column 'y_m=y_m*-1' --column 'yaw_rad=yaw_rad*-1'",
    ),
    "a drive against the path": (
        "circle",
        against,
        "the cars drive against the path: row 2 is .* points 3.1 rad away",
        "the other way round|turn the order of the path's points round",
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
        r"row \d+: speed_mps is .* where positions and times tell .*: 3.\d+ times as much",
        "in km/h: --column 'speed_mps=speed_mps*0.2777778'",
    ),
    "speed in mph": (
        "circle",
        scaled(speed_mps=2.23694),
        r"row \d+: speed_mps is ",
        "in mph: --column 'speed_mps=speed_mps*0.44704'",
    ),
    "speed that is none": ("line", scaled(speed_mps=0.0), r"row \d+: speed_mps is 0 where", ""),
    "commands in km/h": (
        "circle",
        scaled(speed_command_mps=KMH),
        r"row \d+: speed_command_mps is .* where speed_mps tell",
        "in km/h: --column 'speed_command_mps=speed_command_mps\\*0.2777778'",
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
        r"row \d+: yaw_rate_radps is .* where headings and times tell",
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
        r"row \d+: steering_command_rad is -.* where the path's curvature tell",
        "to the right: --column 'steering_command_rad=steering_command_rad*-1'",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_a_row_and_a_remedy(name: str, tmp_path: Path) -> None:
    """What is wrong in words, in which row, and what mends it; and nothing is wrong without it."""
    source, damage, told, remedy = DAMAGE[name]
    table = log_of(source)
    damage(table)
    with pytest.raises(DemonstrationError, match=f"'log.csv': .*{told}") as caught:
        read(table, Path("log.csv"), road(source))
    assert remedy.replace("\\", "") in (caught.value.hint or "") or "|" in remedy
