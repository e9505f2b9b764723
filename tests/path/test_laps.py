"""Laps cut out of logs of drives whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from diffcar.base.errors import ConfigError, PathError
from diffcar.path.builtin import Points
from diffcar.path.config import PathConfig
from diffcar.path.laps import recorded_lap
from tests.path.files import load, rows


def course(kind: str, turn: np.ndarray) -> np.ndarray:
    """Return points of a closed course."""
    if kind == "figure-eight":
        return np.stack([8 * np.sin(turn), 4 * np.sin(2 * turn)], 1)
    radius = {"oval": 5.0, "kart track": 5 + 1.6 * np.cos(3 * turn)}[kind]
    return np.stack([1.5 * radius * np.cos(turn), radius * np.sin(turn)], 1)


def drive(
    kind: str,
    seed: int,
    *,
    laps: float = 1.15,
    noise: float = 0.02,
    is_reversed: bool = False,
    num_points: int = 2000,
    num_parked: int = 200,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a course, and positions and speeds logged on it, from a parked start."""
    generator = np.random.default_rng(seed)
    truth = course(kind, np.linspace(0, 2 * np.pi, 6001) + generator.uniform(0, 2 * np.pi))
    truth = truth[::-1] if is_reversed else truth
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(truth, axis=0), axis=1)))
    moving = np.linspace(0, 1, num_points - num_parked)
    speed = np.minimum(1, 0.02 + 8 * moving) * (1 + 0.4 * np.sin(28 * moving))
    way = np.cumsum(speed) / speed.sum() * laps * along[-1]
    # Rolling back by millimetres before it goes.
    way = np.concatenate([np.linspace(0.003, 0, num_parked), way]) % along[-1]
    log = np.column_stack([np.interp(way, along, own) for own in truth.T])
    speed = np.append(np.zeros(num_parked), speed)
    return truth, log + generator.normal(0, noise, log.shape), speed


def farthest(lap: np.ndarray, truth: np.ndarray) -> float:
    """Return how far a lap and the course come apart, each seen from the other [m]."""
    sides = np.roll(lap, -1, axis=0) - lap
    lap = np.concatenate([lap + share * sides for share in np.arange(0, 1, 0.2)])
    off = (cKDTree(own).query(other)[0].max() for own, other in ((lap, truth), (truth, lap)))
    return float(max(off))


@pytest.mark.parametrize("kind", ["oval", "kart track", "figure-eight"])
@pytest.mark.parametrize(
    ("seed", "laps", "is_reversed"), [(1, 1.05, False), (2, 1.3, True), (3, 2.6, False)]
)
def test_a_lap_is_found_within_five_centimetres(
    kind: str, seed: int, laps: float, is_reversed: bool
) -> None:
    """Of 2,000 noisy points with a parked start and an overlap, in both directions."""
    truth, log, _ = drive(kind, seed, laps=laps, is_reversed=is_reversed)
    lap = recorded_lap(Points(log, closed=False), 0.5)
    assert lap.closed
    assert farthest(lap.xy, truth) < 0.05
    length, true_length = (
        np.linalg.norm(np.diff(own, axis=0, append=own[:1]), axis=1).sum()
        for own in (lap.xy, truth)
    )
    assert length == pytest.approx(true_length, rel=2e-3)
    area, true_area = (
        float((own[:, 0] * np.roll(own[:, 1], -1) - own[:, 1] * np.roll(own[:, 0], -1)).sum())
        for own in (lap.xy, truth[:-1])
    )
    assert area == pytest.approx(true_area, rel=1e-2, abs=2.0)  # so it goes the same way round


