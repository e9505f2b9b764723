"""The car in MuJoCo: a second engine with the same model, signs and forces."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.files import resource_path
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.mujoco_car import MuJoCoCar
from diffcar.tasks.tracking.drive import drive
from diffcar.tasks.tracking.metrics import tracking_metrics

Starts = Callable[..., Placement]
IN_GENESIS = pytest.mark.genesis, pytest.mark.xdist_group("shared cars")


def build_car(**settings: object) -> MuJoCoCar:
    return build_scene(CarConfig(precision=64, **settings), num_envs=4, engine="mujoco")


@pytest.fixture(params=["torque", "pd"])
def car(request: pytest.FixtureRequest) -> MuJoCoCar:
    """Four cars under each actuation in turn."""
    return build_car(actuation=request.param)


def hold(car: MuJoCoCar | GenesisCar, action: list[float], num_steps: int) -> CarState:
    """Hold one action for some steps."""
    for _ in range(num_steps):
        car.apply(torch.tensor([action] * car.num_envs, dtype=car.dtype))
        car.step()
    return car.read()


def lifted(car: MuJoCoCar) -> CarState:
    """Return the present state a metre higher and at rest."""
    state = car.read()
    up = torch.zeros_like(state.qpos)
    up[:, 2] = 1.0
    return dataclasses.replace(state, qpos=state.qpos + up, dofs_velocity=0.0 * state.dofs_velocity)


def test_reset_puts_the_cars_where_they_were_asked_to_be(
    car: MuJoCoCar, rolling_start: Starts
) -> None:
    """Position, heading and velocities are read back as set."""
    start = dataclasses.replace(
        rolling_start(speed=1.5, yaw=2.0), yaw_rate=torch.full((4,), 0.7, dtype=torch.float64)
    )
    car.reset(start)
    state = car.read()
    assert torch.allclose(state.position, start.position)
    assert torch.allclose(state.yaw, start.yaw)
    assert torch.allclose(state.speed, start.speed)
    assert torch.allclose(state.yaw_rate, start.yaw_rate)
    assert float(state.lateral_velocity.abs().max()) < 1e-12
    assert torch.allclose(state.wheel_speeds * car.vehicle.wheel_radius, start.speed[:, None])


def test_car_at_rest_stays_at_its_rest_height(car: MuJoCoCar, rolling_start: Starts) -> None:
    """Settled on its contacts, it neither sinks nor creeps."""
    car.reset(rolling_start(speed=0.0))
    state = hold(car, [0.0, 0.0], 100)
    assert float(state.position.norm(dim=-1).max()) < 1e-4
    assert float((state.qpos[:, 2] - car.rest_height).abs().max()) < 1e-4


def test_rolling_car_goes_straight_at_its_speed(car: MuJoCoCar, rolling_start: Starts) -> None:
    """Two percent below the command, since the wheels sink in by so much; no jolt, no drift."""
    car.reset(rolling_start(speed=2.0, yaw=0.3))
    early = hold(car, [0.0, 2.0], 30)
    state = hold(car, [0.0, 2.0], 30)
    assert float((early.speed - 2.0).abs().max()) < 0.05
    assert torch.allclose(state.speed, early.speed, rtol=1e-3)
    assert float((state.yaw - 0.3).abs().max()) < 1e-6
    assert float(state.position[0].norm()) == pytest.approx(2.0 * 60 * car.dt, rel=0.03)


def test_left_is_positive(car: MuJoCoCar, rolling_start: Starts) -> None:
    """Steering left turns left: yaw rate and steering angles are positive, and right the mirror."""
    car.reset(rolling_start(speed=1.0, yaw=0.0))
    left = hold(car, [0.2, 1.0], 40)
    car.reset(rolling_start(speed=1.0, yaw=0.0))
    right = hold(car, [-0.2, 1.0], 40)
    assert float(left.yaw_rate.min()) > 0.5
    assert float(left.steering_angles.min()) > 0.1
    assert float(left.position[:, 1].min()) > 0.0
    assert torch.allclose(left.yaw_rate, -right.yaw_rate, atol=1e-6)


def test_yaw_rate_is_that_of_the_world(car: MuJoCoCar) -> None:
    """Pitched nose down, a car's own axes see the turn otherwise; the heading does not."""
    pitch = torch.full((4,), 0.5, dtype=torch.float64)
    state = lifted(car)
    zero = torch.zeros_like(pitch)
    state.qpos[:, 3:7] = torch.stack([(pitch / 2).cos(), zero, (pitch / 2).sin(), zero], dim=-1)
    # One radian per second about the vertical, in the body's axes.
    state.dofs_velocity[:, 3:6] = torch.stack([-pitch.sin(), zero, pitch.cos()], dim=-1)
    car.reset(state)
    assert torch.allclose(car.read().yaw_rate, torch.ones_like(pitch))
    before = car.read().yaw
    car.step()
    turned = torch.remainder(car.read().yaw - before + math.pi, 2 * math.pi) - math.pi
    assert torch.allclose(turned / car.dt, torch.ones_like(pitch), rtol=0.02)


