"""Settings that follow from the car: those of the shipped ones stay, those of others suit them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from diffcar.base.config import dotted_values, load_config
from diffcar.base.files import resource_path
from diffcar.base.section import Section
from diffcar.base.yaml_reader import read_yaml
from diffcar.cli.settings import SCHEMAS
from diffcar.comparison.config import SUITES
from diffcar.controllers.acceleration_pursuit import AccelerationPursuit
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.path.config import PATHS, PathConfig
from diffcar.path.load import load_path
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarState
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.config import TrainE2EConfig
from tests.samples import VEHICLE, car_at, doubles, write_loop

SEDAN = load_vehicle("sedan")
WITH_CAR = [name for name, schema in SCHEMAS.items() if issubclass(schema, CarConfig)]


def settings_of(command: str, *overrides: str) -> Any:
    return load_config(SCHEMAS[command], overrides=overrides)


def values_of(config: Section) -> dict[str, Any]:
    return dotted_values(config.model_dump(mode="json"))


@pytest.mark.parametrize("command", WITH_CAR)
@pytest.mark.parametrize("name", ["car", "racer"])
@pytest.mark.parametrize("drive", [None, "rear", "front", "all"])
def test_cars_of_the_shipped_size_have_the_defaults_as_they_are(
    command: str, name: str, drive: Any
) -> None:
    """Bit for bit, whichever wheels are driven."""
    vehicle = load_vehicle(name, drive=drive)
    assert (vehicle.size, vehicle.root_size) == (1.0, 1.0)
    config = settings_of(command)
    assert values_of(suited(config, vehicle)) == values_of(config)


def test_the_sedan_is_trained_by_the_rules() -> None:
    """Lengths eight times, times and speeds nearly three times; accelerations are the same."""
    assert SEDAN.size == pytest.approx(2.7 / 0.3302, rel=1e-3)
    own = values_of(suited(settings_of("train-e2e"), SEDAN))
    expected = {
        "dt": 0.0286,
        "path.top_speed": 8.58,
        "path.lateral_acceleration": 3.92,
        "path.longitudinal_acceleration": 2.01,
        "start.cross_track": 1.23,
        "start.heading": 0.25,
        "start.speed": 1.43,
        "controller.curvature_preview": [0.0, 0.818, 1.64, 2.86, 4.5, 6.54],
        "controller.speed_preview": [1.23, 3.27],
        "controller.car_size": 8.18,
        "loss.cross_track": 10.5,
        "loss.cross_track_scale": 0.0245,
        "loss.heading": 0.005,
        "loss.speed": 0.0122,
        "loss.smoothness": 0.02,
        "train.target": 0.0164,
        "train.horizon": 24,
        "evaluation.duration": 11.4,
    }
    assert {name: own[name] for name in expected} == expected
    assert own["train.target"] < 0.01 * SEDAN.wheelbase


def test_whatever_has_a_length_or_a_time_follows() -> None:
    """Of each command; what it has in common with others is tested once."""
    compared = values_of(suited(settings_of("compare"), SEDAN))
    assert compared["threshold"] == 0.164
    assert compared["ppo.episode_duration"] == 11.4
    assert compared["ppo.lost_cross_track"] == 4.09
    assert compared["demonstrations.duration"] == 22.9
    assert compared["tuning.duration"] == 42.9
    assert compared["suite.conditions.push.push_force"] == pytest.approx(30 / 3.74 * 1400, rel=0.01)
    assert compared["suite.conditions.push.push_duration"] == 0.572
    assert compared["suite.conditions.noise.position_noise"] == 0.0409
    assert compared["suite.conditions.noise.yaw_rate_noise"] == 0.0175
    assert {path["top_speed"] for path in compared["suite.paths"]} == {8.58}


def test_what_is_given_stays_as_it_is_and_once_is_enough() -> None:
    """In metres and seconds, by whatever way it is given; twice suited is once suited."""
    given = ["path.top_speed=3", "dt=0.02", "loss.cross_track_scale=0.003", "train.target=0.05"]
    once = suited(settings_of("train-e2e", *given), SEDAN)
    kept = values_of(once)
    assert (kept["path.top_speed"], kept["dt"]) == (3.0, 0.02)
    assert (kept["loss.cross_track_scale"], kept["train.target"]) == (0.003, 0.05)
    assert kept["start.cross_track"] == 1.23
    assert suited(once, SEDAN) is once
    whole = suited(TrainE2EConfig(path=PathConfig(top_speed=5.0)), SEDAN)
    assert (whole.path.top_speed, whole.start.cross_track) == (5.0, 1.23)
    again = load_config(TrainE2EConfig, base=once.model_dump(mode="json"))
    assert values_of(suited(again, SEDAN)) == kept


def test_shipped_settings_follow_as_defaults_do() -> None:
    """Those of `--robust` and of a shipped comparison; what a user gives besides wins as it is."""
    robust = read_yaml(resource_path("configs/train_e2e_robust.yaml"))
    given = ["randomisation.position_noise=0.1"]
    config = load_config(SCHEMAS["train-e2e"], overrides=given, preset=robust)
    own = suited(config, SEDAN).randomisation
    assert own.push_force == [0, pytest.approx(30 * SEDAN.mass / 3.74, rel=0.01)]
    assert own.push_interval == pytest.approx(SEDAN.root_size, rel=0.01)
    assert (own.position_noise, own.delay_steps) == (0.1, [0, 3])
    assert values_of(suited(config, load_vehicle("car"))) == values_of(config)
    limit = read_yaml(resource_path(str(SUITES["limit"])))
    racing = load_config(SCHEMAS["compare"], preset=limit)
    assert values_of(suited(racing, load_vehicle("racer"))) == values_of(racing)
    compared = read_yaml(resource_path(str(SUITES["robust"])))
    mine = ["suite.engines=[mujoco]", "suite.conditions.mine.push_force=7.0"]
    suite = load_config(SCHEMAS["compare"], overrides=mine, preset=compared).suite
    conditions = suited(suite, SEDAN).conditions
    assert conditions["push"].push_force == pytest.approx(30 * SEDAN.mass / 3.74, rel=0.01)
    assert conditions["mass 3 cm ahead"].mass_shift == pytest.approx(0.03 * SEDAN.size, rel=0.01)
    assert conditions["mine"].push_force == 7.0


def test_of_a_list_or_table_of_sections_each_has_its_own() -> None:
    """A push that is asked for has the force that was asked for, and the duration of the car."""
    push = "suite.conditions={shove: {push_force: 500}}"
    paths = "suite.paths=[{source: slalom}, {source: sine, top_speed: 4}]"
    own = suited(settings_of("compare", push, paths), SEDAN).suite
    shove = own.conditions["shove"]
    assert (shove.push_force, shove.push_duration) == (500, 0.572)
    assert [path.top_speed for path in own.paths] == [8.58, 4.0]


def test_previews_in_seconds_grow_as_times_do() -> None:
    """They are what their unit says."""
    own = suited(ControllerConfig(preview_unit="s", speed_preview=[0.5]), SEDAN)
    assert own.curvature_preview == [0.0, 0.286, 0.572, 1.0, 1.57, 2.29]
    assert own.speed_preview == [0.5]


def test_accelerations_are_what_tyres_and_motors_give() -> None:
    """On ice, with weak motors or on high legs, a car is asked for less; with a grip, for that."""

    def limits(car: Vehicle, **given: Any) -> tuple[float, float]:
        path = suited(PathConfig(**given), car)
        return path.lateral_acceleration, path.longitudinal_acceleration

    slippery = replace(SEDAN, friction=0.3)
    strong = replace(slippery, max_drive_torques=(2000.0, 2000.0))
    assert limits(strong) == pytest.approx((0.4 * 0.3 * 9.81, 1.33), rel=0.01)
    weak = replace(SEDAN, max_drive_torques=(500.0, 500.0))
    assert limits(weak)[1] == pytest.approx(0.75 * 1000 / 0.32 / 1400, rel=0.01)
    tall = replace(SEDAN, centre_of_mass=(0.27, 0.0, 1.68))
    assert limits(tall)[0] == pytest.approx(0.4 * 9.81 * 0.775 / 2.0, rel=0.01)
    assert limits(slippery, grip=0.9) == (4.0, 3.0)
    slow = replace(SEDAN, max_wheel_speed=10.0)
    assert suited(PathConfig(), slow).top_speed == pytest.approx(0.75 * 3.2)


def test_a_car_that_turns_less_sharply_is_given_wider_roads() -> None:
    """The sharpest turn of a built-in road is one that it can drive."""
    stiff = replace(SEDAN, max_joint_angle=0.3)
    assert stiff.size == pytest.approx(1.3 / stiff.max_curvature, rel=0.005)
    assert stiff.size > SEDAN.size
    for car in (VEHICLE, SEDAN, stiff):
        for source in PATHS:
            path = load_path(source, car_size=car.size, max_curvature=car.max_curvature)
            assert path.warnings == (), source


def test_built_in_paths_are_as_large_as_the_car_and_files_as_they_are(tmp_path: Path) -> None:
    """A scale multiplies either."""
    file = str(write_loop(tmp_path / "loop.csv"))
    lengths = {
        source: load_path(source).length for source in ("figure-eight", "slalom", "random", file)
    }
    for source, length in lengths.items():
        size = 1.0 if source == file else SEDAN.size
        for scale in (1.0, 0.5):
            own = load_path(source, scale=scale, car_size=SEDAN.size)
            assert own.length == pytest.approx(scale * size * length, rel=1e-3)
    assert len(load_path("slalom", car_size=SEDAN.size).grid) == len(load_path("slalom").grid)


def state_of_a_turning_car() -> CarState:
    """Return a state in which nothing is zero."""
    state = replace(car_at(1.0, 0.1, 0.3), yaw_rate=doubles(0.5), lateral_velocity=doubles(0.1))
    return replace(state, steering_angles=state.steering_angles + 0.1)


def enlarged(state: CarState, size: float) -> CarState:
    """Return what a car is that is larger, and does the same."""
    root = math.sqrt(size)
    return replace(
        state,
        position=size * state.position,
        speed=root * state.speed,
        lateral_velocity=root * state.lateral_velocity,
        yaw_rate=state.yaw_rate / root,
    )


@pytest.mark.parametrize("unit", ["m", "s"])
def test_an_enlarged_car_on_an_enlarged_road_is_observed_alike(unit: Any) -> None:
    """So whatever is learnt from is the same, whatever the size."""
    observed = []
    base = state_of_a_turning_car()
    for size in (1.0, 4.0):
        car = replace(VEHICLE, wheelbase=size * 0.3302, max_joint_angle=1.2)
        path = load_path("sine", car_size=car.size, top_speed=3.0 * car.root_size)
        state = enlarged(base, size)
        observer = PathObserver(suited(ControllerConfig(preview_unit=unit), car))
        observed.append(observer.observe(state, compute_error_state(path, state)))
    assert torch.allclose(*observed, atol=1e-3)
    assert float(observed[0].abs().min()) > 1e-3


@pytest.mark.parametrize("kind", [AccelerationPursuit, PurePursuit, Stanley])
def test_classical_controllers_steer_an_enlarged_car_alike(kind: Any) -> None:
    """Their parameters are for the shipped car's size, and mean the same for any other."""
    commands = []
    base = state_of_a_turning_car()
    for size in (1.0, 4.0):
        car = replace(
            VEHICLE,
            wheelbase=size * VEHICLE.wheelbase,
            track=size * VEHICLE.track,
            rear_axle_x=size * VEHICLE.rear_axle_x,
        )
        assert car.size == size
        path = load_path("sine", car_size=size, top_speed=3.0 * car.root_size)
        controller = kind(car)
        if kind is AccelerationPursuit:
            table = controller.table
            controller.table = replace(
                table, wheelbase=size * table.wheelbase, speeds=car.root_size * table.speeds
            )
        state = enlarged(base, size)
        command = controller(state, compute_error_state(path, state))
        commands.append(command / doubles(1.0, car.root_size))
    assert torch.allclose(*commands, atol=1e-4)
