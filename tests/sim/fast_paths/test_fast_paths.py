"""Fast paths give Genesis's own gradients, and step aside where they might not."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from diffcar.sim.car import GenesisCar
from diffcar.sim.fast_paths import FAST_PATHS, take_fast_paths
from diffcar.sim.fast_paths.checkpoint import CHECKPOINT
from diffcar.sim.fast_paths.fast_path import FastPath
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.sim.upstream import note

NUM_STEPS = 12
OF_SOFT_BODIES = ("standing bodies", "filled cells")
OF_CARS = tuple(name for name in FAST_PATHS if name not in OF_SOFT_BODIES)


@pytest.fixture
def car(differentiable_car: GenesisCar) -> Iterator[GenesisCar]:
    """The differentiable cars, as slow as Genesis comes."""
    for give_up in differentiable_car.fast_paths.values():
        give_up()
    yield differentiable_car
    differentiable_car.fast_paths = take_fast_paths(differentiable_car.scene)


def gradients(car: GenesisCar) -> list[Tensor]:
    """Return those by pose and velocity at the start and by all actions, of states on the way."""
    count, dofs = car.num_envs, car.entity.n_dofs
    leaves = [
        torch.tensor([0.0, 0.0, car.rest_height, 0.3], dtype=torch.float64).repeat(count, 1),
        0.1 * torch.sin(torch.arange(1.0 * count * dofs)).to(torch.float64).reshape(count, dofs),
        actions(car),
    ]
    pose, velocity, commands = (leaf.requires_grad_() for leaf in leaves)
    car.place(pose, velocity)
    total = car.zeros(1)
    for step in range(NUM_STEPS):
        car.apply(commands[:, step])
        car.step()
        state = car.read()
        total = total + state.qpos.square().sum() + state.dofs_velocity.sin().sum()
    return list(torch.autograd.grad(total.sum(), leaves))


def actions(car: GenesisCar) -> Tensor:
    """Return others for each car and step, shape (B, T, 2)."""
    phase = torch.arange(car.num_envs * NUM_STEPS * 2, dtype=torch.float64)
    steering, speed = phase.reshape(car.num_envs, NUM_STEPS, 2).unbind(-1)
    return torch.stack([0.2 * steering.sin(), 2.0 + 0.5 * speed.cos()], -1)


def distance(found: list[Tensor], expected: list[Tensor]) -> float:
    """Return the largest relative distance between two gradients by one input."""
    return max(
        float(torch.dist(own, other) / other.norm())
        for own, other in zip(found, expected, strict=True)
    )


@pytest.mark.genesis
@pytest.mark.parametrize("actuation", ["torque", "pd"])
def test_each_alone_and_all_together_give_the_same_gradient(
    car: GenesisCar, actuation: str
) -> None:
    """To 1e-9 in float64, by everything that can be put in."""
    car.actuation = actuation
    expected = gradients(car)
    assert min(float(own.abs().max()) for own in expected) > 1e-3
    for name in OF_CARS:
        give_up = FAST_PATHS[name].take(car.scene, name)
        assert give_up is not None, name
        apart = distance(gradients(car), expected)
        give_up()
        assert apart <= 1e-9, name
    taken = take_fast_paths(car.scene)
    assert set(taken) == set(OF_CARS)
    together = gradients(car)
    for give_up in taken.values():
        give_up()
    assert distance(together, expected) <= 1e-9
    assert all(map(torch.equal, gradients(car), expected))


@pytest.mark.genesis
def test_those_of_soft_bodies_give_the_same_gradient(soft_body: GenesisSoftBody) -> None:
    """To 1e-9 in float64, by what the body and the tool do; nothing that stands is simulated."""
    assert set(soft_body.fast_paths) == set(OF_SOFT_BODIES)
    together = soft_gradients(soft_body)
    for give_up in soft_body.fast_paths.values():
        give_up()
    expected = soft_gradients(soft_body)
    assert min(float(own.norm()) for own in expected) > 1e-3
    for name in OF_SOFT_BODIES:
        give_up = FAST_PATHS[name].take(soft_body.scene, name)
        assert give_up is not None, name
        apart = distance(soft_gradients(soft_body), expected)
        give_up()
        assert apart <= 1e-9, name
    soft_body.fast_paths = take_fast_paths(soft_body.scene)
    assert distance(together, expected) <= 1e-9


def soft_gradients(soft_body: GenesisSoftBody) -> list[Tensor]:
    """Return those by the body's velocity and the tool's, of where a pushed body comes."""
    bodies = torch.arange(float(soft_body.num_envs))[:, None]
    leaves = [
        soft_body.tensor([0.1, 0.05, -0.2]) * (1 + 0.1 * bodies.to(soft_body.dtype)),
        soft_body.tensor([0.8, 0.1, 0.02]) * (1 + 0.1 * bodies.to(soft_body.dtype)),
    ]
    body, tool = (leaf.requires_grad_() for leaf in leaves)
    soft_body.reset(replace(soft_body.resting_start(), body_velocity=body))
    total = soft_body.zeros(1)
    for _ in range(4):
        soft_body.apply(tool)
        soft_body.step()
        state = soft_body.read()
        total = total + state.particle_positions.square().sum() + state.tool_position.sin().sum()
        total = total + state.particle_velocities.sin().sum()
    soft_body.backward(total.sum())
    return [leaf.grad.clone() for leaf in leaves if leaf.grad is not None]


@pytest.mark.genesis
@pytest.mark.parametrize("name", OF_CARS)
@pytest.mark.parametrize("change", ["source", "name"])
def test_another_genesis_is_left_as_it_is(
    car: GenesisCar, name: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With one function changed or one private name gone: one note, and nothing replaced."""
    path = FAST_PATHS[name]
    other = {
        "source": replace(path, known=dict(path.known) | {list(path.known)[-1]: "another"}),
        "name": replace(path, needed=[*path.needed[:-1], f"{path.needed[-1]}_of_old"]),
    }[change]
    before = [dict(vars(owner)) for owner in owners(car, path)]
    note.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert other.take(car.scene, name) is None
        assert other.take(car.scene, name) is None
    assert len(caplog.records) == 1
    assert f"fast path for {name}: so it is as slow as Genesis is" in caplog.text
    assert [set(vars(owner)) for owner in owners(car, path)] == [set(own) for own in before]