def test_reset_to_a_state_repeats_bit_for_bit(car: MuJoCoCar, rolling_start: Starts) -> None:
    """Nothing but the state decides what follows."""
    car.reset(rolling_start())
    state = hold(car, [0.2, 2.2], 10)
    ends = []
    for _ in range(2):
        car.reset(state)
        ends.append(hold(car, [0.1, 2.0], 10).qpos)
    assert torch.equal(*ends)


@pytest.mark.parametrize("substeps", [1, 4])
def test_push_accelerates_by_force_over_mass(rolling_start: Starts, substeps: int) -> None:
    """In the air, for one control interval with all its substeps, and then no more."""
    car = build_car(substeps=substeps)
    mass_ratio = torch.tensor([1.0, 0.5, 2.0, 1.0], dtype=torch.float64)
    car.variations = {"mass_ratio": mass_ratio}
    car.reset(rolling_start(speed=0.0))
    car.reset(lifted(car))
    force = torch.tensor([[5.0, 0.0], [0.0, 5.0], [-5.0, 5.0], [0.0, 0.0]], dtype=torch.float64)
    car.apply_force(force)
    car.step()
    velocity = car.read().dofs_velocity[:, :2]
    mass = car.vehicle.mass * mass_ratio[:, None]
    # The push also begins to roll and pitch the car, whose frame lies below the point it acts on.
    assert torch.allclose(velocity * mass / car.dt, force, atol=0.15)
    car.step()
    assert torch.allclose(car.read().dofs_velocity[:, :2], velocity, atol=1e-5)


def test_a_shifted_mass_loads_the_axles_otherwise(rolling_start: Starts) -> None:
    """A chassis of 3.22 of 3.74 kg, 5 cm further ahead: the rear axle slips at a lower torque."""
    car = build_car()
    car.variations = {
        "mass_shift": torch.tensor([0.0, 0.05, -0.05, 0.0]),
        "friction_ratio": torch.full((4,), 0.2),
    }
    car.reset(rolling_start(speed=0.0))
    speed = hold(car, [0.0, 4.0], 20).speed
    # The wheels spin: what drives is the friction of the rear axle, whose load goes as the lever.
    lever, moved = 0.1651 + 0.0055, 0.05 * 3.22 / 3.74
    for index, sign in ((1, -1.0), (2, 1.0)):
        load = 1 + sign * moved / lever
        assert float(speed[index] / speed[0]) == pytest.approx(load, rel=0.1)


