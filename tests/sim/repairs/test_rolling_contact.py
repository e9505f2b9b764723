"""Wheels of round shapes: wrong as Genesis comes, right with the repair, loud where it is not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.gradients.finite_differences import check_environments, random_directions
from diffcar.sim import upstream
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.sim.contract import Placement
from diffcar.sim.fast_paths import take_fast_paths
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.wheels import with_wheels
from diffcar.sim.repairs import rolling_contact

pytestmark = pytest.mark.genesis

NUM_STEPS = 40


@pytest.fixture(scope="module", params=["ellipsoid", "cylinder", "capsule"])
def car(
    request: pytest.FixtureRequest,
    scene_config: CarConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> GenesisCar:
    """Six differentiable cars on wheels of another shape, without repairs."""
    file = with_wheels(load_vehicle(), request.param, tmp_path_factory.mktemp("wheels"))
    return build_scene(
        scene_config,
        num_envs=6,
        differentiable=True,
        vehicle=load_vehicle(file),
        with_repairs=False,
    )


def as_it_comes(car: GenesisCar) -> None:
    """Undo the repair: Genesis's own method shows through again."""
    vars(car.scene.sim.rigid_solver.collider).pop("backward_narrowphase", None)


def errors_of(car: GenesisCar, start: Placement) -> list[float]:
    """Return the relative errors of six cars that weave about, one direction each."""
    time = car.dt * torch.arange(NUM_STEPS, dtype=torch.float64)
    phase = torch.arange(car.num_envs, dtype=torch.float64)[:, None]
    steering, speed = 0.12 * torch.sin(3 * time + phase), 2.1 + 0.1 * torch.cos(2 * time + phase)
    actions = torch.stack([steering, speed], -1).requires_grad_()

    def place() -> Tensor:
        car.reset(start)
        for step in range(NUM_STEPS):
            car.apply(actions[:, step])
            car.step()
        state = car.read()
        return state.position.sum(-1) + 0.5 * state.yaw + 0.1 * state.speed

    directions = [random_directions(actions, torch.Generator().manual_seed(0), scale=3.0)]
    checks = check_environments(place, [actions], directions, step_sizes=(2e-4, 3e-5, 4e-6))
    return [check.relative_error for check in checks if not check.is_kink]


def test_rolling_is_right_with_the_repair_only(
    car: GenesisCar, rolling_start: Callable[..., Placement]
) -> None:
    """To a millionth, on the fast paths, too; without it most shapes are wrong altogether."""
    start = rolling_start(num_envs=car.num_envs)
    as_it_comes(car)
    if car.vehicle.wheel_shape != "capsule":  # right as it comes while both ends touch the road
        assert max(errors_of(car, start)) > 0.1
    assert rolling_contact.repair_rolling_contact(car.scene)
    repaired = errors_of(car, start)
    assert len(repaired) >= car.num_envs - 1
    assert max(repaired) <= 1e-6
    taken = take_fast_paths(car.scene)
    assert max(errors_of(car, start)) <= 1e-6
    for give_up in taken.values():
        give_up()


def test_a_contact_elsewhere_raises(
    car: GenesisCar, rolling_start: Callable[..., Placement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should Genesis look for contacts in another way, the closed form must not be believed."""
    if car.vehicle.wheel_shape == "ellipsoid":
        pytest.skip("an ellipsoid has no tilted contacts")
    monkeypatch.setattr(car.scene.sim.rigid_solver.collider, "_mc_perturbation", 0.02)
    as_it_comes(car)
    rolling_contact.repair_rolling_contact(car.scene)
    with pytest.raises((SimulationError, RuntimeError), match="expects it"):
        errors_of(car, rolling_start(num_envs=car.num_envs))


def test_repair_steps_aside_where_genesis_has_changed(
    car: GenesisCar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another reverse pass upstream: a warning, and Genesis's own method stays."""
    as_it_comes(car)
    upstream.note.cache_clear()
    monkeypatch.setattr(rolling_contact, "_KNOWN_REVERSE_PASS", "another")
    assert not rolling_contact.repair_rolling_contact(car.scene)
    assert "rolling contact" in caplog.text
    assert "backward_narrowphase" not in vars(car.scene.sim.rigid_solver.collider)


def test_spheres_need_no_repair(differentiable_car: GenesisCar) -> None:
    """The shipped car is left alone."""
    assert not rolling_contact.repair_rolling_contact(differentiable_car.scene)
