"""Lets Genesis start and end sooner: what it spends there on nothing that a run needs.

Of a start of genesis-world 1.4.5 on quadrants 1.3.3, 2 s are spent on asking at each of 1157
decorators, through all loaded modules, whether it stands in a class; 1 s on the name of the CPU;
1 s on garbage collections that find nothing; and 2 s of the end on taking apart what the system
frees anyway. Compiled kernels reach the disk only at the very end, so a first run that is killed
has compiled for nothing; and to write them earlier quadrants must not know of it.

What rests on private names leaves alone what is no longer as it was.
"""

import atexit
import contextlib
import gc
import inspect
import linecache
import os
import platform
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

from diffcar.sim.upstream import are_unchanged

__all__ = [
    "import_genesis",
    "save_kernels",
    "spare_teardown",
    "with_known_cpu",
    "without_collections",
]

_HASHER = "quadrants.lang._fast_caching.src_hasher"
# Of quadrants 1.3.3.
_KNOWN_STORE = "e511b72ce46a4e76"
_SAVED_EVERY = 5.0
# How long the end waits for a copy that still writes [s].
_PATIENCE = 10.0
_CPU_FILE = Path("/proc/cpuinfo")

_writer = 0
"""The copy of this process that writes kernels, or has written them."""


def import_genesis() -> ModuleType:
    """Import Genesis, and let it save what it compiles."""
    if "genesis" in sys.modules:
        return sys.modules["genesis"]
    with without_collections(), _quick_frame_info():
        import genesis
    _save_kernels_meanwhile()
    return genesis


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Collect no garbage while much is made that stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def with_known_cpu() -> Iterator[None]:
    """Tell Genesis the CPU's name, which it writes into its log, without a second of asking."""
    cpuinfo: Any = sys.modules.get("cpuinfo")  # as Genesis has it, if it has
    ask = getattr(cpuinfo, "get_cpu_info", None)
    name = _cpu_name()
    if ask is None or not name:
        yield
        return
    cpuinfo.get_cpu_info = lambda: {"brand_raw": name}
    try:
        yield
    finally:
        cpuinfo.get_cpu_info = ask


def save_kernels() -> None:
    """Write compiled kernels to disk, which otherwise waits for the end, in a copy of the process.

    Whatever is written quadrants forgets, although it goes on launching it: new kernels would run
    on freed memory. So it is a copy that writes and ends. Where a process cannot be copied they
    wait for the end.
    """
    global _writer
    if not hasattr(os, "fork") or not _has_ended(_writer):
        return
    with warnings.catch_warnings():
        # The copy has this thread alone, and needs no other.
        warnings.simplefilter("ignore", DeprecationWarning)
        _writer = os.fork()
    if not _writer:
        try:
            _write_kernels()
        finally:
            os._exit(0)


def _write_kernels() -> bool:
    """Write compiled kernels, of which none may be launched again; tell whether it could."""
    quadrants: Any = sys.modules.get("quadrants")
    try:
        quadrants.lang.impl.get_runtime().prog.dump_cache_data_to_disk()
    except (AttributeError, OSError, RuntimeError):  # other names, or no room for it
        return False
    return True


def _has_ended(process: int) -> bool:
    """Tell whether a copy of the process has ended; 0 is none."""
    if process:
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(process, os.WNOHANG)[0] != 0
    return True


def spare_teardown() -> bool:
    """Let the process end without taking Genesis apart; tell whether it may be left at once.

    It may where there is nothing to be lost: Genesis was not loaded, or its kernels are saved.
    """
    genesis = sys.modules.get("genesis")
    if genesis is None:
        return True
    deadline = time.monotonic() + _PATIENCE
    while not _has_ended(_writer) and time.monotonic() < deadline:
        time.sleep(0.01)
    if not _write_kernels():
        return False
    atexit.unregister(genesis.destroy)
    return True


@contextlib.contextmanager
def _quick_frame_info() -> Iterator[None]:
    """Answer which line a frame is at without looking through all modules for where it belongs.

    So quadrants asks at every decorator whether it stands in a class.
    """
    ask = inspect.getframeinfo

    def quick(frame: FrameType | TracebackType, context: int = 1) -> inspect.Traceback:
        if not isinstance(frame, FrameType) or context != 1:
            return ask(frame, context)
        code, number = frame.f_code, frame.f_lineno
        line = linecache.getline(code.co_filename, number)
        lines = [line] if line else None
        return inspect.Traceback(code.co_filename, number, code.co_name, lines, 0)

    inspect.getframeinfo = quick
    try:
        yield
    finally:
        inspect.getframeinfo = ask


def _save_kernels_meanwhile() -> None:
    """Save kernels every few seconds of compiling, so that a run that is killed has gained."""
    if not are_unchanged(
        {f"{_HASHER}:store": _KNOWN_STORE}, "saving kernels early", of="quadrants"
    ):
        return
    hasher: Any = sys.modules[_HASHER]
    store = hasher.store
    saved = time.monotonic()

    def store_and_save(*arguments: object, **options: object) -> None:
        nonlocal saved
        store(*arguments, **options)
        if time.monotonic() - saved > _SAVED_EVERY:
            save_kernels()
            saved = time.monotonic()

    hasher.store = store_and_save


def _cpu_name() -> str:
    """Return the CPU's name; where the system does not write it down, none."""
    if platform.system() == "Linux":
        with contextlib.suppress(OSError):
            for line in _CPU_FILE.read_text().splitlines():
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    return ""
