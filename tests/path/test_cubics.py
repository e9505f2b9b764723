"""Fused operations on paths against plain ones and differences, and many paths in one batch."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from diffcar.path.reference import PathBatch, PathPoint
from tests import plain
from tests.samples import road, seeded

DOUBLE = torch.float64
NAMES = ("figure-eight", "circle", "slalom")


def same(
    fused: Callable[[Tensor], Sequence[Tensor]],
    formula: Callable[[Tensor], Sequence[Tensor]],
    at: Tensor,
) -> None:
    """Compare values, and the gradients of sums with weights of their own."""
    found, expected = fused(at.requires_grad_()), formula(at)
    for number, (own, other) in enumerate(zip(found, expected, strict=True)):
        assert own.shape == other.shape
        assert torch.allclose(own, other, rtol=1e-12, atol=1e-12)
        weight = torch.randn(own.shape, generator=seeded(number), dtype=DOUBLE)
        gradient, by_formula = (
            torch.autograd.grad((values * weight).sum(), at, retain_graph=True)[0]
            for values in (own, other)
        )
        assert torch.allclose(gradient, by_formula, rtol=0, atol=1e-9)


def fields(point: PathPoint) -> tuple[Tensor, ...]:
    return point.position, point.heading, point.curvature, point.speed


def somewhere(length: float, *shape: int) -> Tensor:
    """Return arc lengths along a path, before its start and after its end."""
    return (2 * torch.rand(shape, generator=seeded(), dtype=DOUBLE) - 0.5) * length


def beside(name: str, num_cars: int) -> tuple[Tensor, Tensor]:
    """Return positions beside a path and arc lengths near them, over several laps of a closed."""
    path = road(name)
    s = (3 if path.closed else 0.9) * somewhere(path.length, num_cars).abs() + 0.1
    offsets = 0.1 * torch.randn(num_cars, 2, generator=seeded(1), dtype=DOUBLE)
    slips = 0.05 * torch.randn(num_cars, generator=seeded(2), dtype=DOUBLE)
    return (path.sample(s).position + offsets).detach(), s + slips


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(40,), (10, 4)])
def test_samples_are_those_of_the_plain_formula(name: str, shape: tuple[int, ...]) -> None:
    """Within a lap, beyond it, and beyond the ends of an open path."""
    path = road(name)
    where = somewhere(path.length, *shape)
    same(lambda s: fields(path.sample(s)), lambda s: fields(plain.sample(path, s)), where)
    assert torch.autograd.gradcheck(lambda s: fields(path.sample(s)), (where,))


@pytest.mark.parametrize("name", NAMES)
def test_nearest_points_are_those_of_the_plain_formula(name: str) -> None:
    """However few steps were enough, the last of which the plain formula differentiates."""
    path = road(name)
    position, hint = beside(name, 40)
    same(lambda p: path.nearest(p, hint), lambda p: plain.nearest(path, p, hint), position)
    assert torch.autograd.gradcheck(lambda p: tuple(path.nearest(p, hint)), (position,))
    assert torch.equal(path.project(position, hint), path.nearest(position, hint).arc_length)


@pytest.mark.parametrize("name", ["figure-eight", "slalom"])
def test_the_precisions_of_path_and_cars_may_differ(name: str) -> None:
    """The finer one is kept, and gradients come in that of what they are of."""
    position, hint = beside(name, 5)
    for path_dtype, dtype in ((torch.float32, DOUBLE), (DOUBLE, torch.float32)):
        path = road(name).to(path_dtype)
        here = position.detach().to(dtype, copy=True).requires_grad_()
        nearest = path.nearest(here, hint.to(dtype))
        point = path.preview(nearest.arc_length, torch.tensor([0.1, 0.2], dtype=dtype))
        assert {value.dtype for value in (*nearest, *fields(point))} == {DOUBLE}
        (nearest.cross_track.sum() + point.curvature.sum()).backward()
        assert here.grad.dtype == dtype
        assert torch.allclose(nearest.arc_length, road(name).project(position, hint), atol=1e-4)


def test_a_batch_of_paths_is_each_path_alone() -> None:
    """Open and closed, all shapes, values and gradients, whoever is picked of the cars."""
    which = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    paths = [road(name) for name in NAMES]
    batch = PathBatch(paths, which)
    assert batch.closed.tolist() == [False, True, True, True, True, False, False]
    assert batch.length.tolist() == pytest.approx([paths[number].length for number in which])
    both = [beside(NAMES[number], 7) for number in which]
    position = torch.stack([places[car] for car, (places, _) in enumerate(both)]).requires_grad_()
    hint = torch.stack([hints[car] for car, (_, hints) in enumerate(both)])
    distances = torch.tensor([0.0, 0.3, 5.0], dtype=DOUBLE)

    def driven(path: PathBatch, p: Tensor, s: Tensor) -> list[Tensor]:
        nearest = path.nearest(p, s)
        ahead = path.preview(nearest.arc_length, distances)
        later = path.sample(torch.stack([nearest.arc_length, nearest.arc_length + 1]))
        searched = path.project(p)
        by_time = [value.transpose(0, 1) for value in fields(later)]
        return [*nearest, *fields(ahead), *by_time, searched]

    def gradient(values: Sequence[Tensor]) -> Tensor:
        return torch.autograd.grad(sum(value.sum() for value in values), position)[0]

    together = driven(batch, position, hint)
    picked = driven(batch.select(slice(2, 5)), position[2:5], hint[2:5])
    for number, path in enumerate(paths):
        cars = which == number
        alone = driven(path, position[cars], hint[cars])
        for values, own in zip(together, alone, strict=True):
            assert torch.allclose(values[cars], own, rtol=1e-12, atol=1e-12)
        by_position = gradient(alone)[cars]
        assert torch.allclose(gradient(driven(batch, position, hint))[cars], by_position, atol=1e-9)
    for values, own in zip(together, picked, strict=True):
        assert torch.allclose(values[2:5], own, rtol=1e-12, atol=1e-12)
    single = batch.to(torch.float32).nearest(position.float(), hint.float())
    assert single.heading.dtype == torch.float32
    assert torch.allclose(single.cross_track.double(), together[1], atol=1e-4)
