"""A problem around any function: what is right is certified, and every guard refuses its defect."""

import math
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from diffcar.base.errors import ConfigError, SimulationError
from diffcar.gradients.certificate import Certificate, CertificateRow, attempt, certify
from diffcar.gradients.finite_differences import along_gradient, random_directions
from diffcar.gradients.problem import Case, Problem
from diffcar.gradients.slopes import DirectionalCheck, Verdict

NUM_ENVS = 8


def problem_of(
    function: Callable[[Tensor], Tensor], *, dtype: torch.dtype = torch.float64, **changes: object
) -> Problem:
    """Return the problem of a function of (B, 3), along random directions."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(NUM_ENVS, 3, generator=generator, dtype=torch.float64).to(dtype)
    leaf = values.requires_grad_()
    settings: dict[str, object] = {
        "inputs": {"values": [leaf]},
        "cases": [Case("smooth", "values")] * NUM_ENVS,
        "score": lambda: function(leaf),
        "directions": [random_directions(leaf.detach(), generator)],
        "step_sizes": (1e-3, 1e-4, 1e-5),
        "tolerance": 1e-6,
    }
    return Problem(**{**settings, **changes})


def smooth(values: Tensor) -> Tensor:
    return values.sin().sum(1) * values.square().sum(1)


class Scaled(torch.autograd.Function):
    """The identity, with a gradient that is multiplied by a factor."""

    @staticmethod
    def forward(context: object, value: Tensor, factor: Tensor) -> Tensor:
        context.save_for_backward(factor)
        return value.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.saved_tensors[0], None


def scaled_by(factor: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda values: smooth(Scaled.apply(values, factor))


def verdict_of(problem: Problem) -> Verdict:
    return certify(problem).verdict


def guards_of(certificate: Certificate) -> list[str]:
    return [failure.guard for failure in certificate.failures]


def test_a_right_gradient_is_certified() -> None:
    """Every direction agrees, nothing fails, and the inputs are as they were."""
    problem = problem_of(smooth)
    before = problem.leaves[0].detach().clone()
    certificate = certify(problem)
    assert certificate.is_certified
    assert certificate.verdict is Verdict.RIGHT
    assert certificate.worst_relative_error < 1e-7
    assert certificate.failures == ()
    assert torch.equal(problem.leaves[0].detach(), before)
    assert problem.leaves[0].grad is None


def test_directions_may_follow_from_the_gradient() -> None:
    """Along each row's own gradient the slope is its norm."""
    problem = problem_of(smooth, directions=along_gradient)
    (row,) = certify(problem).rows
    (gradient,) = problem.differentiate().gradients
    slopes = [check.analytic_gradient for check in row.checks]
    assert slopes == pytest.approx(gradient.norm(dim=1).tolist())
    assert row.verdict is Verdict.RIGHT


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.0005, Verdict.INEXACT), (1.1, Verdict.WRONG), (0.0, Verdict.WRONG), (-1.0, Verdict.WRONG)],
)
def test_a_corrupted_gradient_is_not_certified(factor: float, expected: Verdict) -> None:
    """A little, much, vanished and reversed."""
    assert verdict_of(problem_of(scaled_by(torch.tensor(factor)))) is expected


def test_one_corrupted_environment_is_enough() -> None:
    """No median hides it."""
    factor = torch.ones(NUM_ENVS, 1)
    factor[3] = 1.01
    assert verdict_of(problem_of(scaled_by(factor))) is Verdict.WRONG


def test_a_gradient_far_too_large_does_not_raise_its_own_floor() -> None:
    """A direction across the gradient would hide it behind a floor made by itself."""
    problem = problem_of(scaled_by(torch.tensor(1e9)))
    assert verdict_of(problem) is Verdict.WRONG


def test_a_gradient_that_is_not_a_number_is_worse_than_any_error() -> None:
    """Not left out, not a kink, not hidden behind a wrong one: `max` would forget it."""
    factor = torch.full((NUM_ENVS, 1), 2.0)
    factor[2] = math.nan
    certificate = certify(problem_of(scaled_by(factor), guards=()))
    assert certificate.verdict is Verdict.NOT_A_NUMBER
    assert math.isnan(certificate.worst_relative_error)


def test_a_function_that_does_not_repeat_itself_is_refused() -> None:
    """Two evaluations of the same inputs differ: the differences are of something else."""
    calls = iter(range(10_000))
    certificate = certify(problem_of(lambda values: smooth(values) + 1e-9 * next(calls)))
    assert certificate.verdict is Verdict.DOES_NOT_REPEAT
    assert "repeats_exactly" in guards_of(certificate)
    assert "repeats exactly: a rollout without gradients ends" in str(certificate.failures[0])


