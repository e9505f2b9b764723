"""Verdicts say what the figures of directions mean."""

import json
from dataclasses import replace

import pytest

from diffcar.gradients.slopes import DirectionalCheck, Verdict, summarise, verdict

RIGHT = DirectionalCheck(
    analytic_gradient=2.0,
    numeric_gradient=2.0,
    relative_error=1e-9,
    step_size=1e-5,
    uncertainty=1e-8,
    is_kink=False,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "right"),
        ({"relative_error": 3e-6, "uncertainty": 2e-6}, "right to plateau"),
        ({"relative_error": 3e-6}, "inexact"),
        ({"relative_error": 0.2}, "wrong"),
        ({"relative_error": 5e-5, "uncertainty": 3e-5}, "unresolved"),
        ({"relative_error": 3e-2, "uncertainty": 9e-3}, "wrong"),
        ({"analytic_gradient": float("nan")}, "not a number"),
        ({"analytic_gradient": float("nan"), "is_kink": True}, "not a number"),
        ({"is_kink": True}, "kinks"),
        ({"analytic_gradient": 0.0, "numeric_gradient": 1e-12}, "vacuous"),
        ({"numeric_gradient": 1e-12, "relative_error": 1.0}, "wrong"),
    ],
)
def test_verdict_says_what_the_figures_mean(changes: dict[str, float], expected: str) -> None:
    """Every word, from one odd direction in three, to a tolerance of a millionth."""
    assert verdict([RIGHT, RIGHT, replace(RIGHT, **changes)], 1e-6) == expected


def test_one_wrong_direction_among_many_is_enough() -> None:
    """No median hides it."""
    checks = [RIGHT] * 63 + [replace(RIGHT, relative_error=0.01)]
    assert verdict(checks, 1e-6) is Verdict.WRONG
    assert summarise(checks).worst_relative_error == 0.01


def test_a_difference_known_badly_neither_refutes_nor_confirms() -> None:
    """Not refute within three times what it is known to, not confirm beyond ten tolerances."""
    rough = replace(RIGHT, relative_error=8e-6, uncertainty=3e-6)
    assert verdict([RIGHT, RIGHT, rough], 1e-6) is Verdict.RIGHT_TO_PLATEAU
    assert verdict([RIGHT, RIGHT, replace(rough, relative_error=1e-5)], 1e-6) is Verdict.INEXACT
    rougher = replace(RIGHT, relative_error=2e-5, uncertainty=1e-5)
    assert verdict([RIGHT, RIGHT, rougher], 1e-6) is Verdict.UNRESOLVED


def test_a_verdict_is_its_text_and_explains_itself() -> None:
    """In files and f-strings; two are good; the order is from the best to the worst."""
    assert json.dumps([Verdict.RIGHT_TO_PLATEAU]) == '["right to plateau"]'
    assert f"{Verdict.WRONG}" == "wrong"
    assert [own for own in Verdict if own.is_good] == ["right", "right to plateau"]
    assert all(own.explanation for own in Verdict)
    assert Verdict.RIGHT.badness < Verdict.WRONG.badness < Verdict.NOT_A_NUMBER.badness


def test_a_quarter_of_flat_directions_proves_nothing() -> None:
    """One of four says nothing; one of five leaves enough to go by."""
    flat = replace(RIGHT, analytic_gradient=0.0, numeric_gradient=0.0, relative_error=0.0)
    assert verdict([RIGHT] * 3 + [flat], 1e-6) is Verdict.VACUOUS
    assert verdict([RIGHT] * 4 + [flat], 1e-6) is Verdict.RIGHT
