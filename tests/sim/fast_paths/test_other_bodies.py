"""Fast paths are as right for bodies that are no cars: all kinds of joints, limits, two islands."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from diffcar.sim.config import ArmConfig
from diffcar.sim.fast_paths import copies, memory, take_fast_paths
from diffcar.sim.genesis_scene import GenesisScene
from tests.sim.fast_paths.test_fast_paths import OF_CARS, distance

pytestmark = pytest.mark.genesis

NUM_STEPS = 12
BODIES = """
<mujoco>
  <default><default class="bar"><geom type="box" contype="0" conaffinity="0"/></default></default>
  <worldbody>
    <body name="base" pos="0 0 0.0995">
      <freejoint/>
      <geom type="sphere" size="0.1" mass="1"/>
      <body name="ball" pos="0.2 0 0.1" quat="0.9 0.1 0.3 0.2">
        <joint type="ball"/>
        <geom class="bar" size="0.05 0.02 0.1" pos="0.05 0 0.02" mass="0.3"/>
        <body name="slide" pos="0.1 0 0">
          <joint type="slide" axis="1 0 0.3" limited="true" range="-0.01 -0.001"/>
          <geom class="bar" size="0.02 0.03 0.1" pos="0 0.02 0" mass="0.2"/>
          <body name="hinge" pos="0 0.1 0">
            <joint type="hinge" axis="0 1 0.2"/>
            <geom class="bar" size="0.1 0.01 0.02" pos="0 0 0.04" mass="0.1"/>
          </body>
        </body>
      </body>
    </body>
    <body name="stone" pos="0 1 0.0995">
      <freejoint/>
      <geom type="sphere" size="0.1" mass="2" contype="2" conaffinity="2"/>
    </body>
  </worldbody>
</mujoco>
"""


class Bodies(GenesisScene[Any]):
    """Jointed bodies, each with a stone beside it, on a plane that leans."""

    def __init__(self, folder: Path) -> None:
        with self._building(ArmConfig(precision=64, dt=0.01), 3, differentiable=True) as scene:
            import genesis as gs

            self.plane = scene.add_entity(gs.morphs.Plane(normal=(0.02, 0.01, 1.0)))
            (folder / "bodies.xml").write_text(BODIES)
            self.bodies = scene.add_entity(gs.morphs.MJCF(file=str(folder / "bodies.xml")))
        self.solver = scene.sim.rigid_solver

    def gradients(
        self, *, jolt: int | None = None, seed: float = 1.0, leans: bool = False
    ) -> list[Tensor]:
        """Return those by velocities at the start and by the forces of all steps.

        Before the step `jolt` the bodies have the velocities of the start again; `seed` is what the
        sum that is differentiated is multiplied by; `leans` has the plane turned at each step.
        """
        self._rewind()
        count = self.solver.n_dofs
        phase = torch.arange(float(3 * count), dtype=torch.float64).reshape(3, count)
        leaves = [(0.5 * phase.sin()).requires_grad_()]
        leaves += [(0.3 * (phase + step).cos()).requires_grad_() for step in range(NUM_STEPS)]
        first, *forces = leaves
        total = self.zeros(1)
        for step, force in enumerate(forces):
            if step in (0, jolt):
                self.bodies.set_dofs_velocity(first)
            self.bodies.control_dofs_force(force)
            if leans:
                turned = torch.tensor([1.0, 0.002 * step, 0.0, 0.0], dtype=torch.float64)
                self.plane.set_quat((turned / turned.norm()).expand(3, 4))
            self.scene.step()
            state = self.solver.get_state()
            total = total + state.qpos.square().sum() + state.dofs_vel.sin().sum()
        return list(torch.autograd.grad(seed * total.sum(), leaves))

    def _read(self) -> None:
        """Leave reading to `gradients`."""


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Bodies:
    """Bodies as Genesis comes, in three environments."""
    return Bodies(tmp_path_factory.mktemp("bodies"))


@contextlib.contextmanager
def quickly(bodies: Bodies) -> Iterator[None]:
    """Take all fast paths for a while."""
    taken = take_fast_paths(bodies.scene)
    assert set(taken) == set(OF_CARS)
    try:
        yield
    finally:
        for give_up in taken.values():
            give_up()


def test_all_joints_and_two_islands_have_the_same_gradient(bodies: Bodies) -> None:
    """To 1e-9 in float64, sliding stop and contacts included."""
    expected = bodies.gradients()
    rows = bodies.solver.constraint_solver.constraint_state
    assert memory.view(rows.island.n_islands).max() == 2
    contacts = memory.view(bodies.solver.collider.collider_state.n_contacts)
    assert (memory.view(rows.n_constraints) > 4 * contacts).all()  # the slide is at its stop
    assert min(float(own.abs().max()) for own in expected) > 1e-3
    with quickly(bodies):
        assert distance(bodies.gradients(), expected) <= 1e-9


def test_what_is_moved_in_between_is_gone_back_through_from_there(bodies: Bodies) -> None:
    """A step that begins elsewhere than the last one ended does not take its poses for its own."""
    expected = bodies.gradients(jolt=5)
    with quickly(bodies):
        undisturbed = bodies.gradients()
        assert distance(bodies.gradients(jolt=5), expected) <= 1e-9
    assert distance(undisturbed, expected) > 1e-3


def test_a_plane_that_is_moved_at_each_step_is_gone_back_through_so(bodies: Bodies) -> None:
    """What is fixed has no state of its own, and is put where it was for each step."""
    expected = bodies.gradients(leans=True)
    with quickly(bodies):
        assert distance(bodies.gradients(leans=True), expected) <= 1e-9
    assert distance(bodies.gradients(), expected) > 1e-3


def test_steps_beyond_its_memory_are_simulated_again(
    bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for a few of them, and then for none, the gradient is the same."""
    expected = bodies.gradients()
    for room in (3e5, 0):
        monkeypatch.setattr(copies, "room_on", Mock(return_value=room))
        with quickly(bodies):
            assert distance(bodies.gradients(), expected) <= 1e-9