def test_noise_that_a_problem_admits_to_is_allowed() -> None:
    """Threads that add up in any order differ in the last digits."""
    calls = iter(range(10_000))
    noisy = problem_of(lambda values: smooth(values) + 1e-13 * next(calls), noise=1e-8)
    assert certify(noisy).failures == ()
    assert not certify(replace(noisy, noise=0.0)).is_repeatable


def test_gradients_that_change_from_pass_to_pass_are_refused() -> None:
    """What is left over from the pass before must not be added."""
    passes = iter(range(100))

    def backward(loss: Tensor) -> None:
        (loss * (1 + 1e-12 * next(passes))).backward()

    certificate = certify(problem_of(smooth, backward=backward))
    assert certificate.verdict is Verdict.DOES_NOT_REPEAT
    assert guards_of(certificate) == ["gradients_agree"]
    assert certificate.rows[0].verdict is Verdict.RIGHT


@pytest.mark.parametrize("leak", [0.0, 1e-12])
def test_an_action_after_the_last_scored_state_has_no_gradient(leak: float) -> None:
    """What is commanded when all is over cannot have moved it."""
    late = torch.zeros(NUM_ENVS, dtype=torch.float64, requires_grad=True)
    problem = problem_of(lambda values: smooth(values) + leak * late, go_on=lambda: late)
    certificate = certify(problem)
    assert guards_of(certificate) == (["nothing_comes_from_later"] if leak else [])
    assert certificate.is_certified == (leak == 0.0)


def test_too_many_kinks_leave_nothing_to_go_by() -> None:
    """Every other environment stands on the edge of |x|."""
    mask = (torch.arange(NUM_ENVS) % 2 == 0).to(torch.float64)[:, None]

    def function(values: Tensor) -> Tensor:
        return smooth(values) + (mask * (values - values.detach())).abs().sum(1)

    # The edge moves with the values unless it is held where they began.
    problem = problem_of(smooth)
    edge = problem.leaves[0].detach().clone()
    kinked = replace(
        problem,
        score=lambda: (mask * (problem.leaves[0] - edge)).abs().sum(1) + smooth(problem.leaves[0]),
    )
    assert verdict_of(kinked) is Verdict.KINKS


def test_a_problem_may_allow_fewer_kinks_than_a_quarter() -> None:
    """One in eight is left out and counted, unless none is allowed."""
    problem = problem_of(smooth)
    leaf, edge = problem.leaves[0], problem.leaves[0].detach().clone()
    first = torch.zeros(NUM_ENVS, 1, dtype=torch.float64)
    first[0] = 1.0
    kinked = replace(
        problem, score=lambda: (first * (leaf - edge)).abs().sum(1) + smooth(leaf), guards=()
    )
    certificate = certify(kinked)
    assert certificate.is_certified
    assert certificate.rows[0].summary.num_kinks == 1
    strict = certify(replace(kinked, max_kink_share=0.1))
    assert strict.verdict is Verdict.KINKS
    assert guards_of(strict) == ["few_kinks"]


def test_a_score_without_effect_is_vacuous() -> None:
    """A gradient of zero agrees with no change, and proves nothing."""
    assert verdict_of(problem_of(lambda values: (0.0 * values).sum(1))) is Verdict.VACUOUS


def test_no_gradient_is_told_from_a_wrong_one() -> None:
    """A detached score; and one kind of parameter whose gradient is cut off among live ones."""
    assert verdict_of(problem_of(lambda values: smooth(values.detach()))) is Verdict.NO_GRADIENT
    live, dead = (torch.ones(2, 1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    problem = Problem(
        inputs={"live": [live], "dead": [dead]},
        cases=[Case("smooth", "live"), Case("smooth", "dead")],
        score=lambda: (live.square() * dead.detach()).sum(1),
        directions=[torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0], [1.0]])],
        step_sizes=(1e-3, 1e-4),
        tolerance=1e-6,
    )
    certificate = certify(problem)
    verdicts = {row.parameter: row.verdict for row in certificate.rows}
    assert verdicts == {"live": Verdict.RIGHT, "dead": Verdict.NO_GRADIENT}
    assert certificate.verdict is Verdict.NO_GRADIENT


def test_an_error_is_a_result_of_an_attempt() -> None:
    """With its first line; `certify` itself lets it through."""

    def refuse(loss: Tensor) -> None:
        raise SimulationError("Genesis: not supported\nat all")

    problem = problem_of(smooth, backward=refuse)
    certificate = attempt(problem)
    assert certificate.verdict is Verdict.REFUSED
    assert [failure.text for failure in certificate.failures] == ["Genesis: not supported"]
    assert certificate.rows[0].summary.num_directions == 0
    with pytest.raises(SimulationError):
        certify(problem)


