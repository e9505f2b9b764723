"""Genesis's window: told where there is none, followed by nothing where it was closed."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from diffcar.sim.window import keep_going_when_closed
from tests.cli.conftest import environment

SIMULATE = [sys.executable, "-m", "diffcar", "simulate", "--controller=stanley", "--viewer"]


class Viewer:
    """Stands for Genesis's viewer, which refuses to go on once it is closed."""

    def __init__(self) -> None:
        self.is_open, self.num_updates = True, 0

    def is_alive(self) -> bool:
        return self.is_open

    def update(self, force: bool = False) -> None:
        assert self.is_open
        self.num_updates += 1

    def update_on_sim_step(self, advanced: bool) -> None:
        assert self.is_open


def test_a_closed_window_ends_the_watching_alone() -> None:
    """Steps after it go on as without one."""
    viewer: Any = Viewer()
    scene: Any = SimpleNamespace(visualizer=SimpleNamespace(viewer=viewer))
    keep_going_when_closed(scene)

    for is_open in (True, True, False, False):
        viewer.is_open = is_open
        viewer.update(force=True)
        viewer.update_on_sim_step(advanced=True)
    assert viewer.num_updates == 2


@pytest.mark.genesis
def test_without_a_display_a_window_is_refused() -> None:
    """With what to do instead, and no traceback."""
    without = {name: value for name, value in environment().items() if "DISPLAY" not in name}
    ended = subprocess.run(SIMULATE, env=without, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "there is no display" in ended.stderr
    assert "--video" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.genesis
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="there is no Xvfb")
def test_a_drive_is_watched(tmp_path: Path) -> None:
    """On a screen in memory: the drive is that without a window."""
    display = ":97"
    screen = subprocess.Popen(["Xvfb", display, "-screen", "0", "800x600x24"])
    try:
        time.sleep(1.0)
        ended = subprocess.run(
            [*SIMULATE, "--set=max_time=1.0", "--csv=watched.csv"],
            env=environment() | {"DISPLAY": display},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        screen.terminate()
        screen.wait()
    assert ended.returncode == 0, ended.stderr
    assert len((tmp_path / "watched.csv").read_text().splitlines()) == 51
