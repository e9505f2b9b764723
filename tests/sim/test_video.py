"""Films, with a camera that only says whether its encoder found room."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from diffcar.base.errors import OutputError
from diffcar.base.files import Unwritten, kept
from diffcar.sim.video import FixedCamera


class GenesisError(Exception):
    """Stands for Genesis's, which takes seconds to import."""


@pytest.fixture(autouse=True)
def _genesis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genesis", SimpleNamespace(GenesisException=GenesisError))


class Camera:
    """Stands for Genesis's camera."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure = failure

    def add_camera(self, **how: object) -> "Camera":
        return self

    def start_recording(self, name: str, fps: int) -> None:
        Path(name).write_bytes(b"half a film")

    def stop_recording(self) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.mark.parametrize(
    "failure", [GenesisError("encoding failed"), OSError(28, "No space left on device")]
)
def test_a_film_that_finds_no_space_is_told_when_the_drive_is_over(
    failure: Exception, tmp_path: Path
) -> None:
    """Nothing of it stays, and what is driven in the meantime can be kept."""
    file, unwritten = tmp_path / "f.mp4", Unwritten()
    scene: Any = Camera(failure)

    driven = []
    with kept(unwritten, file), FixedCamera(scene).recording(file):
        driven.append(1)
    assert driven
    assert isinstance(unwritten[file], OutputError)
    assert str(failure.args[-1]) in unwritten[file].message
    assert not list(tmp_path.iterdir())


def test_a_film_appears_under_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """And under no other."""
    scene: Any = Camera(None)
    with FixedCamera(scene).recording(tmp_path / "f.mp4"):
        assert not (tmp_path / "f.mp4").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["f.mp4"]
