"""The checker itself on closed forms: right gradients pass, wrong ones and kinks are caught."""

import math

import pytest
import torch

from diffcar.gradients.finite_differences import (
    check_directions,
    check_environments,
    random_directions,
    spot_check,
)


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_right_gradient_of_a_closed_form_passes() -> None:
    """sin(x) · y² has a gradient that differences confirm to nine digits."""
    x, y = leaf(0.3, -1.2), leaf(2.0, 0.7)
    checks = check_directions(lambda: (torch.sin(x) * y**2).sum(), [x, y], num_directions=5)
    assert len(checks) == 5 + 2
    assert max(check.relative_error for check in checks) < 1e-8
    assert not any(check.is_kink for check in checks)


def test_parameters_are_restored() -> None:
    """Perturbations leave no trace."""
    x = leaf(0.3, -1.2)
    before = x.detach().clone()
    check_directions(lambda: x.exp().sum(), [x], num_directions=2)
    assert torch.equal(x.detach(), before)


@pytest.mark.parametrize("factor", [0.0, 0.99, -1.0, 10.0])
def test_wrong_gradient_fails(factor: float) -> None:
    """Scaled, vanished and reversed gradients are far outside any tolerance."""
    x = leaf(0.3, -1.2)
    (right,) = torch.autograd.grad(x.exp().sum(), [x])
    checks = check_directions(
        lambda: x.exp().sum(), [x], gradients=[factor * right], num_directions=3
    )
    assert min(check.relative_error for check in checks) > 5e-3


def test_gradient_wrong_in_one_tensor_is_found_in_that_tensor() -> None:
    """Directions over all parameters may hide a small tensor; its own direction does not."""
    big, small = leaf(*range(1, 200)), leaf(1e-3)

    def function() -> torch.Tensor:
        return big.square().sum() + small.square().sum()

    right = torch.autograd.grad(function(), [big, small])
    checks = check_directions(function, [big, small], gradients=[right[0], 1.5 * right[1]])
    assert checks[-1].relative_error > 0.1


def test_kink_is_reported_as_a_kink() -> None:
    """|x| at zero: the one-sided slopes disagree."""
    x = leaf(0.0)
    (check,) = check_directions(lambda: x.abs().sum(), [x], num_directions=1)
    assert check.is_kink


def test_independent_environments_are_checked_at_once() -> None:
    """One row a direction: right rows pass, the one with a tampered gradient is found."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64).requires_grad_()
    y = torch.randn(5, 2, 2, generator=generator, dtype=torch.float64).requires_grad_()
    before = x.detach().clone()

    def function() -> torch.Tensor:
        return x.sin().sum(1) * y.square().sum((1, 2))

    directions = [random_directions(x, generator), random_directions(y, generator, scale=3.0)]
    assert directions[1].flatten(1).norm(dim=1) == pytest.approx([3.0] * 5)
    checks = check_environments(function, [x, y], directions)
    assert max(check.relative_error for check in checks) < 1e-8
    assert torch.equal(x.detach(), before)
    gradients = list(torch.autograd.grad(function().sum(), [x, y]))
    gradients[0][3] *= 1.01
    wrong = check_environments(function, [x, y], directions, gradients=gradients)
    assert [check.relative_error > 1e-4 for check in wrong] == [False, False, False, True, False]


def test_jump_is_reported_as_a_kink() -> None:
    """A value that jumps within every step has no difference quotient that repeats itself."""
    x = torch.tensor([[1.0], [0.0]], dtype=torch.float64, requires_grad=True)

    def function() -> torch.Tensor:
        return (x.square() + torch.where(x > 0, 1.0, 0.0)).sum(1)

    smooth, jump = check_environments(function, [x], [torch.ones_like(x)])
    assert not smooth.is_kink
    assert jump.is_kink


def test_value_that_is_not_a_number_is_no_kink() -> None:
    """It must not be left out of the verdict as a kink would be."""
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64, requires_grad=True)
    fine, broken = check_environments(lambda: x.sqrt().sum(1), [x], [torch.ones_like(x)])
    assert fine.is_finite
    assert not broken.is_finite
    assert not broken.is_kink


@pytest.mark.parametrize("defect", ["right", "missing", "scaled"])
def test_spot_checks_take_turns_and_find_a_bad_tensor(defect: str) -> None:
    """One along the gradient, one in each tensor: a missing or scaled tensor shows up in turn."""
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(30, 30, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    ]

    def function() -> torch.Tensor:
        return sum((tensor.sin() * (1 + index)).sum() for index, tensor in enumerate(tensors))

    gradients = list(torch.autograd.grad(function(), tensors))
    gradients[1] = gradients[1] * {"right": 1.0, "missing": 0.0, "scaled": 2.0}[defect]
    errors = [spot_check(function, tensors, gradients, number=number) for number in range(3)]
    assert (max(errors) > 0.2) == (defect != "right")
    assert errors[2] > 0.2 or defect == "right"
    assert errors[1] < 1e-2


@pytest.mark.parametrize("where", ["value", "gradient"])
def test_a_spot_check_that_meets_no_number_has_failed(where: str) -> None:
    """It is no check that was left out."""
    x = leaf(0.3, -1.2)
    bad = torch.full_like(x, math.nan)
    function = (lambda: (x * bad).sum()) if where == "value" else (lambda: x.sum())
    gradient = bad if where == "gradient" else torch.ones_like(x)
    assert [spot_check(function, [x], [gradient], number=number) for number in range(2)] == [
        math.inf
    ] * 2


def test_a_spot_check_beside_a_kink_tells_nothing() -> None:
    """Its differences know no better; where they do, a reversed gradient is told."""
    x = leaf(0.0)
    kinked = spot_check(lambda: (x - 0.002).abs().sum(), [x], [-torch.ones_like(x)], number=1)
    assert math.isnan(kinked)
    assert spot_check(lambda: (2 * x).sum(), [x], [-2 * torch.ones_like(x)], number=1) == 2.0
