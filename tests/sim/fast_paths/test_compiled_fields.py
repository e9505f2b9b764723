"""Kernels with compiled fields come from the cache, and never those of another scene."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig
from diffcar.sim.fast_paths import compiled_fields
from diffcar.sim.upstream import note
from tests.sim.fast_paths.test_fast_paths import NUM_STEPS, actions, gradients

_PROGRAM = """
import json, sys

import quadrants as qd

from diffcar.sim.fast_paths.compiled_fields import cache_fields, fill_fields_through_views

qd.init(arch=qd.cpu, offline_cache_file_path=sys.argv[2], log_level=qd.ERROR)
size = int(sys.argv[1])
cache_fields(), fill_fields_through_views()
written = qd.field(qd.f64, shape=(3,), needs_grad=True)
vectors = qd.Vector.field(2, qd.i32, shape=(2,))
only_measured = qd.field(qd.f64, shape=(size,))
single = qd.field(qd.f64, shape=())


@qd.kernel(fastcache=True)
def count(written: qd.template(), vectors: qd.template(), only_measured: qd.template()):
    for i in range(1):
        written[2] += only_measured.shape[0] * vectors[1][0]


written.fill(2), vectors.fill(1.9), single.fill(4.5)
written.from_torch(2 * written.to_torch())
count(written, vectors, only_measured)
seen = count._primal.src_ll_cache_observations
print(json.dumps([written.to_numpy().tolist(), vectors.to_numpy().tolist(), single[None],
                  seen.cache_loaded]))
"""
_FEW = 2
_FIELD_METHODS = ("fill", "_from_external_arr")


@pytest.mark.genesis
def test_a_kernel_is_loaded_where_all_fields_are_as_they_were(tmp_path: Path) -> None:
    """Also where it knows a field by its size alone; what is filled through views is right."""
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    was_loaded = []
    for size in (5, 7, 5, 7):
        command = [sys.executable, str(program), str(size), str(tmp_path / "kernels")]
        written, vectors, single, is_loaded = told_by(command)
        assert written == [4.0, 4.0, 4.0 + size]
        assert vectors == [[1, 1], [1, 1]]
        assert single == 4.5
        was_loaded.append(is_loaded)
    assert was_loaded == [False, False, True, True]


@pytest.mark.genesis
def test_a_scene_of_fields_is_that_of_arrays(differentiable_car: GenesisCar) -> None:
    """To 1e-6 in float64, with kernels compiled and with those that the cache has kept."""
    differentiable_car.actuation = "torque"
    expected = states_and_gradients(differentiable_car)
    for _ in range(2):
        command = [sys.executable, "-c", f"from {__name__} import tell; tell({_FEW})"]
        found, share_loaded = told_by(command)
        assert expected.keys() == found.keys()
        for name, values in expected.items():
            own = torch.tensor(found[name], dtype=torch.float64)
            assert torch.dist(own, values[:_FEW]) <= 1e-6 * values[:_FEW].norm(), name
    assert share_loaded > 0.9


def tell(num_envs: int) -> None:
    """Print what cars with compiled fields do, and what share of their kernels was loaded."""
    config = CarConfig(precision=64, compiled_fields=True)
    car = build_scene(config, num_envs=num_envs, differentiable=True)
    found = {name: values.tolist() for name, values in states_and_gradients(car).items()}
    from quadrants.lang import impl

    cached = [
        kernel.src_ll_cache_observations.cache_loaded
        for kernel in impl.get_runtime().kernels
        if kernel.materialized_kernels and kernel.func.__module__.startswith("genesis")
    ]
    print(json.dumps([found, sum(cached) / len(cached)]))


def states_and_gradients(car: GenesisCar) -> dict[str, torch.Tensor]:
    """Return where cars are after some steps, and their gradients by all inputs."""
    inputs = ("by pose", "by velocity", "by actions")
    found = dict(zip(inputs, gradients(car), strict=True))
    with torch.no_grad():
        car.place(*(torch.zeros_like(found[name]) + 0.1 for name in inputs[:2]))
        for step in range(NUM_STEPS):
            car.apply(actions(car)[:, step])
            car.step()
        state = car.read()
    return found | {"position": state.qpos, "velocity": state.dofs_velocity}


@pytest.mark.genesis  # which takes longest to import
@pytest.mark.parametrize(
    ("take", "known", "name"),
    [
        ("cache_fields", "_KNOWN_KEYS", "cached kernels of compiled fields"),
        ("fill_fields_through_views", "_KNOWN_FILLS", "filling fields"),
    ],
)
def test_another_quadrants_is_left_as_it_is(
    take: str,
    known: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One note and nothing replaced; where it is as known, once is enough."""
    as_it_comes = replaced()
    take_up = getattr(compiled_fields, take)
    with monkeypatch.context() as taken_up:
        for (owner, method), own in as_it_comes.items():
            taken_up.setattr(owner, method, own)
        take_up()
        once = replaced()
        assert once != as_it_comes
        take_up()
        assert replaced() == once
    assert replaced() == as_it_comes
    fingerprints = dict(getattr(compiled_fields, known))
    monkeypatch.setattr(compiled_fields, known, fingerprints | {next(iter(fingerprints)): "other"})
    note.cache_clear()
    with caplog.at_level(logging.WARNING):
        take_up()
        take_up()
    assert [f"fast path for {name}" in record.message for record in caplog.records] == [True]
    assert replaced() == as_it_comes


def replaced() -> dict[tuple[Any, str], object]:
    """Return all that is replaced, as it is now, by what has it and its name."""
    from quadrants.lang._fast_caching import args_hasher, config_hasher
    from quadrants.lang.field import ScalarField
    from quadrants.lang.matrix import MatrixField

    where = [(kind, name) for kind in (ScalarField, MatrixField) for name in _FIELD_METHODS]
    where += [(args_hasher, "stringify_obj_type"), (config_hasher, "hash_compile_config")]
    return {(owner, name): vars(owner)[name] for owner, name in where}


def told_by(command: list[str]) -> Any:
    """Return what a process prints last."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    options: dict[str, Any] = {"capture_output": True, "text": True, "check": True, "env": env}
    done = subprocess.run(command, **options, timeout=900)
    return json.loads(done.stdout.splitlines()[-1])
