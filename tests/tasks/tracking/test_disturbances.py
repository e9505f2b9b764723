"""Disturbances: reproducible, the same for everyone, and what they claim to be."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState, compute_error_state, starts_on_path
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.gradients.finite_differences import check_directions
from diffcar.losses import TrackingLoss
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState, Placement
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.disturbances import (
    DisturbedScene,
    NoisyController,
    RandomisedCars,
    draw_traits,
)
from diffcar.tasks.tracking.rollout import ClosedLoop, rollout
from tests.bicycle import Bicycle
from tests.samples import VEHICLE, doubles, seeded

Starts = Callable[..., Placement]


@pytest.fixture
def car() -> Bicycle:
    """Four cars."""
    return Bicycle(4)


@dataclass
class Recorder:
    """Records what reaches a scene, and passes it on."""

    scene: Bicycle
    actions: list[Tensor] = field(default_factory=list)
    forces: list[Tensor] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.scene, name)

    def apply(self, action: Tensor) -> None:
        self.actions.append(action)
        self.scene.apply(action)

    def apply_force(self, force: Tensor) -> None:
        self.forces.append(force)
        self.scene.apply_force(force)


def hold(scene: DisturbedScene, action: list[float], num_steps: int) -> None:
    for _ in range(num_steps):
        scene.apply(torch.tensor([action] * scene.num_envs, dtype=torch.float64))
        scene.step()


def test_defaults_disturb_nothing(
    car: Bicycle, figure_eight: ReferencePath, rolling_start: Starts
) -> None:
    """Bit for bit the undisturbed drive."""
    controller = PurePursuit(car.vehicle)
    config = DisturbanceConfig()
    ends = []
    for scene, driver in (
        (car, controller),
        (
            DisturbedScene(car, config, seeded()),
            NoisyController(controller, config, seeded()),
        ),
    ):
        ends.append(rollout(scene, driver, figure_eight, rolling_start(speed=1.0), 20).position)
    assert torch.equal(*ends)


def test_commands_arrive_late(
    car: Bicycle, figure_eight: ReferencePath, rolling_start: Starts
) -> None:
    """By as many steps as each car is late; before the first, it rolls on at its speed."""
    recorder = Recorder(car)
    scene = DisturbedScene(recorder, DisturbanceConfig(delay_steps=2), seeded())
    scene.take({**scene.traits, "delay_steps": doubles(0, 1, 2, 2)})
    for _ in range(2):  # a new loop forgets what was under way
        recorder.actions.clear()
        loop = ClosedLoop(scene, figure_eight, rolling_start(speed=1.5))
        for number in range(1, 5):
            loop.step(doubles(0.1 * number, 2.0).expand(4, 2))
        steering, speed = torch.stack(recorder.actions).unbind(-1)
        for index, late in enumerate((0, 1, 2, 2)):
            given = [0.0] * late + [0.1 * number for number in range(1, 5 - late)]
            assert steering[:, index].tolist() == pytest.approx(given)
            assert speed[:, index].tolist() == [1.5] * late + [2.0] * (4 - late)
    loop.restart(torch.tensor([2]), replace(rolling_start(1, speed=1.0), arc_length=doubles(0.0)))
    loop.step(doubles(0.3, 2.0).expand(4, 2))
    assert recorder.actions[-1][2:].tolist() == [[0.0, 1.0], pytest.approx([0.3, 2.0])]


def test_servos_take_commands_otherwise(car: Bicycle, rolling_start: Starts) -> None:
    """Steering by factor and offset, drive by a factor on the excess, up to what motors give."""
    recorder = Recorder(car)
    config = DisturbanceConfig(motor_gain=0.5, steering_gain=2.0, steering_offset=0.1)
    scene = DisturbedScene(recorder, config, seeded())
    scene.reset(rolling_start(speed=1.5))
    most = car.vehicle.speed_increment
    for speed, expected in ((1.7, 1.6), (1.4, 1.45), (9.0, 1.5 + most / 2), (0, 1.5 - most / 2)):
        scene.apply(doubles(0.05, speed).expand(4, 2))
        assert recorder.actions[-1][0].tolist() == pytest.approx([0.2, expected])


def test_cars_are_drawn_from_the_ranges() -> None:
    """Evenly, whole steps of delay, by the seed alone; a number is the same for all."""
    config = DisturbanceConfig(mass_ratio=[0.5, 1.5], delay_steps=[1, 3], yaw_noise=0.02)
    traits = draw_traits(config, 3000, seeded())
    mass, delay = traits["mass_ratio"], traits["delay_steps"]
    assert 0.5 <= float(mass.min()) < 0.51 < 1.49 < float(mass.max()) <= 1.5
    for steps in (1, 2, 3):
        assert float((delay == steps).double().mean()) == pytest.approx(1 / 3, abs=0.03)
    assert traits["yaw_noise"].unique().tolist() == [0.02]
    assert traits["motor_gain"].unique().tolist() == [1.0]
    again, other = draw_traits(config, 3000, seeded()), draw_traits(config, 3000, seeded(1))
    assert torch.equal(mass, again["mass_ratio"])
    assert not torch.equal(mass, other["mass_ratio"])
    # What is drawn for one disturbance does not hang on the ranges of others.
    alone = draw_traits(DisturbanceConfig(mass_ratio=[0.5, 1.5]), 3000, seeded())
    assert torch.equal(mass, alone["mass_ratio"])


def test_a_range_begins_with_its_least() -> None:
    """And has two ends."""
    for wrong in ([1.2, 0.8], [1.0], [0.8, 1.0, 1.2]):
        with pytest.raises(ValueError, match=r"mass_ratio"):
            DisturbanceConfig(mass_ratio=wrong)


def test_only_fresh_cars_change_in_training(car: Bicycle, rolling_start: Starts) -> None:
    """Pushes and noise are those of the draw as often as they are begun with."""
    config = DisturbanceConfig(
        friction_ratio=[0.5, 1.5], yaw_noise=[0.0, 0.1], push_force=[1.0, 5.0], push_interval=0.2
    )
    recorder = Recorder(car)
    cars = RandomisedCars(recorder, PurePursuit(car.vehicle), config, seed=0)
    first = dict(cars.scene.traits)

    def forces() -> Tensor:
        recorder.forces.clear()
        cars.begin()
        cars.scene.reset(rolling_start())
        hold(cars.scene, [0.0, 1.0], 20)
        return torch.stack(recorder.forces)

    before = forces()
    assert torch.equal(before, forces())
    assert torch.equal(cars.scene.variations["friction_ratio"], first["friction_ratio"])
    largest = before.norm(dim=-1).amax(0)
    assert torch.allclose(largest[largest > 0], first["push_force"][largest > 0])
    is_fresh = torch.tensor([True, False, False, True])
    cars.draw(1, is_fresh)
    for name in ("friction_ratio", "yaw_noise", "push_force"):
        assert torch.equal(cars.scene.traits[name] != first[name], is_fresh), name
    assert not torch.equal(before, forces())


def test_a_heavy_car_in_training_has_weaker_motors_and_feels_pushes_less(car: Bicycle) -> None:
    """It drives as one does that weighs more, and is built no other."""
    config = DisturbanceConfig(mass_ratio=1.25, motor_gain=0.8, push_force=5.0, friction_ratio=0.9)
    cars = RandomisedCars(car, PurePursuit(car.vehicle), config, seed=0)
    for name, value in {"motor_gain": 0.64, "push_force": 4.0, "mass_ratio": 1.0}.items():
        assert cars.scene.traits[name].tolist() == pytest.approx([value] * 4), name
    assert cars.scene.variations.keys() == {"friction_ratio"}


def test_no_push_or_delay_is_left_out_of_gradients(figure_eight: ReferencePath) -> None:
    """By every weight, through delayed commands, gains, noise, pushes and what cars weigh."""
    config = DisturbanceConfig(
        delay_steps=[0, 3],
        mass_ratio=[0.8, 1.2],
        motor_gain=[0.8, 1.2],
        steering_gain=[0.9, 1.1],
        yaw_noise=[0.0, 0.01],
        push_force=[0.0, 5.0],
    )
    small = ControllerConfig(hidden_sizes=[8], past_commands=2)
    driver = build_tracking_mlp(small, VEHICLE, dtype=torch.float64, seed=3)
    cars = RandomisedCars(Bicycle(4, differentiable=True), driver, config, seed=0)
    cars.take({**cars.scene.traits, "delay_steps": doubles(0, 1, 2, 3)})
    assert cars.num_commands == 3
    start = starts_on_path(figure_eight, doubles(2.0, 5.0, 11.0, 17.0), cross_track=0.05)

    def loss() -> Tensor:
        cars.begin()
        driven = rollout(cars.scene, cars.driver, figure_eight, start, 8)
        return TrackingLoss(cross_track_scale=0.02).costs(driven).total

    checks = check_directions(loss, list(driver.network.parameters()), num_directions=2)
    assert max(check.relative_error for check in checks) < 1e-6
    assert min(abs(check.numeric_gradient) for check in checks) > 1e-4


def test_pushes_are_sideways_and_as_long_and_frequent_as_asked(
    car: Bicycle, rolling_start: Starts
) -> None:
    """Of the size asked for, square to the car, on both sides."""
    config = DisturbanceConfig(push_force=3.0, push_duration=0.1, push_interval=0.5)
    recorder = Recorder(car)
    scene = DisturbedScene(recorder, config, seeded())
    scene.reset(rolling_start(speed=1.0, yaw=0.4))
    hold(scene, [0.0, 1.0], 500)
    forces = torch.stack(recorder.forces)
    size = forces.norm(dim=-1)
    assert torch.allclose(size[size > 0], torch.tensor(3.0, dtype=size.dtype))
    assert float(size.gt(0).double().mean()) == pytest.approx(0.1 / 0.5, rel=0.1)
    first = int(size[:, 0].gt(0).nonzero()[0])  # the car has not been turned by an earlier one
    assert (
        abs(float(forces[first, 0] @ torch.tensor([0.4, 0.4 - torch.pi / 2]).cos().double())) < 1e-3
    )
    sides = forces[..., 1].sign().unique()
    assert sides.tolist() == [-1.0, 0.0, 1.0]


def test_seed_decides_in_every_precision_and_for_every_controller(rolling_start: Starts) -> None:
    """The same pushes whatever is driven, others with another seed; teams of cars meet the same."""
    config = DisturbanceConfig(push_force=3.0, push_interval=0.3)

    def pushes(seed: int, dtype: torch.dtype, speed: float) -> Tensor:
        recorder = Recorder(Bicycle(4, dtype=dtype))
        scene = DisturbedScene(recorder, config, seeded(seed), cars_alike=2)
        scene.reset(rolling_start(speed=1.0, yaw=0.0))
        hold(scene, [0.0, speed], 50)
        return torch.stack(recorder.forces)[..., 1].sign().double()

    first = pushes(0, torch.float64, 1.0)
    assert torch.equal(first, pushes(0, torch.float32, 2.0))
    assert not torch.equal(first, pushes(1, torch.float64, 1.0))
    assert torch.equal(first[:, :2], first[:, 2:])
    assert not torch.equal(first[:, 0], first[:, 1])


def test_plant_is_heavier_and_slippery_until_it_is_told_otherwise(
    car: Bicycle, rolling_start: Starts
) -> None:
    """The ratios of the configuration reach every car of the scene at its reset."""
    config = DisturbanceConfig(mass_ratio=1.5, friction_ratio=0.5, mass_shift=0.02)
    DisturbedScene(car, config, seeded()).reset(rolling_start())
    told = {name: ratio.tolist() for name, ratio in car.variations.items()}
    expected = {"mass_ratio": 1.5, "mass_shift": 0.02, "friction_ratio": 0.5}
    assert told == {name: [value] * 4 for name, value in expected.items()}
    DisturbedScene(car, DisturbanceConfig(), seeded()).reset(rolling_start())
    assert car.variations == {}


def test_noise_has_the_deviations_asked_for_and_reaches_the_errors(
    figure_eight: ReferencePath,
) -> None:
    """The controller sees a perturbed state, and the errors of that state."""
    config = DisturbanceConfig(
        position_noise=0.01, yaw_noise=0.02, speed_noise=0.03, yaw_rate_noise=0.04
    )
    car = Bicycle(300)
    car.reset(starts_on_path(figure_eight, torch.full((300,), 1.0, dtype=torch.float64)))
    state = car.read()
    errors = compute_error_state(figure_eight, state)
    seen: list[tuple[CarState, ErrorState]] = []

    class Witness:
        name = "witness"

        def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
            seen.append((state, errors))
            return torch.zeros(len(state.yaw), 2)

    noisy = NoisyController(Witness(), config, seeded())
    noisy(state, errors)
    noisy(state, errors)
    measured, measured_errors = seen[0]
    for name, deviation in (("position", 0.01), ("yaw", 0.02), ("speed", 0.03), ("yaw_rate", 0.04)):
        noise = getattr(measured, name) - getattr(state, name)
        assert float(noise.std()) == pytest.approx(deviation, rel=0.15), name
        assert float(noise.mean()) == pytest.approx(0.0, abs=0.2 * deviation), name
    assert float(measured_errors.cross_track_error.std()) == pytest.approx(0.01, rel=0.15)
    assert torch.equal(
        measured_errors.speed_error, measured.speed - measured_errors.reference_speed
    )
    assert not torch.equal(measured.yaw, seen[1][0].yaw)
    assert torch.equal(car.read().position, state.position)
