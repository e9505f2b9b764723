"""Ensembles and teams: everybody drives as alone, each on cars of its own."""

import dataclasses

import torch
from torch import Tensor

from diffcar.controllers.batch import ControllerBatch
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState, compute_error_state, starts_on_path
from diffcar.controllers.mlp import with_weights
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState, map_tensors
from tests.samples import VEHICLE, car_at

CONFIG = ControllerConfig(hidden_sizes=[8, 8])


def situations(path: ReferencePath, num_cars: int) -> tuple[CarState, ErrorState]:
    """Return cars all over a path, beside it, each moving otherwise."""
    generator = torch.Generator().manual_seed(0)

    def around_zero(*shape: int) -> Tensor:
        return torch.randn(num_cars, *shape, generator=generator, dtype=torch.float64)

    arc_length = path.length * torch.rand(num_cars, generator=generator, dtype=torch.float64)
    start = starts_on_path(path, arc_length, cross_track=0.1 * around_zero(), heading=0.1)
    one = car_at(0.0, 0.0, 0.0)
    state = dataclasses.replace(
        map_tensors(one, lambda value: value.expand(num_cars, -1)),
        position=start.position,
        yaw=start.yaw,
        speed=2.0 + 0.3 * around_zero(),
        lateral_velocity=0.1 * around_zero(),
        yaw_rate=around_zero(),
        steering_angles=0.2 * around_zero(1).expand(-1, 2),
    )
    return state, compute_error_state(path, state, arc_length)


def networks(path: ReferencePath, count: int) -> list[TrackingMLP]:
    made = [
        build_tracking_mlp(CONFIG, VEHICLE, dtype=torch.float64, seed=seed) for seed in range(count)
    ]
    with torch.no_grad():
        for controller in made:
            for weight in controller.network.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
    return made


def test_an_ensemble_drives_as_its_networks_do_alone(figure_eight: ReferencePath) -> None:
    """Each network its own two cars, the mirror images of the same ones included."""
    torch.manual_seed(0)
    single = networks(figure_eight, 3)
    weights = zip(*(controller.network.parameters() for controller in single), strict=True)
    ensemble = with_weights(single[0], [torch.stack(own) for own in weights], envs_each=2)
    state, errors = situations(figure_eight, 6)
    with torch.no_grad():
        together = ensemble(state, errors)
        for number, controller in enumerate(single):
            cars = slice(2 * number, 2 * number + 2)
            alone = controller(state.select(cars), errors.select(cars))
            assert torch.allclose(together[cars], alone, atol=1e-12), number
        assert not torch.allclose(together[2:4], single[0](state, errors)[2:4], atol=1e-3)


def test_a_team_gives_each_member_its_own_cars(figure_eight: ReferencePath) -> None:
    """In order, as many as it was promised, and nobody else's."""
    members = [
        (PurePursuit(VEHICLE), 1),
        (Stanley(VEHICLE), 3),
        (networks(figure_eight, 1)[0], 2),
    ]
    state, errors = situations(figure_eight, 6)
    with torch.no_grad():
        actions = ControllerBatch(members)(state, errors)
        alone = [controller(state, errors) for controller, _ in members]
    assert actions.shape == (6, 2)
    for car, member in enumerate([0, 1, 1, 1, 2, 2]):
        assert torch.allclose(actions[car], alone[member][car], atol=1e-12), car
        others = [action[car] for number, action in enumerate(alone) if number != member]
        assert not any(torch.allclose(actions[car], other, atol=1e-6) for other in others)


def test_a_parameter_may_differ_from_car_to_car(figure_eight: ReferencePath) -> None:
    """As the search for parameters needs it: a gain a car is each car's own."""
    gains = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    state, errors = situations(figure_eight, 3)
    together = Stanley(VEHICLE, gain=gains)(state, errors)
    for car, gain in enumerate(gains.tolist()):
        alone = Stanley(VEHICLE, gain=gain)(state, errors)
        assert torch.allclose(together[car], alone[car], atol=1e-12)
