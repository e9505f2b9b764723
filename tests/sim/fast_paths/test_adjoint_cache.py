"""Adjoint kernels come from the cache under a key of their own."""

import logging

import pytest

from diffcar.sim.car import GenesisCar
from diffcar.sim.fast_paths import adjoint_cache
from diffcar.sim.upstream import note

pytestmark = pytest.mark.genesis


def test_adjoints_have_a_key_and_another_than_their_primal(
    differentiable_car: GenesisCar,
) -> None:
    """Scenes of diffcar have it switched on; the build has gone backward once."""
    from genesis.engine.solvers.rigid.abd.forward_kinematics import kernel_update_geoms_replay

    primal, adjoint = kernel_update_geoms_replay._primal, kernel_update_geoms_replay._adjoint
    assert adjoint.src_ll_cache_observations.cache_key_generated
    assert adjoint.fast_checksum != primal.fast_checksum
    known = kernel_update_geoms_replay._primal._try_load_fastcache
    adjoint_cache.cache_adjoints()
    assert kernel_update_geoms_replay._primal._try_load_fastcache == known  # once is enough


def test_another_quadrants_is_left_as_it_is(
    differentiable_car: GenesisCar,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its functions as they come but one fingerprint another: one note, nothing replaced."""
    from quadrants.lang.kernel import Kernel, src_hasher

    functions = ((Kernel, "_try_load_fastcache"), (src_hasher, "make_source_config_key"))
    for owner, name in functions:
        monkeypatch.setattr(owner, name, getattr(owner, name).__wrapped__)
    as_it_comes = Kernel._try_load_fastcache
    with monkeypatch.context() as taken_up:
        for owner, name in functions:
            taken_up.setattr(owner, name, getattr(owner, name))
        adjoint_cache.cache_adjoints()
        assert Kernel._try_load_fastcache is not as_it_comes
    known = dict(adjoint_cache._KNOWN)
    monkeypatch.setattr(adjoint_cache, "_KNOWN", known | {next(iter(known)): "another"})
    note.cache_clear()
    with caplog.at_level(logging.WARNING):
        adjoint_cache.cache_adjoints()
        adjoint_cache.cache_adjoints()
    assert len(caplog.records) == 1
    assert "cached adjoints" in caplog.text
    assert Kernel._try_load_fastcache is as_it_comes
