"""Who may be trained: refused where the gradient as a whole is off, not for a single direction."""

import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from diffcar.base.errors import GradientError
from diffcar.gradients.finite_differences import random_directions
from diffcar.gradients.problem import Case, Problem
from diffcar.training.short_certificate import certify_before_training

NUM_ENVS = 8


class _Scaled(torch.autograd.Function):
    """The identity, with a gradient of each environment that is multiplied by a factor."""

    @staticmethod
    def forward(context: object, value: Tensor, factor: Tensor) -> Tensor:
        context.save_for_backward(factor)
        return value.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.saved_tensors[0], None


def problem_of(*factors: float, tolerance: float = 1e-5) -> Problem:
    """Return a problem whose gradient is off by a factor in the first environments."""
    generator = torch.Generator().manual_seed(0)
    leaf = torch.randn(NUM_ENVS, 3, generator=generator, dtype=torch.float64).requires_grad_()
    factor = torch.ones(NUM_ENVS, 1, dtype=torch.float64)
    factor[: len(factors), 0] = torch.tensor(factors, dtype=torch.float64)

    def score() -> Tensor:
        values = _Scaled.apply(leaf, factor)
        return values.sin().sum(1) * values.square().sum(1)

    return Problem(
        inputs={"network weights": [leaf]},
        cases=[Case("rolling", "network weights")] * NUM_ENVS,
        score=score,
        directions=[random_directions(leaf.detach(), generator)],
        step_sizes=(1e-3, 1e-4, 1e-5),
        tolerance=tolerance,
        horizon=32,
        hint="train something else",
    )


def test_a_right_gradient_may_be_trained_with() -> None:
    """The record holds what it came to."""
    record = asdict(certify_before_training(problem_of()))
    assert record["verdict"] == "right"
    assert (record["horizon"], record["num_directions"], record["num_kinks"]) == (32, NUM_ENVS, 0)
    assert len(record["relative_errors"]) == NUM_ENVS


@pytest.mark.parametrize(
    ("factors", "told"),
    [((2.0,), "wrong"), ((math.nan,), "not a number"), ((1.0005,) * NUM_ENVS, "inexact")],
)
def test_a_wrong_gradient_is_refused(factors: tuple[float, ...], told: str) -> None:
    """With what to do about it."""
    with pytest.raises(GradientError, match=f"the gradient is {told}: over 32 steps") as raised:
        certify_before_training(problem_of(*factors))
    assert raised.value.hint == "train something else"


def test_a_missing_gradient_is_refused() -> None:
    """A score that is cut off from its inputs."""
    problem = problem_of()
    cut = replace(problem, score=lambda: problem.score().detach())
    with pytest.raises(GradientError, match="no gradient arrives over 32 steps"):
        certify_before_training(cut)


def test_a_single_direction_that_is_a_little_off_is_not_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In float32 it is the difference that is off; the whole gradient cannot be. It is said."""
    record = certify_before_training(problem_of(1.0005))
    assert record.verdict == "inexact"
    assert "the comparison of gradients with finite differences says: inexact" in caplog.text


def test_a_guard_that_does_not_hold_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A right gradient of rollouts that were elsewhere most of the time proves nothing."""
    elsewhere = replace(problem_of(), shares=lambda: torch.full((NUM_ENVS,), 0.25))
    assert certify_before_training(elsewhere).verdict == "vacuous"
    assert "says: vacuous; in regime: rolling, by network weights over 32 steps: only 25 %" in (
        caplog.text
    )


def test_cases_that_do_not_decide_are_recorded_only() -> None:
    """As directions within a tensor of a soft body's controller, known less well."""
    problem = problem_of(2.0)
    cases = [replace(problem.cases[0], is_decisive=False), *problem.cases[1:]]
    record = certify_before_training(replace(problem, cases=cases))
    assert record.verdict == "right"
    assert record.num_directions == NUM_ENVS - 1
    assert record.relative_errors[-1] == pytest.approx(0.5)


def test_a_dead_kind_does_not_hide_among_others() -> None:
    """Weights on which nothing depends are not trained, though other kinds are right."""
    problem = problem_of()
    leaf = problem.inputs["network weights"][0]
    live = torch.zeros(NUM_ENVS, 1, dtype=torch.float64)
    live[NUM_ENVS // 2 :] = 1.0  # the environments of the other kind
    other = leaf.detach().clone().requires_grad_()
    both = replace(
        problem,
        inputs={"network weights": [leaf], "actions": [other]},
        cases=[Case("rolling", "network weights")] * 4 + [Case("rolling", "actions")] * 4,
        score=lambda: ((0 * leaf + live * other).sin() + 1).sum(1),
        directions=[problem.directions[0], problem.directions[0]],
    )
    with pytest.raises(GradientError, match="by network weights over 32 steps: nothing changes"):
        certify_before_training(both)
