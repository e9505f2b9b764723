"""A call in a process of its own: a second core for what takes long."""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from diffcar.base.errors import DiffcarError
from diffcar.base.log import logger

__all__ = ["Child"]

Result = TypeVar("Result")


class Child(Generic[Result]):
    """A call in a fresh process, which runs from the beginning of a block to its end at the most.

    Args:
        function: At the top level of a module, as everything that is pickled.
        arguments: What it is called with.
    """

    def __init__(self, function: Callable[..., Result], *arguments: object) -> None:
        # Not forked: Genesis, torch and their threads do not live through that.
        context = multiprocessing.get_context("spawn")
        self._ours, self._theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_call, args=(self._theirs, function, arguments), daemon=True
        )

    def __enter__(self) -> "Child[Result]":
        """Begin.

        Raises:
            DiffcarError: If there is no room for another process.
        """
        # Ctrl-C interrupts this process, which then ends the child: that inherits what is blocked,
        # unless what comes with the first of all children is started now, too, and unblocks it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
            self._theirs.close()
        except OSError as error:
            raise DiffcarError(f"no other process could be started: {error.strerror}") from None
        finally:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            except BaseException:  # a Ctrl-C of the meantime
                self.__exit__()
                raise
        return self

    def __exit__(self, *raised: object) -> None:
        """End the process, wherever it is."""
        self._process.terminate()
        self._process.join()
        self._ours.close()

    def result(self) -> Result:
        """Wait for what the call returns; once.

        Raises:
            DiffcarError: If the call raised anything, or the process ended before its time.
        """
        try:
            result, error = self._ours.recv()
        except (EOFError, OSError):
            self._process.join()
            raise DiffcarError(
                f"the other process ended before its time, with {self._process.exitcode}",
                hint="it may have run out of memory; a script of yours begins its work below "
                '`if __name__ == "__main__":`, since it is loaded there, too',
            ) from None
        if error is not None:
            raise error
        return result


def _call(pipe: Connection, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """Make the call, send what it returns or raises, and end at once.

    What the call reports on the way is not heard: the parent tells of it.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logger.addHandler(logging.NullHandler())
    result, error = None, None
    try:
        result = function(*arguments)
    except DiffcarError as raised:
        error = raised
    except Exception as raised:  # which need not be known, or fit for pickling, on the other side
        error = DiffcarError(f"{type(raised).__name__}: {raised}")
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        pipe.send((result, error))
    # Taking modules apart would take seconds, in which the parent may end this process halfway.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _end_with_parent() -> None:
    """End this process when its parent does, which may have been killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