def test_variations_act_from_the_next_placement(rolling_start: Starts) -> None:
    """Ice and a load for one car each; an empty table takes both back."""
    car = build_car()

    def speeds() -> Tensor:
        car.reset(rolling_start(speed=0.0))
        return hold(car, [0.0, 4.0], 20).speed

    plain = speeds()
    car.variations = {
        "friction_ratio": torch.tensor([1.0, 0.1, 1.0, 1.0]),
        "mass_ratio": torch.tensor([1.0, 1.0, 2.0, 1.0]),
    }
    changed = speeds()
    assert torch.equal(changed[[0, 3]], plain[[0, 3]])
    assert float(changed[1]) < 0.3 * float(plain[1])
    assert float(changed[2]) == pytest.approx(float(plain[2]) / 2, rel=0.15)
    car.variations = {}
    assert torch.equal(speeds(), plain)


@pytest.mark.parametrize("engine", ["mujoco", pytest.param("genesis", marks=IN_GENESIS)])
def test_a_variation_that_there_is_not_is_refused(
    engine: str, rolling_start: Starts, request: pytest.FixtureRequest
) -> None:
    """With the nearest name and all there are, not silently left out."""
    car = build_car() if engine == "mujoco" else request.getfixturevalue("plain_car")
    car.variations = {"mass": torch.ones(4)}
    try:
        with pytest.raises(SimulationError, match="no variation is called 'mass'") as caught:
            car.reset(rolling_start())
    finally:
        car.variations = {}
    assert "mass_ratio, mass_shift, friction_ratio" in (caught.value.hint or "")


@pytest.mark.parametrize("actuation", ["torque", "pd"])
def test_a_base_turned_in_its_reference_pose_drives_the_same(
    actuation: str, tmp_path: Path, rolling_start: Starts
) -> None:
    """The model's pose is where it is drawn, and says nothing of the car."""
    plain = '<body name="chassis" pos="0 0 0.0508">'
    turned = '<body name="chassis" pos="0.1 0.2 0.0508" euler="0 0 0.7">'
    file = tmp_path / "turned.xml"
    file.write_text(resource_path("assets/car.xml").read_text().replace(plain, turned))
    ends = []
    for model in (None, str(file)):
        car = build_car(actuation=actuation, model=model)
        car.reset(rolling_start(speed=1.5))
        ends.append(hold(car, [0.2, 2.0], 50))
    assert torch.allclose(ends[0].qpos, ends[1].qpos, rtol=0, atol=1e-6)
    assert torch.allclose(ends[0].dofs_velocity, ends[1].dofs_velocity, rtol=0, atol=1e-5)


def test_how_a_model_wants_to_be_solved_does_not_matter(
    tmp_path: Path, rolling_start: Starts
) -> None:
    """Solver and iterations are no part of a car; every model is stepped alike."""
    option = '<option timestep="0.02"'
    file = tmp_path / "coarse.xml"
    text = resource_path("assets/car.xml").read_text()
    own = f'{option} solver="PGS" iterations="1" impratio="9"'
    file.write_text(text.replace(option, own))
    ends = []
    for model in (None, str(file)):
        car = build_car(model=model)
        car.reset(rolling_start(speed=1.5))
        ends.append(hold(car, [0.2, 2.0], 20).qpos)
    assert torch.equal(*ends)


def test_command_that_is_no_number_is_refused(car: MuJoCoCar, rolling_start: Starts) -> None:
    """MuJoCo would quietly take it for zero."""
    car.reset(rolling_start())
    with pytest.raises(SimulationError, match="not finite"):
        hold(car, [math.nan, 1.0], 1)


