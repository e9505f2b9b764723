"""The end of the process: at once when all is written, without taking Genesis apart."""

import atexit
import os
import sys

__all__ = ["end_quickly", "prepare_end"]

_exit_code: int | None = None


def prepare_end() -> None:
    """Make ready for `end_quickly`; what registers with `atexit` later is still waited for."""
    atexit.register(_leave)  # the first to be registered is the last to be called


def end_quickly(exit_code: object) -> None:
    """Leave the process's memory to the system when it ends, with an exit code as of `SystemExit`.

    Genesis and 3000 modules take two seconds to be taken apart one by one. Threads, children and
    whatever else is to be done at the end is waited for as ever.
    """
    global _exit_code
    if isinstance(exit_code, int) or exit_code is None:
        from diffcar.sim.startup import spare_teardown

        if spare_teardown():
            _exit_code = exit_code or 0


def _leave() -> None:
    """End the process if it may be."""
    if _exit_code is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_code)
