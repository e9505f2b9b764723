"""Scalars for TensorBoard, written at once and by this thread alone."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from diffcar.base.log import logger

__all__ = ["ScalarLog"]


class ScalarLog:
    """A file of events.

    torch's writer has a thread, whose queue is lost when a run is killed and whose traceback is all
    that a full disk leaves. Here a log that cannot be written any more is told once, and training
    goes on without it.
    """

    def __init__(self, folder: Path, *, first_step: int) -> None:
        """Open a file; TensorBoard drops what older files say of `first_step` and later."""
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._records: RecordWriter | None = None
        try:
            # Without a buffer there is nothing left that could fail on closing.
            self._file = (folder / name).open("wb", buffering=0)
        except OSError as error:
            self._give_up(error)
            return
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        self._write(Event(step=first_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log values by name."""
        values = [Summary.Value(tag=name, simple_value=own) for name, own in scalars.items()]
        self._write(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        if self._records is not None:
            self._file.close()
            self._records = None

    def _write(self, event: Event) -> None:
        """Append an event, unless the log was given up."""
        if self._records is None:
            return
        event.wall_time = time.time()
        try:
            self._records.write(event.SerializeToString())
        except OSError as error:
            self.close()
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Say that training goes on without a log."""
        logger.warning(f"TensorBoard's log cannot be written: {error.strerror}; it ends here")
