"""How Genesis is started, by a stand-in for it."""

import os
import sys
from types import SimpleNamespace

import pytest

from diffcar.sim import backend
from diffcar.sim.config import CarConfig


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
