"""The certificate of a soft body: right gradients pass, wrong ones are told apart."""

import math
from dataclasses import replace

import pytest
import torch
from diffcar.checks.soft_body_capabilities import _contacts, _costs, _readings, _row_of_check

from diffcar.base.errors import SimulationError
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing import problem as gradcheck
from diffcar.tasks.pushing.problem import READINGS, check_input

pytestmark = pytest.mark.genesis


def test_velocity_of_every_particle_is_right_through_a_fall(soft_body: GenesisSoftBody) -> None:
    """A body falls on a plane; the gradient by each particle's initial velocity is right."""
    check = check_input(soft_body, "initial velocity", 10, material="muscle")
    assert check.verdict == "right", check
    assert check.worst_relative_error <= 1e-5
    assert check.num_kinks == 0


def test_muscle_activation_is_right(soft_body: GenesisSoftBody) -> None:
    """Fibres contract at every step."""
    check = check_input(soft_body, "muscle activation", 10, material="muscle")
    assert check.verdict == "right", check
    assert check.worst_relative_error <= 1e-5


@pytest.mark.parametrize(
    ("corrupt", "verdict"),
    [
        (lambda gradient: 1.001 * gradient, "inexact"),
        (lambda gradient: torch.roll(gradient, 1, dims=1), "wrong"),
        (lambda gradient: gradient * math.nan, "not a number"),
        (lambda gradient: None, "no gradient"),
    ],
)
def test_a_corrupted_gradient_is_caught(
    soft_body: GenesisSoftBody,
    monkeypatch: pytest.MonkeyPatch,
    corrupt: object,
    verdict: str,
) -> None:
    """A thousandth too much, a shift by a step, not a number and nothing are told apart."""
    right = gradcheck._analytic_gradient

    def corrupted(*given: object) -> tuple:
        gradient, value = right(*given)
        return corrupt(gradient), value

    monkeypatch.setattr(gradcheck, "_analytic_gradient", corrupted)
    assert check_input(soft_body, "muscle activation", 3, material="muscle").verdict == verdict


def test_a_refusal_is_reported_with_its_text(
    soft_body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that raises ends in a record."""

    def refuse(loss: torch.Tensor) -> None:
        raise SimulationError("Genesis: not supported")

    monkeypatch.setattr(soft_body, "backward", refuse)
    check = check_input(soft_body, "tool velocity", 1)
    assert (check.verdict, check.detail) == ("refused", "Genesis: not supported")


def test_an_input_without_effect_is_vacuous(soft_body: GenesisSoftBody) -> None:
    """A tool far from the body moves nothing, which proves nothing."""
    check = check_input(soft_body, "tool velocity", 1, tool_offset=(-0.5, 0.0, 0.0))
    assert check.verdict == "vacuous"


def test_the_table_has_every_reading_and_contact(soft_body: GenesisSoftBody) -> None:
    """State fields are right, copies have no gradient, and a tool may begin inside the body."""
    rows = [*_readings(soft_body, "muscle"), *_contacts(soft_body, "muscle")]
    outcomes = {row.name: row.outcome for row in rows}
    assert [row.outcome for row in rows[: len(READINGS)]] == ["right"] * len(READINGS)
    assert outcomes["get_particles_pos()"] == "no gradient"
    assert outcomes["tool begins half inside the body"] == "right"
    check = check_input(soft_body, "muscle activation", 1, material="muscle")
    row = _row_of_check(replace(check, is_repaired=True))
    assert (row.kind, row.outcome, row.figure) == ("write", "right", check.worst_relative_error)
    assert all(row.figure > 0 for row in _costs(soft_body, "differentiable"))


def test_state_before_and_after_the_first_step(soft_body: GenesisSoftBody) -> None:
    """A read right after a reset shows the start; the tool then moves as commanded."""
    start = replace(
        soft_body.resting_start(),
        body_velocity=torch.tensor([0.1, 0.0, 0.0]).to(soft_body.zeros(1)).expand(4, 3),
    )
    soft_body.reset(start)
    before = soft_body.read()
    assert torch.allclose(before.velocity, start.body_velocity)
    assert torch.equal(before.tool_position, start.tool_position)
    away = torch.tensor([-0.5, 0.1, 0.0]).to(start.tool_position).expand(4, 3)
    soft_body.apply(away)
    soft_body.step()
    soft_body.step()
    moved = soft_body.read().tool_position - start.tool_position
    assert torch.allclose(moved, 2 * soft_body.dt * away)
    assert (soft_body.read().velocity[:, 2] < -0.05).all()
