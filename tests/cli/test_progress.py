"""What is said of the progress where there is no terminal."""

from types import SimpleNamespace

import pytest

from diffcar.cli import progress
from diffcar.cli.progress import DriveDisplay, TrainingDisplay
from diffcar.training.contract import UpdateRecord


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that is set by hand."""
    own = SimpleNamespace(now=0.0)
    clock = SimpleNamespace(perf_counter=lambda: own.now)
    monkeypatch.setattr(progress, "time", clock)
    return own


def test_a_long_drive_says_now_and_then_how_far_it_is(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line where nothing was said for fifteen seconds, and how long it will take."""
    display = DriveDisplay()
    for clock.now in range(0, 61, 5):
        display.show(clock.now / 100)
    assert capsys.readouterr().err.splitlines() == [
        "driving: 20%  80 s left",
        "driving: 40%  60 s left",
        "driving: 60%  40 s left",
    ]
    clock.now += 20
    display.say("building another scene")
    display.show(0.61)
    assert capsys.readouterr().err == "building another scene\n"


def test_a_drive_whose_scene_took_long_to_build_says_nothing_of_its_end_at_first(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is known yet of how fast it goes: not that it is over at once."""
    display = DriveDisplay()
    clock.now = 40.0
    display.show(0.001)
    assert capsys.readouterr().err == "driving: 0%\n"


def test_slow_updates_are_told_each(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Quick ones every five."""
    display = TrainingDisplay(20)
    for number in range(1, 11):
        clock.now += 1.0 if number < 8 else 20.0
        display.show(UpdateRecord(number, 1.0, {"speed": 1.0}, 0.01, is_skipped=False))
    told = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert told == ["5", "8", "9", "10"]
