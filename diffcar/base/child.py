"""A call in a process of its own: a second core for what takes long."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Generic, TypeVar

from diffcar.base.errors import DiffcarError

__all__ = ["Child"]

Result = TypeVar("Result")


class Child(Generic[Result]):
    """A call under way in a fresh process, which ends with the block that it was made for.

    What it reports on the way is not heard.

    Args:
        function: At the top level of a module, as everything that is pickled.
        arguments: What it is called with.
    """

    def __init__(self, function: Callable[..., Result], *arguments: object) -> None:
        # Not forked: Genesis, torch and their threads do not live through that.
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_call, args=(theirs, function, arguments), daemon=True
        )
        # Ctrl-C interrupts this process, which then ends the child: that inherits what is blocked,
        # unless what comes with the first of all children is started now, too, and unblocks it.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()

    def __enter__(self) -> "Child[Result]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.join()
        self._ours.close()

    def result(self) -> Result:
        """Wait for what the call returns; once.

        Raises:
            DiffcarError: If the process ended before.
            Exception: Whatever the call raised.
        """
        try:
            result, error = self._ours.recv()
        except EOFError:
            raise DiffcarError(
                "the other process ended before its time",
                hint="it may have run out of memory: fewer things at once take less",
            ) from None
        if error is not None:
            raise error
        return result


def _call(pipe: Connection, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """Make the call, and send what it returns or raises."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    result, error = None, None
    # Whatever it raises is raised where the result is asked for.
    try:
        result = function(*arguments)
    except Exception as raised:
        error = raised
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        pipe.send((result, error))


def _end_with_parent() -> None:
    """End this process when its parent does, which may have been killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