def test_a_log_becomes_a_path_by_that_option_alone(tmp_path: Path) -> None:
    """Scaled, with speeds as a limit, and a note of all that was done to it."""
    truth, log, speed = drive("kart track", 3)
    content = "t,x,y,v\n0.0,,,\n" + rows(np.arange(2000) * 0.02, 10 * log, speed)
    with pytest.raises(PathError, match="row 2, column 'x': empty"):
        load(tmp_path, content)
    content = content.replace("0.0,,,\n", "")
    with pytest.raises(PathError, match="turns back") as caught:
        load(tmp_path, content)
    assert "--lap" in (caught.value.hint or "")
    path = load(tmp_path, content + "\n40.0,,,", lap=True, scale=0.1)
    assert "1 incomplete rows left out" in path.warnings
    assert path.closed
    assert farthest(path.samples[:, :2], truth) < 0.05
    assert 0.5 < path.samples[:, 4].min() < path.samples[:, 4].max() < 1.5
    (note,) = [own for own in path.warnings if own.startswith("a lap of")]
    dropped = int(note.split(" points that stand")[0].split()[-1])
    assert 190 < dropped < 230
    assert float(note.split("moves points by ")[1].split()[0]) < 0.1
    assert path.warnings[-1].endswith("taken for a loop as asked")


def test_points_that_stray_or_repeat_are_dropped() -> None:
    """Jumps of a receiver, and a sensor that is slower than the log."""
    truth, log, _ = drive("oval", 4, laps=1.2)
    log[700] += [0.0, 3.0]
    log[1200:1202] -= [2.0, 0.0]
    held = np.repeat(log[::2], 2, axis=0)
    for own in (log, held):
        lap = recorded_lap(Points(own, closed=False), 0.5)
        assert farthest(lap.xy, truth) < 0.05


def test_a_lap_that_drifts_or_ends_short_is_closed_and_says_how_far() -> None:
    """Half a metre sideways is spread over it; a few decimetres on are bridged."""
    truth, log, _ = drive("oval", 5, laps=1.1, noise=0.005)
    drifting = log + np.linspace(0, 0.5, 2000)[:, None] * [0.6, 0.8]
    lap = recorded_lap(Points(drifting, closed=False), 0.6)
    beside = float(lap.notes[-1].split("which lie ")[1].split()[0])
    assert 0.05 < beside < 0.6
    steps = np.linalg.norm(np.diff(lap.xy, axis=0, append=lap.xy[:1]), axis=1)
    assert steps.max() < 1.1 * steps.min()
    truth, short, _ = drive("oval", 5, laps=0.995, noise=0.005)
    lap = recorded_lap(Points(short, closed=False), 0.5)
    assert farthest(lap.xy, truth) < 0.05


def test_what_is_no_lap_is_refused(tmp_path: Path) -> None:
    """Half a lap, noise beyond the tolerance, a few points, and a loop that is said to be open."""
    _, half, _ = drive("oval", 6, laps=0.6)
    with pytest.raises(PathError, match="does not close on itself"):
        recorded_lap(Points(half, closed=False), 0.5)
    _, noisy, _ = drive("oval", 7, noise=0.1)
    with pytest.raises(PathError, match=r"more than 0.2 m") as caught:
        recorded_lap(Points(noisy, closed=False), 0.2)
    assert "path.tolerance" in (caught.value.hint or "")
    with pytest.raises(PathError, match="no lap"):
        load(tmp_path, rows(half[:9]), lap=True)
    with pytest.raises(ConfigError, match=r"path.closed says open"):
        PathConfig(source="log.csv", lap=True, closed=False)


@pytest.mark.parametrize(("sign", "is_limit"), [(1.0, True), (0.0, False), (-1.0, False)])
def test_a_speed_of_a_log_that_says_it_stands_is_no_limit(
    sign: float, is_limit: bool, tmp_path: Path
) -> None:
    """A column of zeros or with the wrong sign is left out, with a note, and never a crawl."""
    _, log, speed = drive("oval", 8)
    path = load(tmp_path, "x,y,v\n" + rows(log, sign * speed), lap=True)
    assert ("speed" in path.columns) == is_limit
    assert any("is no limit" in note for note in path.warnings) != is_limit
    assert path.samples[:, 4].max() > 1.0
