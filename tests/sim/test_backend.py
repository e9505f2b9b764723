"""How Genesis is started, by a stand-in for it."""

import os
import sys
from types import SimpleNamespace

import pytest

from diffcar.sim import backend
from diffcar.sim.config import CarConfig, EngineConfig


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


@pytest.mark.parametrize("is_known", [True, False])
def test_genesis_finds_a_home_where_the_process_has_none(
    is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the user, or a temporary one; Genesis itself would abort."""
    homes: list[str] = []
    fake = SimpleNamespace(cpu=0, init=lambda **options: homes.append(os.environ["HOME"]))
    monkeypatch.setitem(sys.modules, "genesis", fake)
    monkeypatch.setattr(backend, "_started_with", None)
    monkeypatch.setenv("HOME", "taken away next, and given back after the test")
    monkeypatch.delenv("HOME")
    if not is_known:
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    backend.initialise(CarConfig())
    assert os.path.isdir(homes[0])