def test_rollouts_that_were_elsewhere_prove_nothing() -> None:
    """Half of the steps at least must be what the case says."""
    shares = torch.full((NUM_ENVS,), 0.4)
    certificate = certify(problem_of(smooth, shares=lambda: shares))
    assert certificate.rows[0].verdict is Verdict.RIGHT
    assert certificate.verdict is Verdict.VACUOUS
    assert guards_of(certificate) == ["in_regime"]
    assert "smooth, by values over 1 steps: only 40 %" in certificate.failures[0].text
    assert certify(problem_of(smooth, shares=lambda: shares, min_share=0.3)).is_certified


def test_only_decisive_cases_decide() -> None:
    """Others are shown: of a regime where gradients need not be right."""
    factor = torch.ones(NUM_ENVS, 1)
    factor[-1] = 2.0
    cases = [Case("smooth", "values")] * (NUM_ENVS - 1) + [Case("rough", "values", False)]
    certificate = certify(problem_of(scaled_by(factor), cases=cases))
    assert [row.verdict for row in certificate.rows] == [Verdict.RIGHT, Verdict.WRONG]
    assert certificate.is_certified


def test_single_precision_is_held_against_double() -> None:
    """Differences in float32 are noise; against the gradient in float64 a millionth is right."""
    exact = certify(problem_of(smooth))
    rough = problem_of(smooth, dtype=torch.float32, tolerance=1e-4, guards=())
    assert not certify(rough).is_certified
    held = certify(rough, reference=exact)
    assert held.is_certified
    assert held.worst_relative_error < 1e-5
    wrong = certify(problem_of(scaled_by(torch.tensor(1.5))))
    both_wrong = problem_of(
        scaled_by(torch.tensor(1.5)), dtype=torch.float32, tolerance=1e-4, guards=()
    )
    agreed = certify(both_wrong, reference=wrong)
    assert agreed.verdict.is_good
    assert not agreed.is_reference_right
    assert not agreed.is_certified


RIGHT = DirectionalCheck(2.0, 2.0, 1e-9, 1e-5, 1e-8, is_kink=False)
ROW = CertificateRow("rolling", "actions", 10, (RIGHT, RIGHT))


def test_derivatives_of_another_precision_take_the_place_of_differences() -> None:
    """A row against a reference: 2.0 where 2.1 is right is off by 0.1 in 2.1."""
    exact = replace(ROW, checks=(RIGHT, replace(RIGHT, analytic_gradient=2.1)))
    errors = [check.relative_error for check in ROW.against(exact).checks]
    assert errors == pytest.approx([0.0, 0.1 / 2.1])


def test_a_precision_that_gives_nothing_is_no_traceback() -> None:
    """Refused or without a gradient there; nor do numbers whose squares are too large for one."""
    for defect in (Verdict.REFUSED, Verdict.NO_GRADIENT):
        held = Certificate((ROW,), reference=(replace(ROW, checks=(), defect=defect),))
        assert held.verdict is defect
        assert not held.is_certified
    huge = replace(ROW, checks=(replace(RIGHT, analytic_gradient=1e200),) * 2)
    assert [check.relative_error for check in ROW.against(huge).checks] == [1.0, 1.0]
    assert Certificate((huge,), reference=(huge,)).verdict is Verdict.RIGHT


def test_a_certificate_with_a_reference_adds_up_with_one_without() -> None:
    """Each row keeps its own judge."""
    noisy = replace(ROW, checks=(replace(RIGHT, relative_error=0.5),) * 2)
    held, plain = Certificate((noisy,), reference=(ROW,)), Certificate((ROW,))
    for both in (plain + held, held + plain):
        assert both.is_certified
        assert len(both.exact) == 1
    assert not (Certificate((noisy,)) + held).is_certified


def test_certificates_add_up() -> None:
    """Of several horizons; one bad row is enough, and none proves nothing."""
    wrong = replace(ROW, checks=(replace(RIGHT, relative_error=0.1),) * 2)
    assert Certificate().verdict is Verdict.VACUOUS
    assert (Certificate((ROW,)) + Certificate((ROW,))).is_certified
    assert (Certificate((ROW,)) + Certificate((wrong,))).verdict is Verdict.WRONG


def test_a_certificate_is_a_table_and_travels_between_processes() -> None:
    """Rows with keys for files; pickled as from the process of another precision."""
    certificate = certify(problem_of(smooth, horizon=7))
    (record,) = certificate.table().records()
    assert record["verdict"] == "right"
    assert (record["regime"], record["parameter"], record["horizon"]) == ("smooth", "values", 7)
    assert pickle.loads(pickle.dumps(certificate)) == certificate


@pytest.mark.parametrize("tolerance", [2.0, 1.0, 0.0, math.nan])
def test_a_tolerance_that_a_reversed_gradient_would_pass_is_refused(tolerance: float) -> None:
    """A gradient of zero is off by one, a reversed one by two."""
    with pytest.raises(ConfigError, match="proves nothing"):
        problem_of(smooth, tolerance=tolerance)
