"""`check-car`: a car's figures, and what it does on the road by them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from diffcar.checks.config import CheckCarConfig
from diffcar.checks.driven_car import Driven, car_check_report, run
from diffcar.sim.config import CarReadingConfig
from tests.sim.model.cars import mjcf, write


@pytest.mark.parametrize("model", ["car", "racer", "buggy"])
def test_shipped_cars_drive_as_their_figures_say(model: str, tmp_path: Path) -> None:
    """A circle to a percent of the wheelbase over the tangent, forces over the mass roughly."""
    found = run(CheckCarConfig(model=model), plot_file=tmp_path / "car.png")
    circle, faster, _ = found.driven
    car = found.vehicle
    assert circle.expected == pytest.approx(car.wheelbase / math.tan(car.max_steering / 2))
    assert circle.measured == pytest.approx(circle.expected, rel=0.01)
    force = sum(car.max_drive_torques) / car.wheel_radius
    assert faster.expected == pytest.approx(min(force / car.mass, 9.81 * car.friction))
    assert (tmp_path / "car.png").stat().st_size > 10_000
    assert found.is_right


def test_what_a_car_does_otherwise_is_told(tmp_path: Path) -> None:
    """With the verdict in words, in JSON, and without the command that trains."""
    reading = CarReadingConfig(wheels="as-is")
    config = CheckCarConfig(model=str(write(tmp_path, mjcf(), "a.xml")), car_reading=reading)
    found = run(config)
    assert found.vehicle.wheel_shape == "cylinder"
    found.driven[0] = Driven("radius of a circle", "m", 2.0, 1.0, (0.98, 1.02), "circle_radius_m")
    values = found.as_json()
    assert values["right"] is False
    assert values["driven"]["circle_radius_m"]["right"] is False  # type: ignore[index]
    shown = [str(own) for own in car_check_report(found)]
    assert any("not as it should be" in text for text in shown)
    assert not any("diffcar train-e2e" in text for text in shown)
    found.driven[0] = replace(found.driven[0], measured=1.01)
    assert found.driven[0].is_right
