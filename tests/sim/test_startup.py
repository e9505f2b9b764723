"""What lets Genesis start and end sooner, and that it leaves alone what it does not know."""

import atexit
import gc
import inspect
import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from diffcar.sim import startup, upstream
from tests.cli.conftest import environment

_COMPARE_FRAMES = """
import inspect, json
from diffcar.sim import startup
ask, differing, asked = inspect.getframeinfo, [], 0
with startup.quick_frame_info():
    quick = inspect.getframeinfo
    def sampled(frame, context=1):  # Python's own answer takes 2 ms
        global asked
        asked += 1
        fast = quick(frame, context)
        if asked % 40 == 0:
            slow = ask(frame, context)
            if (slow.code_context, slow.lineno) != (fast.code_context, fast.lineno):
                differing.append([str(slow), str(fast)])
        return fast
    inspect.getframeinfo = sampled
    import genesis
print(json.dumps([asked, differing]))
"""


@pytest.mark.genesis
def test_the_line_of_a_decorator_is_told_as_python_tells_it() -> None:
    """While Genesis is imported, by a sample of what it asks for."""
    command = [sys.executable, "-c", _COMPARE_FRAMES]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    asked, differing = json.loads(told.stdout.splitlines()[-1])
    assert asked > 500
    assert differing == []


def test_other_questions_about_frames_are_python_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more lines, or of a traceback."""
    monkeypatch.setattr(startup, "are_unchanged", lambda *known, **of: True)
    frame = inspect.currentframe()
    assert frame is not None
    with startup.quick_frame_info():
        several = inspect.getframeinfo(frame, 3)
        one = inspect.getframeinfo(frame)
    assert several.code_context is not None and len(several.code_context) == 3
    assert one.code_context == ["        one = inspect.getframeinfo(frame)\n"]


def test_the_cpu_is_named_as_the_system_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And asked as ever where the system does not write it down, and afterwards."""
    import cpuinfo

    slow = cpuinfo.get_cpu_info
    monkeypatch.setattr(startup.platform, "system", lambda: "Linux")
    monkeypatch.setattr(startup, "_CPU_FILE", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: An abacus: 8 beads\n")
    with startup.with_known_cpu():
        assert cpuinfo.get_cpu_info() == {"brand_raw": "An abacus: 8 beads"}
    (tmp_path / "cpuinfo").unlink()
    with startup.with_known_cpu():
        assert cpuinfo.get_cpu_info is slow
    assert cpuinfo.get_cpu_info is slow


def test_garbage_is_collected_again_afterwards() -> None:
    """Also after an error."""
    with pytest.raises(KeyError), startup.without_collections():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_genesis_is_taken_apart_where_its_kernels_cannot_be_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise it is spared that, its kernels saved first."""
    spared: list[object] = []
    saved: list[str] = []
    genesis = SimpleNamespace(destroy=lambda: None)
    monkeypatch.setitem(sys.modules, "genesis", genesis)
    monkeypatch.setattr(atexit, "unregister", spared.append)
    for program in (None, SimpleNamespace(dump_cache_data_to_disk=lambda: saved.append("kernels"))):
        runtime = SimpleNamespace(prog=program)
        impl = SimpleNamespace(get_runtime=lambda runtime=runtime: runtime)
        fake = SimpleNamespace(lang=SimpleNamespace(impl=impl))
        monkeypatch.setitem(sys.modules, "quadrants", fake)
        assert startup.spare_teardown() is (program is not None)
    assert spared == [genesis.destroy]
    assert saved == ["kernels"]


def test_kernels_are_saved_meanwhile_where_quadrants_stores_them_as_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With another function it is left alone, and said once."""
    stored, saved = [], []
    hasher = SimpleNamespace(store=lambda *arguments: stored.append(arguments))
    name = "quadrants.lang._fast_caching.src_hasher"
    monkeypatch.setitem(sys.modules, name, hasher)
    monkeypatch.setattr(startup, "save_kernels", lambda: saved.append("kernels"))
    upstream.note.cache_clear()
    own = hasher.store
    with caplog.at_level(logging.WARNING, "diffcar"):
        startup._save_kernels_meanwhile()
        startup._save_kernels_meanwhile()
    assert hasher.store is own
    assert [record.getMessage() for record in caplog.records] == [
        "this quadrants differs in store, where diffcar has a fast path for saving kernels early: "
        "so it is as slow as Genesis is"
    ]
    monkeypatch.setattr(startup, "_KNOWN_STORE", upstream.fingerprint(own))
    clock = iter([0.0, 1.0, 6.0, 6.0, 7.0])
    monkeypatch.setattr(startup.time, "monotonic", lambda: next(clock))
    startup._save_kernels_meanwhile()
    hasher.store("first")
    assert saved == []
    hasher.store("second")
    hasher.store("third")
    assert saved == ["kernels"]
    assert stored == [("first",), ("second",), ("third",)]


_KERNELS = """
import sys
import quadrants as qd
from diffcar.sim import startup

startup._SAVED_EVERY = 0.0
qd.init(arch=qd.cpu, offline_cache_file_path=sys.argv[1], log_level=qd.ERROR)
startup._save_kernels_meanwhile()

@qd.kernel(fastcache=True)
def double(values: qd.types.ndarray()):
    for i in range(3):
        values[i] = 2 * values[i]

@qd.kernel(fastcache=True)
def shift(values: qd.types.ndarray()):
    for i in range(3):
        values[i] = values[i] + 1

values = qd.ndarray(float, shape=3)
for _ in range(4):
    shift(values)
    double(values)
    startup.save_kernels()
loaded = [kernel._primal.src_ll_cache_observations.cache_loaded for kernel in (double, shift)]
print(values.to_numpy().tolist(), loaded, flush=True)
import os
os._exit(0)  # as one that is killed
"""


@pytest.mark.genesis
def test_kernels_are_saved_and_go_on_to_be_used(tmp_path: Path) -> None:
    """Quadrants frees what it writes: launched after that, a kernel would crash the process."""
    file = tmp_path / "kernels.py"
    file.write_text(_KERNELS)
    told = []
    # Freed memory is overwritten, as other heaps do it.
    settings = {**environment(), "MALLOC_PERTURB_": "165"}
    for _ in range(2):
        command = [sys.executable, str(file), str(tmp_path / "cache")]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=True, env=settings
        )
        told.append(done.stdout.splitlines()[-1])
    assert told == [f"[30.0, 30.0, 30.0] {loaded}" for loaded in ([False] * 2, [True] * 2)]
