"""Genesis starts without a word on stdout, which belongs to results."""

import sys
from types import SimpleNamespace

import pytest

from diffcar.sim import backend
from diffcar.sim.config import EngineConfig


def test_what_genesis_tells_goes_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its log is bound to stdout when it starts; its hook for errors would print there, too."""
    streams = []

    def init(**settings: object) -> None:
        streams.append(sys.stdout)
        print("[Genesis] banner")

    monkeypatch.setitem(sys.modules, "genesis", SimpleNamespace(init=init, cpu="cpu", gpu="gpu"))
    monkeypatch.setattr(backend, "_started_with", None)
    backend.initialise(EngineConfig(verbose=True))
    assert streams == [sys.stderr]
    told = capsys.readouterr()
    assert told.out == ""
    assert "banner" in told.err
