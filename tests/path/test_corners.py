"""Corners of polygons, and how they become drivable."""

import math
from pathlib import Path

import numpy as np
import pytest

from diffcar.base.errors import ConfigError
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from tests.path.files import CIRCLE, load, rows

SQUARE = np.array([[0.0, 0], [8, 0], [8, 8], [0, 8]])
SHARES = np.linspace(0, 1, 80, endpoint=False)[:, None]
DENSE = np.vstack([a + SHARES * (np.roll(SQUARE, -1, 0)[at] - a) for at, a in enumerate(SQUARE)])
LEAST_RADIUS = 0.75


def distance_to_square(xy: np.ndarray) -> np.ndarray:
    """Return how far points are from the square's sides."""
    outside = np.maximum(np.abs(xy - 4) - 4, 0)
    inside = np.minimum(4 - np.abs(xy - 4), 4).min(1)
    return np.where(outside.any(1), np.linalg.norm(outside, axis=1), np.abs(inside))


def test_four_corners_are_a_square_and_no_wild_curve(tmp_path: Path) -> None:
    """Straight sides, told in a note, with the speed of a crawl at what no car can drive."""
    path = load(tmp_path, "x,y\n" + rows(SQUARE), max_curvature=1 / LEAST_RADIUS)
    assert path.closed
    assert path.length == pytest.approx(32, abs=0.05)
    assert distance_to_square(path.samples[:, :2]).max() < 0.01
    assert any("4 points are taken for corners" in note for note in path.warnings)
    (told,) = [note for note in path.warnings if "the car's smallest is 0.750 m" in note]
    assert "with --smooth it is rounded" in told
    corner = path.samples[np.linalg.norm(path.samples[:, :2] - [8, 0], axis=1).argmin()]
    assert corner[4] < 0.5


@pytest.mark.parametrize("corners", [SQUARE, DENSE], ids=["few", "dense"])
def test_smoothing_makes_corners_drivable_and_leaves_the_rest(
    corners: np.ndarray, tmp_path: Path
) -> None:
    """Within the car's least radius, and it says how far it moved the path."""
    path = load(tmp_path, "x,y\n" + rows(corners), smooth=True, max_curvature=1 / LEAST_RADIUS)
    assert np.abs(path.samples[:, 3]).max() < 1 / LEAST_RADIUS
    assert not any("the car's smallest" in note for note in path.warnings)
    off = distance_to_square(path.samples[:, :2])
    apex = np.linalg.norm(path.samples[:, :2] - SQUARE[1], axis=1).min()
    (told,) = [note for note in path.warnings if "smoothing moves" in note]
    assert float(told.split()[5]) == pytest.approx(apex, abs=0.01)
    assert 0.41 * LEAST_RADIUS < apex < LEAST_RADIUS
    middles = np.abs(path.samples[:, :2] - 4).min(1) < 1.0
    assert off[middles].max() < 1e-3


def test_an_open_corner_keeps_its_ends_and_a_tolerance_is_kept(tmp_path: Path) -> None:
    """What the tolerance does not allow is said to be too sharp still."""
    bend = "x,y\n" + rows(SQUARE[:3] * [1, 1.5], separator=",") + "\n8.0,20.0"
    for tolerance in (None, 0.1):
        path = load(
            tmp_path, bend, smooth=True, tolerance=tolerance, max_curvature=1 / LEAST_RADIUS
        )
        assert not path.closed
        assert path.samples[0, :2] == pytest.approx([0, 0], abs=1e-6)
        assert path.samples[-1, :2] == pytest.approx([8, 20], abs=1e-6)
        is_told = any("path.tolerance=METRES" in note for note in path.warnings)
        assert is_told == (tolerance is not None)
        (told,) = [note for note in path.warnings if "smoothing moves" in note]
        assert float(told.split()[5]) <= (tolerance or LEAST_RADIUS)


def test_a_tolerance_that_allows_nothing_is_refused() -> None:
    """It is of what is smoothed; unseen paths of a recorded lap are not."""
    with pytest.raises(ConfigError, match=r"path\.tolerance has no effect"):
        PathConfig(tolerance=0.1)
    lap = PathConfig(source="log.csv", lap=True, tolerance=0.1)
    assert load_path(lap.elsewhere("circle", 1.0)).closed
    assert PathConfig(smooth=True, tolerance=0.1).elsewhere("circle", 1.0).tolerance == 0.1


def test_a_sampled_curve_is_no_polygon_and_smoothing_leaves_it(tmp_path: Path) -> None:
    """Eight points of a circle are a circle; what a car can drive stays to the last digit."""
    eight = load(tmp_path, "x,y\n" + rows(CIRCLE[::5]))
    assert eight.length == pytest.approx(6 * math.pi, rel=1e-2)
    assert not any("corners" in note for note in eight.warnings)
    plain = load(tmp_path, "x,y\n" + rows(CIRCLE), max_curvature=1.0)
    smooth = load(tmp_path, "x,y\n" + rows(CIRCLE), max_curvature=1.0, smooth=True)
    assert np.abs(plain.samples - smooth.samples).max() < 1e-4
    road = load_path("random", seed=1, max_curvature=1.35, smooth=True)
    assert np.abs(road.samples - load_path("random", seed=1).samples).max() < 1e-4
