"""The check of a soft body: right gradients pass, and wrong ones are told apart."""

import math

import pytest
import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.checks.capabilities import _body_contacts, _body_costs, _readings
from diffcar.checks.soft_body import CheckSoftBodyResult, SoftBodyCheck
from diffcar.gradients.certificate import Certificate, CertificateRow, attempt
from diffcar.gradients.slopes import DirectionalCheck
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing.problem import READINGS, input_problem


def certificate_of(body: GenesisSoftBody, name: str, horizon: int, **how: object) -> Certificate:
    return attempt(input_problem(body, name, horizon, **how))


def check_of(material: str, error: float, *, is_repaired: bool = True) -> SoftBodyCheck:
    direction = DirectionalCheck(2.0, 2.0, error, 1e-5, 1e-8, is_kink=False)
    row = CertificateRow(material, "tool velocity", 5, (direction,) * 4, tolerance=1e-5)
    return SoftBodyCheck(Certificate((row,)), is_repaired)


def test_repaired_materials_that_are_trained_decide() -> None:
    """Neither Genesis as it comes nor its noisy material has a say; without a check none does."""
    right = check_of("elastic", 1e-8)
    others = [
        check_of("elastic", 0.1, is_repaired=False),
        check_of("corotated", 0.1),
    ]
    assert CheckSoftBodyResult(1e-5, [right, *others]).certificate.is_certified
    assert not CheckSoftBodyResult(1e-5, others).certificate.is_certified
    assert not CheckSoftBodyResult(1e-5, [right, check_of("muscle", 2e-5)]).certificate.is_certified


@pytest.mark.genesis
@pytest.mark.parametrize("name", ["initial velocity", "muscle activation"])
def test_inputs_of_the_body_are_right(soft_body: GenesisSoftBody, name: str) -> None:
    """A body falls on a plane, each particle's velocity given; fibres contract at every step."""
    check = certificate_of(soft_body, name, 10, material="muscle")
    assert check.verdict == "right", check
    assert check.summary.worst_relative_error <= 1e-5
    assert check.summary.num_kinks == 0


class _Corrupted(torch.autograd.Function):
    """The identity, with a gradient that a function changes."""

    @staticmethod
    def forward(context: object, value: Tensor, change: object) -> Tensor:
        context.change = change
        return value.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> tuple[Tensor, None]:
        return context.change(gradient), None


@pytest.mark.genesis
@pytest.mark.parametrize(
    ("corrupt", "verdict"),
    [
        (lambda gradient: 1.001 * gradient, "inexact"),
        (lambda gradient: -gradient, "wrong"),
        (lambda gradient: gradient * math.nan, "not a number"),
    ],
)
def test_a_corrupted_gradient_is_caught(
    soft_body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch, corrupt: object, verdict: str
) -> None:
    """A thousandth too much, a reversal and not a number are told apart."""
    actuate = soft_body.actuate
    monkeypatch.setattr(
        soft_body, "actuate", lambda activation: actuate(_Corrupted.apply(activation, corrupt))
    )
    assert certificate_of(soft_body, "muscle activation", 3, material="muscle").verdict == verdict


@pytest.mark.genesis
def test_a_missing_gradient_is_told(
    soft_body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Activations that are cut off arrive as none."""
    actuate = soft_body.actuate
    monkeypatch.setattr(soft_body, "actuate", lambda activation: actuate(activation.detach()))
    check = certificate_of(soft_body, "muscle activation", 3, material="muscle")
    assert (check.verdict, check.summary.num_directions) == ("no gradient", 0)


@pytest.mark.genesis
def test_a_refusal_is_reported_with_its_text(
    soft_body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that raises ends in a record."""

    def refuse(loss: torch.Tensor) -> None:
        raise SimulationError("Genesis: not supported")

    monkeypatch.setattr(soft_body, "backward", refuse)
    check = certificate_of(soft_body, "tool velocity", 1)
    assert (check.verdict, check.told) == (
        "refused",
        "Genesis: not supported",
    )


@pytest.mark.genesis
def test_an_input_without_effect_is_vacuous(soft_body: GenesisSoftBody) -> None:
    """A tool far from the body moves nothing, which proves nothing."""
    check = certificate_of(soft_body, "tool velocity", 1, tool_offset=(-0.5, 0.0, 0.0))
    assert check.verdict == "vacuous"


@pytest.mark.genesis
def test_the_table_has_every_reading_and_contact(soft_body: GenesisSoftBody) -> None:
    """State fields are right, copies have no gradient, and a tool may begin inside the body."""
    rows = [*_readings(soft_body, "muscle"), *_body_contacts(soft_body, "muscle")]
    outcomes = {row.name: row.outcome for row in rows}
    assert [row.outcome for row in rows[: len(READINGS)]] == ["right"] * len(READINGS)
    assert outcomes["get_particles_pos()"] == "no gradient"
    assert outcomes["tool begins half inside the body"] == "right"
    assert all(row.figure > 0 for row in _body_costs(soft_body))
