"""Tests of whether a repair knows the Genesis that it mends."""

import pytest

from diffcar.sim import upstream
from diffcar.sim.upstream import fingerprint, is_as_known


def test_a_repair_that_steps_aside_is_told_once_wherever_diffcar_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As every other note: the command line silences what Python's `warnings` say."""
    upstream.note.cache_clear()
    assert is_as_known(fingerprint, fingerprint(fingerprint), repair="tools")
    assert not caplog.records
    for _ in range(2):
        assert not is_as_known(fingerprint, "another", repair="tools")
    (record,) = caplog.records
    assert "repairs tools, so the repair steps aside" in record.message
    assert "diffcar check-grad" in record.message