def owners(car: GenesisCar, path: FastPath) -> list[object]:
    """Return the objects whose methods a fast path replaces."""
    return [owner for owner, _, _ in path.replacements(car.scene.sim)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"substeps": 4, "substeps_local": 4}, "several substeps"),
        ({"active_solvers": ["tools", "bodies"]}, "more than rigid bodies"),
        ({"coupler": SimpleNamespace()}, "a coupler"),
    ],
)
def test_checkpoints_are_for_single_steps_of_rigid_bodies(
    change: dict[str, object], reason: str
) -> None:
    """Other scenes are simulated as Genesis does."""
    solver = SimpleNamespace(_enable_mujoco_compatibility=False)
    legacy = type("LegacyCoupler", (), {})()
    given = {"substeps": 1, "substeps_local": 1, "rigid_solver": solver, "coupler": legacy}
    sim = SimpleNamespace(**({**given, "active_solvers": [solver]} | change))
    assert CHECKPOINT.unsuited(sim).startswith(reason)
    assert bool(CHECKPOINT.unsuited(sim)) == bool(reason)


@pytest.mark.genesis
def test_a_scene_that_is_not_suited_is_noted_once(
    car: GenesisCar, caplog: pytest.LogCaptureFixture
) -> None:
    """The note names the reason."""
    path = replace(CHECKPOINT, unsuited=lambda sim: "several substeps a step")
    note.cache_clear()
    with caplog.at_level(logging.INFO):
        assert [path.take(car.scene, "checkpoints") for _ in range(2)] == [None, None]
    assert [record.message for record in caplog.records] == [
        "a scene with several substeps a step has no fast path for checkpoints: so it is as slow "
        "as Genesis is"
    ]
