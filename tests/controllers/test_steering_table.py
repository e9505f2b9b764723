"""From an acceleration to a steering angle: the inverse of what was measured, or an error."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffcar.base.errors import ModelError
from diffcar.controllers.acceleration_pursuit import AccelerationPursuit
from diffcar.controllers.steering_table import STEERING, SteeringTable, read_steering
from tests.samples import VEHICLE, doubles

SPEEDS, ANGLES, MOST = doubles(1.0, 2.0, 4.0, 8.0), torch.linspace(0, 0.4, 41).double(), 6.0
TURNS = SPEEDS[:, None] ** 2 * torch.tan(ANGLES) / 0.33
TABLE = SteeringTable(0.33, SPEEDS, ANGLES, TURNS.clamp_max(MOST))


@pytest.mark.parametrize("speed", [0.3, 1.0, 3.0, 5.5, 8.0, 9.0])
@pytest.mark.parametrize("acceleration", [0.05, -0.7, 1.5, -4.0, 5.5])
def test_the_table_is_inverted_between_its_speeds_and_beyond(
    speed: float, acceleration: float
) -> None:
    """A bicycle's angle, atan(L a / v²), or its largest; to either side."""
    angle = float(TABLE.angle(doubles(speed), doubles(acceleration)))
    expected = math.atan(0.33 * abs(acceleration) / speed**2)
    assert angle == pytest.approx(math.copysign(min(expected, 0.4), acceleration), rel=2e-3)


def test_who_asks_for_more_than_tyres_hold_gets_the_smallest_angle_that_holds_it() -> None:
    """At 4 m/s 6 m/s² are held from 0.123 rad on: 0.13 of the table, not its end."""
    angles = TABLE.angle(doubles(4.0, 4.0, 1.0), doubles(6.5, -60.0, 60.0))
    assert angles.tolist() == pytest.approx([0.13, -0.13, 0.4])


def test_a_car_that_breaks_away_is_not_steered_further() -> None:
    """Where beyond an angle nothing is held, or less, that angle is the largest."""
    broken = torch.where(torch.arange(41) > 20, 0.3 * TURNS, TURNS)
    angle = SteeringTable(0.33, SPEEDS, ANGLES, broken).angle(doubles(8.0), doubles(50.0))
    assert float(angle) == pytest.approx(0.2)


def test_engines_count_alike(tmp_path: Path) -> None:
    """What is read is the mean of their accelerations, of this drive alone."""
    car = replace(VEHICLE, file=tmp_path / "own.xml")
    for engine, share in (("one", 1.0), ("one", 0.9), ("other", 1.1)):
        rows = [(v, d, share * a) for v in (1.0, 2.0) for d, a in ((0.0, 0.0), (0.1, v))]
        STEERING.write(car, engine, rows)
    STEERING.write(car.driven_by("front"), "one", [(3.0, 0.0, 0.0)])
    table = read_steering(car)
    assert table.accelerations.tolist() == [[0.0, 1.0], [0.0, 2.0]]
    assert (table.speeds.tolist(), table.angles.tolist()) == ([1.0, 2.0], [0.0, 0.1])


def test_a_car_that_was_not_measured_cannot_be_driven_by_it(tmp_path: Path) -> None:
    """The error says by which command it is; another drive of the car is another car."""
    own = replace(VEHICLE, file=tmp_path / "own.xml")
    for car in (own, VEHICLE.driven_by("all")):
        with pytest.raises(ModelError, match=r"the steering of the car .* is not known") as error:
            AccelerationPursuit(car)
        assert "diffcar measure-grip" in str(error.value.hint)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "its columns are not"),
        ("1,0.1,1\n", "no grid"),
        ("1,0,0\n1,0.1,1\n2,0,0\n", "no grid"),
        ("1,0,0\n1,0.1,nan\n", "not finite"),
        ("1,0,0\n1,0.1,-5\n", "not above -1"),
        ("1,0,0\n1,0.1,x\n", "could not convert"),
    ],
)
def test_a_damaged_file_is_named(text: str, told: str, tmp_path: Path) -> None:
    """With what is wrong, and how to be rid of it."""
    car = replace(VEHICLE, file=tmp_path / "own.xml")
    file = STEERING.write(car, "one", [])
    if "a,b" not in text:
        text = file.read_text() + "".join(f"one,rear,0,{row}\n" for row in text.split())
    file.write_text(text)
    with pytest.raises(ModelError, match=f"damaged.*{told}") as error:
        read_steering(car)
    assert "remove it" in str(error.value.hint)