def test_steps_for_which_memory_runs_out_are_simulated_again(
    bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU is shared: what was free when the scene was built need not be later."""
    expected = bodies.gradients()
    monkeypatch.setattr(memory, "Copy", Mock(side_effect=torch.OutOfMemoryError))
    with quickly(bodies):
        assert distance(bodies.gradients(), expected) <= 1e-9


def test_an_adjoint_that_is_no_number_is_refused(bodies: Bodies) -> None:
    """As by Genesis, and the next backward pass is right again."""
    expected = bodies.gradients()
    with quickly(bodies):
        with pytest.raises(Exception, match="Nan grad"):
            bodies.gradients(seed=math.nan)
        assert distance(bodies.gradients(), expected) <= 1e-9


def test_contacts_hand_on_all_that_they_are_given(bodies: Bodies) -> None:
    """By place, normal and depth to both shapes, the plane included, as Genesis's own kernel."""
    bodies.gradients()
    collider, geoms = bodies.solver.collider, bodies.solver.dyn_state.geoms
    contacts = collider.collider_state.contact_data
    given = [memory.view(field.grad) for field in (contacts.pos, contacts.normal)]
    given.append(memory.view(contacts.penetration.grad))
    found = [memory.view(field.grad) for field in (geoms.pos, geoms.quat)]

    def reverse() -> list[Tensor]:
        for own in given:
            own.copy_(torch.arange(1.0, own.numel() + 1).to(own).sin().reshape(own.shape))
        for own in found:
            own.zero_()
        collider.backward_narrowphase()
        return [own.clone() for own in found]

    expected = reverse()
    with quickly(bodies):
        assert distance(reverse(), expected) <= 1e-12
    assert all(own[0].abs().max() > 1e-3 for own in expected)  # that of the plane
