"""Scalars for TensorBoard: read back by its own reader; a full disk ends the log alone."""

import errno
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from diffcar.training import scalar_log
from diffcar.training.scalar_log import ScalarLog


def test_what_is_logged_can_be_read_at_once(tmp_path: Path) -> None:
    """Before the file is closed, as a run that is killed leaves it."""
    log = ScalarLog(tmp_path, first_step=1)
    log.add(1, {"training/loss": 2.0, "eval/rmse": 0.5})
    log.add(2, {"training/loss": 1.0})
    seen = EventAccumulator(str(tmp_path))
    seen.Reload()
    assert [(own.step, own.value) for own in seen.Scalars("training/loss")] == [(1, 2.0), (2, 1.0)]
    assert [own.value for own in seen.Scalars("eval/rmse")] == [0.5]
    log.close()


def test_a_log_that_cannot_be_written_ends_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once; whatever comes later is left out."""
    log = ScalarLog(tmp_path, first_step=1)

    def full(self: object, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scalar_log.RecordWriter, "write", full)
    log.add(1, {"training/loss": 2.0})
    log.add(2, {"training/loss": 2.0})
    log.close()
    assert caplog.text.count("No space left on device") == 1


def test_a_folder_that_is_gone_is_no_obstacle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Training goes on without a log."""
    log = ScalarLog(tmp_path / "nowhere", first_step=1)
    log.add(1, {"training/loss": 2.0})
    log.close()
    assert "cannot be written" in caplog.text
