"""Fast paths give Genesis's own gradients, and step aside where they might not."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from diffcar.sim.car import GenesisCar
from diffcar.sim.fast_paths import FAST_PATHS, Undo, copies, soft_steps, take_fast_paths
from diffcar.sim.fast_paths.checkpoint import CHECKPOINT
from diffcar.sim.fast_paths.fast_path import FastPath, view
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.sim.upstream import note
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training.backprop import Backprop
from tests.training.small import config_of

NUM_STEPS = 12
OF_SOFT_BODIES = ("standing bodies", "filled cells", "elasticity", "steps of soft bodies")
OF_CARS = tuple(name for name in FAST_PATHS if name not in OF_SOFT_BODIES)


@pytest.fixture
def car(differentiable_car: GenesisCar) -> Iterator[GenesisCar]:
    """The differentiable cars, as slow as Genesis comes."""
    _give_up(differentiable_car.fast_paths)
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
    _give_up(taken)
    assert distance(together, expected) <= 1e-9
    assert all(map(torch.equal, gradients(car), expected))


def trained(car: GenesisCar) -> Tensor:
    """Return the weights after three updates."""
    config = config_of("e2e", "dt=0.02")
    scenes = Scenes(config, build=lambda *args, **how: car)
    trainer = Backprop(TrackingTask(config, scenes=scenes).build())
    for _ in range(3):
        assert not trainer.update().is_skipped
    return parameters_to_vector(trainer.task.network.parameters()).detach()


@pytest.fixture(scope="module")
def trained_by_all(differentiable_car: GenesisCar) -> Tensor:
    """The weights that all fast paths lead to."""
    assert set(differentiable_car.fast_paths) == set(OF_CARS)
    return trained(differentiable_car)


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


def test_a_quarter_of_what_a_gpu_has_free_is_for_remembered_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Since simulating them again took it 16 times as long."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", {torch.device("cuda", 1): (80, 100)}.get)
    assert copies.room_on(torch.device("cuda", 1)) == 20
    assert copies.room_on(torch.device("cpu")) == 2**30


@pytest.mark.genesis
def test_steps_of_soft_bodies_beyond_its_memory_are_simulated_again(
    soft_body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for some of them, and then for none, the gradient is the same."""
    expected = soft_gradients(soft_body)
    for room in (6e6, 0):
        for give_up in soft_body.fast_paths.values():
            give_up()
        monkeypatch.setattr(copies, "room_on", Mock(return_value=room))
        soft_body.fast_paths = take_fast_paths(soft_body.scene)
        assert distance(soft_gradients(soft_body), expected) <= 1e-9