@pytest.mark.genesis
@pytest.mark.parametrize("actuation", ["torque", "pd"])
def test_engines_agree(plain_car: GenesisCar, figure_eight: ReferencePath, actuation: str) -> None:
    """Pure pursuit drives the figure-eight alike: positions to a centimetre a second, RMSE to 5 %.

    From a flying start: pure pursuit spins the wheels at a standing one, and what a car does then
    depends on rounding.
    """
    other = build_car(actuation=actuation)
    plain_car.actuation = actuation
    assert other.rest_height == pytest.approx(plain_car.rest_height, abs=1e-7)
    path = figure_eight.to(plain_car.dtype, plain_car.device)
    driven = [
        drive(
            scene,
            PurePursuit(scene.vehicle),
            path,
            is_standing=torch.zeros(4, dtype=torch.bool),
            arc_length=path.length * torch.tensor([0.0, 0.2, 0.45, 0.7], dtype=path.dtype),
            max_time=3.0,
        ).trajectory
        for scene in (plain_car, other)
    ]
    gap = (driven[0].position - driven[1].position).norm(dim=-1)
    assert float(gap.max()) < {"torque": 0.001, "pd": 0.03}[actuation]
    here, there = (
        tracking_metrics(trajectory, goal_distance=100.0).cross_track_rmse_m
        for trajectory in driven
    )
    assert there == pytest.approx(here, rel={"torque": 0.01, "pd": 0.05}[actuation])


@pytest.mark.genesis
def test_engines_agree_on_pushes_masses_and_friction(
    plain_car: GenesisCar, rolling_start: Starts
) -> None:
    """A heavy car on a slippery road, pushed in a curve, goes the same way in both."""
    plain_car.actuation = "torque"
    cars = (plain_car, build_car())
    force = torch.tensor([[8.0, 0.0], [0.0, 8.0], [-8.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    ends = []
    for car in cars:
        ratios = torch.tensor([[1.5] * 4, [1.0, 0.8, 0.9, 1.1]], dtype=torch.float64)
        car.variations = dict(zip(("mass_ratio", "friction_ratio"), ratios, strict=True))
        try:
            car.reset(rolling_start(speed=1.5))
            hold(car, [0.2, 2.0], 5)
            for _ in range(5):
                car.apply_force(force)
                state = hold(car, [0.2, 2.0], 1)
            ends.append(state)
        finally:
            car.variations = {}
            car.reset(rolling_start())
    assert torch.allclose(ends[0].position, ends[1].position, atol=2e-4)
    assert torch.allclose(ends[0].speed, ends[1].speed, atol=2e-3)
    assert torch.allclose(ends[0].yaw_rate, ends[1].yaw_rate, atol=1e-2)
    # The push was felt at all, and sideways pushes differently from one along the road.
    assert float((ends[1].position - ends[1].position[3]).norm(dim=-1)[:3].min()) > 2e-4


@pytest.mark.genesis
def test_cars_of_different_masses_need_a_scene_for_them(
    plain_car: GenesisCar, rolling_start: Starts
) -> None:
    """Genesis shares the masses among its environments unless it is told otherwise."""
    ratio = torch.tensor([1.0, 1.0, 1.0, 2.0], dtype=torch.float64)
    plain_car.variations = {"mass_ratio": ratio}
    with pytest.raises(SimulationError, match="one mass"):
        plain_car.reset(rolling_start())
    plain_car.variations = {}
    plain_car.reset(rolling_start())


def test_sensors_and_keyframes_of_a_model_keep_nobody_from_driving(tmp_path: Path) -> None:
    """They refer to actuators, which are those of the car as it is driven."""
    text = load_vehicle().file.read_text()
    sensor = '<sensor><actuatorfrc actuator="rear_left_motor"/></sensor>'
    model = tmp_path / "own.xml"
    model.write_text(text.replace("</mujoco>", f"{sensor}</mujoco>"))
    for config in (CarConfig(model=str(model)), CarConfig(model=str(model), drive="all")):
        car = build_scene(config, num_envs=1, engine="mujoco")
        car.apply(torch.tensor([[0.0, 1.0]]))
        car.step()
        assert float(car.read().speed[0]) > 0


def test_a_split_of_torque_that_nobody_shares_is_refused() -> None:
    """It would have no effect."""
    with pytest.raises(ValueError, match="torque_split has no effect"):
        CarConfig(torque_split=0.3)
    assert CarConfig(drive="all", torque_split=0.3).torque_split == 0.3
