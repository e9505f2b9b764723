"""Reference paths against closed forms and as functions of torch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcar.base.errors import PathError
from diffcar.path.builtin import Points
from diffcar.path.config import PATHS, PathConfig
from diffcar.path.grip import FrictionEllipse
from diffcar.path.load import load_path
from diffcar.path.polygon import first_crossing
from diffcar.path.speed import speed_profile
from tests.samples import doubles, road

DOUBLE = torch.float64


def test_circle_has_its_length_curvature_and_heading() -> None:
    """A circle of 2 m radius: length 4 pi, curvature 1/2, heading s/2, over three laps."""
    circle = road("circle")
    assert circle.length == pytest.approx(4 * math.pi, abs=1e-6)
    s = torch.linspace(-12.0, 30.0, 400, dtype=DOUBLE)
    point = circle.sample(s)
    centre = torch.tensor([0.0, 2.0], dtype=DOUBLE)
    assert torch.allclose((point.position - centre).norm(dim=-1), torch.tensor(2.0, dtype=DOUBLE))
    assert torch.allclose(point.curvature, torch.tensor(0.5, dtype=DOUBLE), atol=2e-5)
    assert torch.allclose(point.heading, s / 2, atol=1e-5)


def test_circle_speed_is_what_lateral_acceleration_allows() -> None:
    """On 2 m radius at 4 m/s² the speed is sqrt(8) m/s."""
    circle = road("circle")
    speed = circle.sample(torch.tensor([1.0, 5.0], dtype=DOUBLE)).speed
    assert torch.allclose(speed, torch.tensor(math.sqrt(8.0), dtype=DOUBLE), atol=1e-3)


def test_line_goes_on_straight_beyond_its_ends() -> None:
    """An open path has something to follow before its start and after its end."""
    line = road("line")
    point = line.sample(torch.tensor([-1.0, 0.0, 20.0, 23.0], dtype=DOUBLE))
    expected = torch.tensor([[-1.0, 0], [0, 0], [20, 0], [23, 0]], dtype=DOUBLE)
    assert torch.allclose(point.position, expected, atol=1e-9)
    assert torch.allclose(point.heading, torch.zeros(4, dtype=DOUBLE))


def test_sine_passes_through_its_formula() -> None:
    """The points of the sine path satisfy y = sin(2 pi x / 5) / 2."""
    sine = road("sine")
    point = sine.sample(torch.linspace(0.5, sine.length - 0.5, 300, dtype=DOUBLE))
    x, y = point.position.unbind(-1)
    assert torch.allclose(y, 0.5 * torch.sin(2 * math.pi * x / 5), atol=1e-6)


@pytest.mark.parametrize("name", PATHS)
def test_builtin_path_is_consistent(name: str) -> None:
    """Arc length, heading and curvature are derivatives of one another on every built-in path."""
    path = road(name)
    s = torch.linspace(0.3, path.length - 0.3, 500, dtype=DOUBLE)
    h = 1e-4
    ahead, behind, here = path.sample(s + h), path.sample(s - h), path.sample(s)
    velocity = (ahead.position - behind.position) / (2 * h)
    tangent = torch.stack([torch.cos(here.heading), torch.sin(here.heading)], dim=-1)
    assert torch.allclose(velocity, tangent, atol=1e-3)
    turn = (ahead.heading - behind.heading) / (2 * h)
    # The ISO manoeuvres have corners in their curvature, which a spline rounds off.
    assert torch.allclose(turn, here.curvature, atol=3e-2)
    lateral = here.speed.square() * here.curvature.abs()
    assert float(lateral.max()) < 4.0 * 1.02
    assert float(here.speed.max()) <= 3.0 * 1.001  # splines overshoot a kink a little


@pytest.mark.parametrize("source", ["random", "stage"])
def test_drawn_paths_depend_on_their_seed_alone(source: str) -> None:
    """Same seed, same road; another seed, another road."""
    first, again, other = (
        load_path(PathConfig(source=source, seed=seed)).samples for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first[:200], other[:200])


@pytest.mark.parametrize("seed", range(5))
def test_a_stage_has_straights_for_full_speed_before_hairpins(seed: int) -> None:
    """Hairpins of 0.9 m, smoothly entered, and at 9 m/s, 8 and 5 m/s² both ends of the speeds."""
    limits = {"top_speed": 9.0, "lateral_acceleration": 8.0, "longitudinal_acceleration": 5.0}
    samples = load_path(PathConfig(source="stage", seed=seed, **limits)).samples
    curvature, speed = np.abs(samples[:, 3]), samples[:, 4]
    assert 0.7 < curvature.max() < 1 / 0.9 * 1.01
    assert speed.max() > 8.5
    assert speed.min() < 3.3


@settings(max_examples=60, deadline=None)
@given(
    fraction=st.floats(0.02, 0.98),
    offset=st.floats(-0.35, 0.35),
    slip=st.floats(-0.3, 0.3),
    name=st.sampled_from(["circle", "sine", "figure-eight", "slalom", "random"]),
)
def test_projection_undoes_an_offset(
    fraction: float, offset: float, slip: float, name: str
) -> None:
    """A point moved sideways off the path is projected back to where it came from."""
    path = road(name)
    s = torch.tensor([fraction * path.length], dtype=DOUBLE)
    point = path.sample(s)
    normal = torch.stack([-torch.sin(point.heading), torch.cos(point.heading)], dim=-1)
    beside = point.position + offset * normal
    found = path.project(beside, path.project(beside, path.project(beside, s + slip)))
    assert float((found - s).abs()) < 2e-4


def test_projection_without_hint_searches_the_whole_path() -> None:
    """Far from any hint, the nearest point is still found."""
    path = road("circle")
    position = torch.tensor([[0.0, 4.2], [2.1, 2.0]], dtype=DOUBLE)
    expected = torch.tensor([2 * math.pi, math.pi], dtype=DOUBLE)
    assert torch.allclose(path.project(position), expected, atol=1e-5)


def test_projection_and_sample_have_right_derivatives() -> None:
    """Autograd agrees with differences in float64, curvature and crossings included."""
    path = road("figure-eight")
    s = torch.tensor([1.234, 7.7, 16.1], dtype=DOUBLE, requires_grad=True)

    def sampled(arc_length: torch.Tensor) -> tuple[torch.Tensor, ...]:
        point = path.sample(arc_length)
        return point.position, point.heading, point.curvature, point.speed

    assert torch.autograd.gradcheck(sampled, (s,))
    beside = (path.sample(s).position + torch.tensor([0.06, -0.04])).detach().requires_grad_()
    hint = s.detach()
    assert torch.autograd.gradcheck(lambda position: path.project(position, hint), (beside,))


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.2, 5.0))
def test_scaling_a_path_scales_length_and_curvature(scale: float) -> None:
    """Length grows with the scale and curvature falls with it."""
    base = road("figure-eight")
    scaled = load_path(PathConfig(source="figure-eight", scale=scale))
    assert scaled.length == pytest.approx(scale * base.length, rel=1e-5)
    sharpest = np.abs(scaled.samples[:, 3]).max()
    assert sharpest == pytest.approx(np.abs(base.samples[:, 3]).max() / scale, rel=2e-2)


def test_another_precision_is_another_path() -> None:
    """Whoever holds the first one keeps it; where nothing differs there is no second."""
    path = road("circle")
    single = path.to(torch.float32)
    assert path.to(torch.float64) is path
    assert single is not path
    assert (path.dtype, single.dtype) == (torch.float64, torch.float32)
    assert single.sample(torch.zeros(1)).position.dtype == torch.float32
    where = torch.zeros(1, dtype=torch.float64)
    assert path.sample(where).position.dtype == torch.float64


@pytest.mark.parametrize("closed", [True, False])
def test_a_car_that_is_nowhere_is_nowhere_on_the_path(closed: bool) -> None:
    """No number in, no number out, and the cars beside it are where they were."""
    path = road("circle" if closed else "line")
    position = path.sample(doubles(1.0, 2.0)).position
    position[0] = torch.nan
    found = path.project(position, doubles(1.0, 2.0))
    assert torch.isnan(found[0])
    assert float(found[1]) == pytest.approx(2.0)
    assert torch.isnan(path.sample(found).position[0]).all()


@pytest.mark.parametrize("closed", [True, False])
def test_the_first_crossing_is_the_one_found_by_looking_at_every_pair(closed: bool) -> None:
    """In roads of a few blocks of segments, some of which cross themselves."""
    found = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        heading = np.cumsum(random.normal(0.02, 0.25, 200))
        points = Points(np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0), closed)
        loop = points.around(points.xy)
        steps = np.diff(loop, axis=0)
        count = len(steps)
        # Of each pair, where along both segments their lines meet: neighbours touch, and do not.
        i, j = np.triu_indices(count, 2)
        along = np.linalg.solve(
            np.stack([steps[i], -steps[j]], -1), (loop[j] - loop[i])[..., None]
        )[..., 0]
        is_apart = ~((i == 0) & (j == count - 1)) | (not closed)
        hits = np.flatnonzero(((along >= 0) & (along < 1)).all(-1) & is_apart)
        arc_length = np.append(0, np.cumsum(np.linalg.norm(steps, axis=1)))
        first = hits[:1]
        expected = (arc_length[i[first[0]]], arc_length[j[first[0]]]) if first.size else None
        assert first_crossing(points) == expected
        found.append(expected is not None)
    assert any(found)
    assert not all(found)


@pytest.mark.parametrize("closed", [True, False])
def test_the_speed_profile_is_that_of_one_point_after_the_other(closed: bool) -> None:
    """To the last digit, as weights of earlier runs need."""
    random = np.random.default_rng(0)
    for _ in range(10):
        limits = FrictionEllipse(4.0, random.uniform(0.5, 20))
        bend, limit = np.abs(random.normal(size=200)), random.uniform(0.1, 6.0, 200)
        bend[-1], limit[-1] = bend[0], limit[0]
        grid = np.linspace(0, 4.0, 200)
        speed = np.minimum(limit, np.sqrt(limits.lateral / np.maximum(bend, 1e-9)))
        backward, forward = (
            [(i, i + 1) for i in range(198, -1, -1)],
            [(i, i - 1) for i in range(1, 200)],
        )
        for _ in range(2 if closed else 1):
            for order in (backward, forward):
                for index, neighbour in order:
                    used = speed[neighbour] ** 2 * bend[neighbour] / limits.lateral
                    free = np.sqrt(1.0 - min(used, 1.0) ** 2) * limits.longitudinal
                    reached = np.sqrt(speed[neighbour] ** 2 + 2 * free * float(grid[1]))
                    speed[index] = min(speed[index], reached)
                if closed:
                    speed[0] = speed[-1] = min(speed[0], speed[-1])
        found = speed_profile(grid, bend, limit, limits, closed=closed)
        assert np.abs(found - speed).max() < 1e-12


def test_a_path_beyond_the_road_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cars there would touch nothing; up to ten kilometres from its middle there is road."""
    monkeypatch.setattr("diffcar.path.load._GRID_STEP", 1.0)  # a million points take seconds
    with pytest.raises(PathError, match=r"reaches 10\.5 km from its middle"):
        load_path(PathConfig(source="line", scale=1050.0))
    assert load_path(PathConfig(source="line", scale=950.0)).length == pytest.approx(19_000)