@pytest.mark.genesis
def test_steps_of_soft_bodies_for_which_memory_runs_out_are_simulated_again(
    soft_body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU is shared: what was free when the scene was built need not be later."""
    expected = soft_gradients(soft_body)
    monkeypatch.setattr(soft_steps, "_Step", Mock(side_effect=torch.OutOfMemoryError))
    for give_up in soft_body.fast_paths.values():
        give_up()
    soft_body.fast_paths = take_fast_paths(soft_body.scene)
    assert distance(soft_gradients(soft_body), expected) <= 1e-9


@pytest.mark.genesis
def test_held_particles_are_left_to_genesis(soft_body: GenesisSoftBody) -> None:
    """As they may be held after the fast paths were taken: these are asked at each substep."""
    free = view(soft_body.scene.sim.mpm_solver.particles_info.free)
    free[:9] = False
    try:
        together = soft_gradients(soft_body)
        soft_body.fast_paths.pop("elasticity")()
        assert distance(soft_gradients(soft_body), together) <= 1e-9
    finally:
        free[:] = True
        undo = FAST_PATHS["elasticity"].take(soft_body.scene, "elasticity")
        assert undo is not None
        soft_body.fast_paths["elasticity"] = undo


@pytest.mark.genesis
def test_what_is_given_before_going_back_is_not_left_for_the_next_rollout(
    soft_body: GenesisSoftBody,
) -> None:
    """Muscles that were actuated between the last step and the backward pass are relaxed again."""
    velocity = soft_body.zeros(soft_body.num_envs, 3) + soft_body.tensor([0.5, 0.0, 0.0])

    def push() -> Tensor:
        """Push the relaxed bodies for two steps; return where their particles come."""
        soft_body.reset(soft_body.resting_start())
        for _ in range(2):
            soft_body.apply(velocity)
            soft_body.step()
        return soft_body.read().particle_positions

    with torch.no_grad():
        expected = push().clone()
    velocity.requires_grad_()
    end = push().sum()
    soft_body.actuate(soft_body.zeros(soft_body.num_envs, 2) + 0.3)
    soft_body.backward(end)
    assert torch.equal(push(), expected)


def soft_gradients(soft_body: GenesisSoftBody) -> list[Tensor]:
    """Return those by the body's velocity, the tool's and muscles, of where a pushed body comes."""
    bodies = torch.arange(float(soft_body.num_envs))[:, None]
    leaves = [
        soft_body.tensor([0.1, 0.05, -0.2]) * (1 + 0.1 * bodies.to(soft_body.dtype)),
        soft_body.tensor([0.8, 0.1, 0.02]) * (1 + 0.1 * bodies.to(soft_body.dtype)),
        soft_body.tensor([0.2, 0.05]) * (1 + 0.1 * bodies.to(soft_body.dtype)),
    ]
    body, tool, muscles = (leaf.requires_grad_() for leaf in leaves)
    soft_body.reset(replace(soft_body.resting_start(), body_velocity=body))
    total = soft_body.zeros(1)
    for _ in range(4):
        soft_body.apply(tool)
        soft_body.actuate(muscles)
        soft_body.step()
        state = soft_body.read()
        total = total + state.particle_positions.square().sum() + state.tool_position.sin().sum()
        total = total + state.particle_velocities.sin().sum()
    soft_body.backward(total.sum())
    return [leaf.grad.clone() for leaf in leaves if leaf.grad is not None]


@pytest.mark.genesis
@pytest.mark.parametrize("name", OF_CARS)
def test_another_genesis_is_left_as_it_is(
    name: str,
    trained_by_all: Tensor,
    car: GenesisCar,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one name gone or function changed: nothing replaced, one note, and the same weights."""
    other = stepped_aside(car.scene, name, caplog)
    monkeypatch.setitem(FAST_PATHS.entries, name, other)
    taken = take_fast_paths(car.scene)
    assert set(taken) == set(OF_CARS) - {name}
    weights = trained(car)
    _give_up(taken)
    assert torch.dist(weights, trained_by_all) <= 1e-9 * trained_by_all.norm()


def stepped_aside(scene: Any, name: str, caplog: pytest.LogCaptureFixture) -> FastPath:
    """See that a path is not taken if anything is changed or gone; return it with a name gone."""
    path = FAST_PATHS[name]
    others = [replace(path, known={**path.known, known: "another"}) for known in path.known]
    others += [replace(path, known={**path.known, f"{known}_of_old": ""}) for known in path.known]
    others += [replace(path, needed=[f"{needed}_of_old"]) for needed in path.needed]
    before = [set(vars(owner)) for owner in owners(scene, path)]
    with caplog.at_level(logging.WARNING):
        for other in others:
            note.cache_clear()
            caplog.clear()
            assert [other.take(scene, name) for _ in range(2)] == [None, None]
            (told,) = caplog.records
            assert f"fast path for {name}: so it is as slow as Genesis is" in told.getMessage()
            assert [set(vars(owner)) for owner in owners(scene, path)] == before
    return other


@pytest.mark.genesis
@pytest.mark.parametrize("name", OF_SOFT_BODIES)
def test_another_genesis_is_left_to_soft_bodies(
    name: str, soft_body: GenesisSoftBody, caplog: pytest.LogCaptureFixture
) -> None:
    """The gradient without each is that of `test_those_of_soft_bodies_give_the_same_gradient`."""
    for give_up in soft_body.fast_paths.values():
        give_up()
    stepped_aside(soft_body.scene, name, caplog)
    soft_body.fast_paths = take_fast_paths(soft_body.scene)
    assert set(soft_body.fast_paths) == set(OF_SOFT_BODIES)


def _give_up(taken: dict[str, Undo]) -> None:
    """Give up what was taken."""
    for give_up in taken.values():
        give_up()


def owners(scene: Any, path: FastPath) -> list[object]:
    """Return the objects whose methods a fast path replaces."""
    return [owner for owner, _, _ in path.replacements(scene.sim)]


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
