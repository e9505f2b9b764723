"""Lets Genesis start and end sooner: what it spends there on nothing that a run needs.

Of a start of genesis-world 1.4.5 on quadrants 1.3.3, 2 s are spent on asking at each of 1157
decorators, through all loaded modules, whether it stands in a class; 1 s on the name of the CPU;
1 s on garbage collections that find nothing; and 2 s of the end on taking apart what the system
frees anyway. Compiled kernels reach the disk only at the very end, so a first run that is killed
has compiled for nothing.

What rests on private names leaves alone what is no longer as it was.
"""

import atexit
import contextlib
import functools
import gc
import inspect
import linecache
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

from diffcar.sim.upstream import are_unchanged, aside, note

__all__ = [
    "import_genesis",
    "quick_frame_info",
    "save_kernels",
    "spare_teardown",
    "with_known_cpu",
    "without_collections",
]

_HASHER = "quadrants.lang._fast_caching.src_hasher"
_ASKER = "quadrants.lang.kernel_impl:_inside_class"
# Of quadrants 1.3.3.
_KNOWN_STORE = "e511b72ce46a4e76"
_KNOWN_ASKER = "912a44b82d5feeed"
_SAVED_EVERY = 5.0
_DUMP = "dump_cache_data_to_disk"
_PATIENCE = 30.0
_CPU_FILE = Path("/proc/cpuinfo")


def import_genesis() -> ModuleType:
    """Import Genesis, and let it save what it compiles."""
    if "genesis" in sys.modules:
        return sys.modules["genesis"]
    with without_collections():
        import torch  # noqa: F401 - asks about frames, too, when quadrants is not there yet

        with quick_frame_info():
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
    if ask is None:
        note(f"this Genesis lacks cpuinfo.get_cpu_info, {aside('the name of the CPU')}")
    elif name := _cpu_name():
        cpuinfo.get_cpu_info = lambda: {"brand_raw": name}
    try:
        yield
    finally:
        if ask is not None:
            cpuinfo.get_cpu_info = ask


def save_kernels() -> None:
    """Write compiled kernels to disk, which otherwise waits for the end, where the system can fork.

    Quadrants frees what it has written, and would go on to launch it: so a child writes.
    """
    dump = _dump()
    if dump is None or sys.platform != "linux":
        return
    with warnings.catch_warnings(), contextlib.suppress(OSError):  # no memory for a child
        # Threads would not be there in the child; it needs none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if not child:
            try:
                os.setsid()  # a Ctrl-C would leave the cache locked
                dump()
            finally:
                os._exit(0)
        until = time.monotonic() + _PATIENCE
        while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < until:
            time.sleep(0.005)


def spare_teardown() -> bool:
    """Let the process end without taking Genesis apart; tell whether it may be left at once.

    It may where there is nothing to be lost: Genesis was not loaded, or its kernels are saved.
    """
    genesis = sys.modules.get("genesis")
    if genesis is None:
        return True
    if (dump := _dump()) is None:
        return False
    try:
        dump()
    except (OSError, RuntimeError):  # no room for it
        return False
    atexit.unregister(genesis.destroy)
    return True


def _dump() -> Callable[[], None] | None:
    """Return what writes compiled kernels to disk and frees them, if there are any."""
    quadrants: Any = sys.modules.get("quadrants")
    try:
        program = None if quadrants is None else quadrants.lang.impl.get_runtime().prog
        dump: Callable[[], None] | None = None if program is None else getattr(program, _DUMP)
    except AttributeError:
        note(f"this quadrants lacks {_DUMP}, {aside('saving kernels')}")
        return None
    return dump


@contextlib.contextmanager
def quick_frame_info() -> Iterator[None]:
    """Answer which line a frame is at without looking through all modules for where it belongs.

    So quadrants asks at every decorator whether it stands in a class.
    """
    ask = inspect.getframeinfo

    @functools.cache
    def is_known() -> bool:
        return are_unchanged({_ASKER: _KNOWN_ASKER}, "decorators", of="quadrants")

    def quick(frame: FrameType | TracebackType, context: int = 1) -> inspect.Traceback:
        if not isinstance(frame, FrameType) or context != 1 or not is_known():
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
