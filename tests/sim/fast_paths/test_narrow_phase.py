"""The kernel of collisions without what spheres on a plane never use gives the same contacts."""

import logging

import pytest
import torch

from diffcar.sim.car import GenesisCar
from diffcar.sim.fast_paths import narrow_phase
from diffcar.sim.upstream import note
from tests.sim.fast_paths.test_fast_paths import gradients

LEFT_OUT = ("has_convex_specialization", "has_prunable_contacts")


@pytest.mark.genesis
def test_cars_roll_and_their_gradients_are_the_same(
    differentiable_car: GenesisCar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, with the kernel that Genesis compiles for every shape."""
    collider = differentiable_car.scene.sim.rigid_solver.collider
    narrow = collider.collider_config
    assert not any(getattr(narrow, name) for name in LEFT_OUT)
    found = gradients(differentiable_car)
    arrived = differentiable_car.read().qpos.detach().clone()
    # Undone in the end, after it has been overwritten.
    monkeypatch.setattr(collider, "collider_config", narrow)
    collider._init_static_config()
    assert collider.collider_config != narrow
    assert all(getattr(collider.collider_config, name) for name in LEFT_OUT)
    expected = gradients(differentiable_car)
    assert torch.equal(differentiable_car.read().qpos, arrived)
    assert all(map(torch.equal, found, expected))


@pytest.mark.genesis
@pytest.mark.parametrize("name", narrow_phase._KNOWN)
def test_another_genesis_compiles_what_it_compiles(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With any function changed or gone: nothing is replaced, and one note."""
    from genesis.engine.solvers.rigid.collider.collider import Collider

    upstream = Collider._init_static_config
    known = dict(narrow_phase._KNOWN)
    for others in ({name: "another"}, {f"{name}_of_old": known[name]}):
        note.cache_clear()
        caplog.clear()
        monkeypatch.setattr(narrow_phase, "_KNOWN", {**known, **others})
        for _ in range(2):
            with caplog.at_level(logging.WARNING), narrow_phase.narrow_phase_of_spheres():
                assert Collider._init_static_config is upstream
        (told,) = caplog.records
        assert "fast path for the kernel of collisions" in told.getMessage()


@pytest.mark.genesis
def test_other_shapes_keep_their_kernels() -> None:
    """An error while a scene is built leaves nothing replaced either."""
    import genesis as gs
    from genesis.engine.solvers.rigid.collider.collider import Collider

    upstream = Collider._init_static_config
    with pytest.raises(KeyError), narrow_phase.narrow_phase_of_spheres():
        assert Collider._init_static_config is not upstream
        raise KeyError
    assert Collider._init_static_config is upstream
    kinds = gs.GEOM_TYPE
    for others, is_narrow in (
        ((kinds.PLANE, kinds.SPHERE, kinds.SPHERE), True),
        ((kinds.PLANE, kinds.SPHERE, kinds.CYLINDER), False),
        ((kinds.SPHERE, kinds.SPHERE, kinds.SPHERE), False),
    ):
        assert narrow_phase.only_spheres_meet_planes(_Collider(others)) == is_narrow


class _Collider:
    """A collider whose first shape can touch the others."""

    def __init__(self, kinds: tuple[object, ...]) -> None:
        self._solver = self
        self.geoms = [_Geom(kind) for kind in kinds]
        self._valid_collision_pairs = [(0, number) for number in range(1, len(kinds))]


class _Geom:
    def __init__(self, kind: object) -> None:
        self.type = kind
