"""The end of the process: at once when all is written, without taking Genesis apart."""

import atexit
import contextlib
import gc
import io
import os

__all__ = ["end_quickly", "prepare_end"]

_exit_code: int | None = None


def prepare_end() -> None:
    """Make ready for `end_quickly`; what registers with `atexit` later is still waited for.

    Where something has registered before, as what measures coverage has, the process ends as ever.
    """
    if not atexit._ncallbacks():
        atexit.register(_leave)  # the first to be registered is the last to be called


def end_quickly(exit_code: object) -> None:
    """Leave the process's memory to the system when it ends, with an exit code as of `SystemExit`.

    Genesis and 3000 modules take two seconds to be taken apart one by one. Threads and children are
    waited for, and files that somebody has left open are written to the end, as ever.
    """
    global _exit_code
    if isinstance(exit_code, int) or exit_code is None:
        from diffcar.sim.startup import spare_teardown

        if spare_teardown():
            _exit_code = exit_code or 0


def _leave() -> None:
    """End the process if it may be."""
    if _exit_code is None:
        return
    for own in gc.get_objects():
        if isinstance(own, io.TextIOWrapper | io.BufferedWriter | io.BufferedRandom):
            with contextlib.suppress(OSError, ValueError):  # closed, or nowhere to go
                own.flush()
    os._exit(_exit_code)
