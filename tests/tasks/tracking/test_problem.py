"""What is certified about driving: right in every regime, and a corrupted reading is caught."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.gradients.certificate import certify
from diffcar.gradients.problem import Problem
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking.grip import read_grip
from diffcar.tasks.tracking.problem import LIMIT, PARAMETERS, tracking_problem

pytestmark = pytest.mark.genesis


@pytest.fixture
def line() -> ReferencePath:
    return load_path(PathConfig(source="line"))


def network(car: GenesisCar) -> TrackingMLP:
    return build_tracking_mlp(
        ControllerConfig(hidden_sizes=[16]), car.vehicle, dtype=car.dtype, seed=2
    )


def problem_of(car: GenesisCar, path: ReferencePath, regime: str, horizon: int) -> Problem:
    """Return the problem of one direction in each kind of parameter, and of another by actions."""
    labels = [(regime, parameter) for parameter in (*PARAMETERS, "actions")]
    return tracking_problem(car, network(car), path, labels, horizon=horizon, seed=1)


@pytest.mark.parametrize("actuation", ["torque", "pd"])
@pytest.mark.parametrize("regime", ["rolling", LIMIT, "sliding", "airborne"])
def test_the_gradient_is_right(
    differentiable_car: GenesisCar, line: ReferencePath, actuation: str, regime: str
) -> None:
    """All kinds of parameters, initial state included, over twenty steps, and every guard holds."""
    differentiable_car.actuation = actuation
    problem = replace(problem_of(differentiable_car, line, regime, 20), tolerance=1e-5)
    certificate = certify(problem)
    assert sorted(len(row.checks) for row in certificate.rows) == [1, 1, 2]
    assert {row.regime for row in certificate.rows} == {regime}
    assert all(row.regime_fraction > 0.5 for row in certificate.rows)
    assert all(row.is_decisive == (regime == "rolling") for row in certificate.rows)
    assert certificate.failures == ()
    assert certificate.is_certified
    assert (certificate.worst_relative_error or 0.0) <= 1e-5
    assert differentiable_car.variations == {}


def test_cars_at_the_limit_turn_with_nine_tenths_of_their_grip(
    differentiable_car: GenesisCar, line: ReferencePath
) -> None:
    """At 5 m/s, once they have begun to; the one that the untrained network drives does not."""
    differentiable_car.actuation = "torque"
    with torch.no_grad():
        problem_of(differentiable_car, line, LIMIT, 40).score()
    after = differentiable_car.read()
    grip = read_grip(differentiable_car.vehicle)
    wanted = 0.9 * float(np.interp(5.0, grip.speeds, grip.lateral))
    found = (after.speed * after.yaw_rate).abs()[[0, 1, 3]]
    assert found.tolist() == pytest.approx([wanted] * 3, rel=0.06)


class _Scaled(torch.autograd.Function):
    """The identity, with a gradient that is off by a thousandth."""

    @staticmethod
    def forward(context: object, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return 1.001 * gradient


def test_a_corrupted_gradient_is_caught(
    differentiable_car: GenesisCar, line: ReferencePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of a percent too much in every position that is read: wrong, by about that."""
    read = GenesisCar._read

    def tampered(car: GenesisCar) -> CarState:
        state = read(car)
        return replace(state, position=_Scaled.apply(state.position))

    monkeypatch.setattr(GenesisCar, "_read", tampered)
    differentiable_car.actuation = "torque"
    certificate = certify(problem_of(differentiable_car, line, "rolling", 10))
    assert certificate.verdict in ("inexact", "wrong")
    assert 1e-5 < (certificate.worst_relative_error or 0.0) < 1e-2
