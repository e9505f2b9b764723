"""`check-car`: a car's figures, and what it does on the road by them."""

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from diffcar.base.errors import SimulationError
from diffcar.checks import driven_car
from diffcar.checks.car_result import CheckGradResult
from diffcar.checks.config import CertificateConfig, CheckCarConfig, CheckGradConfig
from diffcar.checks.driven_car import (
    CheckCarResult,
    Driven,
    _drive_in_a_circle_and_straight,
    car_check_report,
    run,
)
from diffcar.sim.config import CarConfig, CarReadingConfig
from diffcar.sim.contract import CarScene
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.suited import suited
from diffcar.tasks.tracking.scenes import Scenes
from tests import formats
from tests.bicycle import Bicycle, bicycles
from tests.sim.model.cars import mjcf, urdf, write


@functools.cache
def shipped() -> CheckCarResult:
    """Return what is found of the shipped car, which no test changes."""
    return run(CheckCarConfig(model="car"))


@pytest.mark.parametrize("model", ["car", "racer", "buggy", "sedan"])
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
    assert formats.differing(found.as_json(), "check-car") == []


@pytest.mark.parametrize(
    ("model", "drive", "speeding_up", "braking"),
    [
        ("car", "front", 4.35, 5.79),
        ("racer", "rear", 6.43, 3.99),
        ("racer", "front", 4.35, 7.02),
        ("sedan", "rear", 2.68, 2.68),
    ],
)
def test_an_axle_holds_what_stands_on_it(
    model: str, drive: Any, speeding_up: float, braking: float
) -> None:
    """More of it where the car leans onto it; spinning and locked wheels hold less still."""
    found = run(CheckCarConfig(model=model, drive=drive))
    _, faster, slower = found.driven
    assert faster.expected == pytest.approx(speeding_up, rel=0.01)
    assert slower.expected == pytest.approx(braking, rel=0.01)
    assert found.is_right


def test_what_is_certified_is_what_was_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has set follows from the car in both, and the precision is that asked for."""
    certified: list[CheckGradConfig] = []
    driven: list[CarScene] = []
    monkeypatch.setattr(driven_car.certified_car, "run", certified.append)
    monkeypatch.setattr(
        driven_car, "_drive_in_a_circle_and_straight", lambda scene: driven.append(scene) or []
    )
    run(CheckCarConfig(model="sedan", substeps=4, certify=True, precision=32))
    (config,), (scene,) = certified, driven
    assert suited(config, load_vehicle("sedan")).dt == scene.dt == 0.0286
    assert (config.model, config.substeps, config.precision) == ("sedan", 4, 32)
    assert scene.dtype == torch.float32


def test_a_certificate_that_failed_says_why() -> None:
    """Where no horizon has a row there is no error to tell, and what kept it from one is told."""
    found = run(CheckCarConfig(model="car"))
    config = CheckGradConfig(certificate=CertificateConfig(horizons=[1, 10]))
    stages = [f"over {steps} steps: no such kernel" for steps in (1, 10)]
    found.certificate = CheckGradResult(config, "sphere", 1e-6, failures=stages)
    shown = "\n".join(str(own) for own in car_check_report(found))
    assert "not checked: over 1 steps; over 10 steps: no such kernel" in shown
    assert "not certified: worst relative error of the gradient over 1, 10 and 100 steps -" in shown
    assert f"hint: {found.certificate.hint}" in shown
    assert found.as_json()["failures"] == stages
    assert not found.is_right


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"chassis_mass": 0.01}, "the chassis weighs 0.01 of"),
        ({"centre_of_mass": (-0.14, 0.0, 0.0)}, "the front wheels carry 8 % of the weight"),
        (
            {"wheelbase": 330.0, "rear_axle_x": -165.0, "inertia": (1.0, 1.0, 1e5)},
            "the axles are 330",
        ),
        ({"mass": 3740.0, "chassis_mass": 3e3, "inertia": (1.0, 30.0, 47.0)}, "it weighs 3740 kg"),
        ({"inertia": (1.0, 4.0, 5.0)}, "it turns as if all of its 3.74 kg were 1.16 m away"),
        ({"centre_of_mass": (0.0, 0.0, 100.0)}, "the centre of mass lies 100 m over the road"),
        ({"centre_of_mass": (0.0, 0.0, -0.3)}, "the centre of mass lies -0.249 m over the road"),
        ({"wheel_inertia": 0.64}, "the wheels turn as heavily as if 992 kg were to be moved"),
        ({"max_joint_angle": 0.0073}, "the wheels steer by 0.0073 rad, 0.42°"),
    ],
)
def test_figures_that_no_car_has_are_doubted(change: dict[str, Any], doubt: str) -> None:
    """However well it drives as they say: it is not called good to train."""
    found = shipped()
    assert found.as_json()["doubts"] == []
    found = replace(found, vehicle=replace(found.vehicle, **change))
    assert doubt in found.as_json()["doubts"][0]  # type: ignore[index]
    shown = "\n".join(str(own) for own in car_check_report(found))
    assert f"doubtful: {doubt}" in shown
    assert "good to train" not in shown


def test_a_car_that_reaches_little_is_doubted_and_drives_as_its_figures_say(tmp_path: Path) -> None:
    """A placeholder of a velocity leaves nothing to speed up to, which is no fault of the drive."""
    file = write(tmp_path, urdf().replace('velocity="100"', 'velocity="5"'))
    found = run(CheckCarConfig(model=str(file)))
    assert found.is_right, found.driven
    assert found.driven[1].expected < 1.0
    (doubt,) = found.as_json()["doubts"]  # type: ignore[misc]
    assert doubt.startswith("the motors reach 5 rad/s, 0.25 m/s")


def test_whoever_drives_a_doubtful_car_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By a training as by `check-car`, behind what was assumed of the car."""
    file = write(tmp_path, urdf().replace('velocity="100"', 'velocity="5"'))
    scenes = Scenes(CarConfig(model=str(file)), build=bicycles)  # type: ignore[arg-type]
    *assumed, last = caplog.messages
    assert assumed == list(scenes.vehicle.assumptions)
    assert last.startswith("doubtful: the motors reach 5 rad/s")


def test_a_car_that_cannot_be_driven_is_told_of_by_what_is_doubted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not as a controller's fault: there is none."""

    def diverge(scene: CarScene) -> list[Driven]:
        raise SimulationError("a command to a car is not finite", hint="the controller is damaged")

    monkeypatch.setattr(driven_car, "_drive_in_a_circle_and_straight", diverge)
    file = write(
        tmp_path, urdf().replace('lower="-0.42" upper="0.42"', 'lower="-0.01" upper="0.01"')
    )
    for model, hint in ((str(file), "steer by 0.01 rad"), ("car", "may lack damping")):
        with pytest.raises(SimulationError, match="cannot be driven: a command") as caught:
            run(CheckCarConfig(model=model))
        assert hint in (caught.value.hint or "")


def test_a_small_car_is_pushed_for_some_steps_at_any_interval() -> None:
    """A car of 0.06 of the shipped one's size has hardly two control intervals of its own."""
    small = replace(load_vehicle(), wheelbase=0.02)
    driven = _drive_in_a_circle_and_straight(Bicycle(3, vehicle=small, dt=0.1))
    assert all(math.isfinite(own.measured) for own in driven)


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
    assert "hint: a cylinder is turned against" in shown[-1]
    assert not any("diffcar train-e2e" in text for text in shown)
    found.driven[0] = replace(found.driven[0], measured=1.01)
    assert found.driven[0].is_right
