"""Disturbances: reproducible, the same for everyone, and what they claim to be."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from diffcar.controllers.errors import ErrorState, compute_error_state, starts_on_path
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState, Placement
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.disturbances import DisturbedScene, NoisyController
from diffcar.tasks.tracking.rollout import rollout
from tests.bicycle import Bicycle
from tests.samples import seeded

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


def test_commands_arrive_late(car: Bicycle, rolling_start: Starts) -> None:
    """Before the first one, the car rolls straight on at its speed."""
    recorder = Recorder(car)
    scene = DisturbedScene(recorder, DisturbanceConfig(delay_steps=2), seeded())
    for _ in range(2):  # a reset forgets what was pending
        recorder.actions.clear()
        scene.reset(rolling_start(speed=1.5))
        for index in range(4):
            hold(scene, [0.1 * index, 2.0], 1)
        assert [action[0, 0].item() for action in recorder.actions] == [0.0, 0.0, 0.0, 0.1]
        assert [action[0, 1].item() for action in recorder.actions] == [1.5, 1.5, 2.0, 2.0]


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
    config = DisturbanceConfig(mass_ratio=1.5, friction_ratio=0.5)
    DisturbedScene(car, config, seeded()).reset(rolling_start())
    told = {name: ratio.tolist() for name, ratio in car.variations.items()}
    assert told == {"mass_ratio": [1.5] * 4, "friction_ratio": [0.5] * 4}
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
