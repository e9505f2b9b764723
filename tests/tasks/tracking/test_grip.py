"""What tyres hold, measured and kept."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from diffcar.base.errors import ModelError, SimulationError
from diffcar.controllers.steering_table import STEERING
from diffcar.path.config import PathConfig
from diffcar.path.grip import GripDiagram
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.vehicle import SHIPPED, Vehicle
from diffcar.tasks.tracking.config import MeasureGripConfig
from diffcar.tasks.tracking.grip import (
    GRIP,
    NUM_CARS,
    known_grip,
    load_road,
    measure,
    measure_grip,
    read_grip,
    write_grip,
)
from tests.bicycle import Bicycle


@pytest.fixture
def car(tmp_path: Path) -> Vehicle:
    """The racer in a folder of its own, without what is known of it."""
    racer = load_vehicle("racer")
    return load_vehicle(shutil.copy(racer.file, tmp_path / "own.xml"))


def test_a_bicycle_holds_what_its_tyres_and_motors_do(car: Vehicle) -> None:
    """Its turns are limited by friction of 1.05 g, speeding up by two motors of 0.45 N m."""
    progress: list[float] = []
    found = measure_grip(Bicycle(NUM_CARS, vehicle=car, slip_time=0.02), on_round=progress.append)
    assert progress[-1] == 1.0
    assert found.lateral == pytest.approx(1.05 * 9.81, rel=0.08)
    force = 2 * 0.45 / car.wheel_radius / car.mass
    assert found.accelerations[:, [0, -1]] == pytest.approx(force, rel=0.25)


def test_what_is_kept_is_read_again_for_the_same_drive(car: Vehicle) -> None:
    """The least of both engines; another drive has a diagram of its own."""
    directions = np.radians([-90.0, 0.0, 90.0])
    one, other = (
        GripDiagram(np.array([2.0, 4.0]), directions, np.array(table))
        for table in ([[5, 7, 4], [5, 6, 3]], [[6, 6.5, 3.5], [5, 6, 3]])
    )
    assert known_grip(car) is None
    write_grip(car, "genesis", GripDiagram(one.speeds, directions, 9 + one.accelerations))
    write_grip(car, "genesis", one)
    file = write_grip(car, "mujoco", other)
    assert file == GRIP.file(car) == car.file.with_name("own.grip.csv")
    read = read_grip(car)
    assert read.accelerations == pytest.approx(np.array([[5, 6.5, 3.5], [5, 6, 3]]))
    assert read.directions == pytest.approx(directions)
    with pytest.raises(ModelError, match="not known, rear driven"):
        read_grip(car.driven_by("rear"))
    assert known_grip(car.driven_by("rear")) is None and known_grip(car) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("speed_mps", "speed"),
        (",7\n", ",-7\n"),
        (",7\n", ",nan\n"),
        (",7\n", ",much\n"),
        ("genesis,all,0.5,4,0,6\n", ""),
        (",0,", ",10,"),
    ],
)
def test_a_damaged_file_is_told(car: Vehicle, old: str, new: str) -> None:
    """Whatever is wrong with it, the file and the remedy are named."""
    table = np.array([[5.0, 7.0, 4.0], [5.0, 6.0, 3.0]])
    diagram = GripDiagram(np.array([2.0, 4.0]), np.radians([-90.0, 0.0, 90.0]), table)
    file = write_grip(car, "genesis", diagram)
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ModelError, match=r"own\.grip\.csv' is damaged") as caught:
        read_grip(car)
    assert "diffcar measure-grip" in str(caught.value.hint)


def test_a_road_uses_its_share_of_the_cars_grip() -> None:
    """The shipped racer's: at 90 % it takes turns of 2 m at 3.6 m/s, as 6.5 m/s² allow."""
    settings = PathConfig(source="circle", grip=0.9, top_speed=10.0)
    racer = load_vehicle("racer")
    speed = load_road(settings, racer, seed=0).samples[:, 4]
    assert speed == pytest.approx(np.sqrt(2.0 * 0.9 * np.interp(3.6, *_lateral(racer))), rel=0.02)
    with pytest.raises(ModelError, match="is not known"):
        load_road(settings, dataclasses.replace(racer, file=Path("nowhere.xml")), seed=0)


def _lateral(car: Vehicle) -> tuple[np.ndarray, np.ndarray]:
    grip = read_grip(car)
    return grip.speeds, grip.lateral


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "buggy"])
def test_what_ships_of_a_car_is_whole_and_smooth(name: str) -> None:
    """Of both engines, which agree to a few bisections; no entry stands out of its neighbours.

    The sedan's weak motors make the longest diagram, which falls by 0.37 between two directions.
    """
    measured = GRIP.read(load_vehicle(name))
    genesis, mujoco = measured.values
    assert np.abs(genesis / mujoco - 1).max() < 0.06
    assert (np.abs(np.diff(np.log(measured.values), axis=-1)) < 0.4).all()
    assert STEERING.read(load_vehicle(name)).values.shape[0] == 2


def test_a_car_that_holds_nothing_has_no_grip(car: Vehicle) -> None:
    """On ice the bisection would end at its least: the speed and the direction are told."""
    scene = Bicycle(NUM_CARS, vehicle=car)
    scene.variations = {"friction_ratio": torch.full((NUM_CARS,), 1e-6, dtype=scene.dtype)}
    with pytest.raises(SimulationError, match="holds no acceleration at"):
        measure_grip(scene)


def test_what_cannot_be_kept_is_told_before_it_is_measured(
    car: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file in its place would be found out after minutes."""
    GRIP.file(car).write_text("something else")
    monkeypatch.setattr("diffcar.tasks.tracking.grip.build_scene", None)
    with pytest.raises(ModelError, match="is damaged"):
        measure(MeasureGripConfig(model=str(car.file)))


def test_a_path_that_asks_for_more_than_the_motors_reach_says_so() -> None:
    """Whatever is given; by default it asks for no more than three quarters of that."""
    slow = dataclasses.replace(load_vehicle(), max_wheel_speed=20.0)
    (told,) = load_road(PathConfig(source="circle", top_speed=3.0), slow, seed=0).warnings
    assert told.startswith("the reference asks for up to 2.83 m/s, and the car's motors reach 1.02")
    assert load_road(PathConfig(source="circle", top_speed=1.0), slow, seed=0).warnings == ()
