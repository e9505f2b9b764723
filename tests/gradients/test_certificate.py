"""The certificate passes what is right, and catches what has been corrupted."""

from dataclasses import replace

import pytest
import torch
from diffcar.tasks.tracking.regimes import PARAMETERS
from torch import Tensor

from diffcar.checks.attempts import list_attempts, run_attempt
from diffcar.checks.car_result import CheckGradResult, labels_of
from diffcar.checks.config import CertificateConfig, DirectionsConfig
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.gradients.certificate import CertificateRow
from diffcar.gradients.slopes import STEP_SIZES, DirectionalCheck, summarise, verdict
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking.problem import Certifier, certify_scene

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
        ({"numeric_gradient": 1e-12}, "vacuous"),
    ],
)
def test_verdict_says_what_the_figures_mean(changes: dict[str, float], expected: str) -> None:
    """Every word, from one odd direction in three, to a tolerance of a millionth."""
    assert verdict([RIGHT, RIGHT, replace(RIGHT, **changes)], 1e-6) == expected


def test_one_wrong_direction_among_many_is_enough() -> None:
    """No median hides it."""
    checks = [RIGHT] * 63 + [replace(RIGHT, relative_error=0.01)]
    assert verdict(checks, 1e-6) == "wrong"
    assert summarise(checks).worst_relative_error == 0.01


def test_derivatives_of_another_precision_take_the_place_of_differences() -> None:
    """A row against a reference: 2.0 where 2.1 is right is off by 0.1 in 2.1."""
    row = CertificateRow("rolling", "actions", 10, (RIGHT, RIGHT), 1.0)
    exact = replace(row, checks=(RIGHT, replace(RIGHT, analytic_gradient=2.1)))
    judged = row.against(exact)
    errors = [check.relative_error for check in judged.checks]
    assert errors == pytest.approx([0.0, 0.1 / 2.1])


def result_of(rows: list[CertificateRow], **changes: object) -> CheckGradResult:
    return CheckGradResult(
        model="car.xml",
        wheel_shape="sphere",
        precision=64,
        actuation="torque",
        with_repairs=True,
        tolerance=1e-6,
        horizons=sorted({row.horizon for row in rows}),
        rows=rows,
        **changes,
    )


ROW = CertificateRow("rolling", "actions", 10, (RIGHT,) * 4, 1.0)
WRONG = replace(RIGHT, analytic_gradient=2.2, relative_error=0.1)
REFUSED_CERTIFICATES = {
    "one wrong direction": [replace(ROW, checks=(RIGHT, RIGHT, RIGHT, WRONG))],
    "a kind that is dead": [
        ROW,
        replace(ROW, parameter="network weights", checks=(replace(RIGHT, numeric_gradient=0.0),)),
    ],
    "cars that did not roll": [replace(ROW, regime_fraction=0.2)],
    "a loss that is not a number": [
        replace(ROW, checks=(RIGHT, RIGHT, RIGHT, replace(RIGHT, numeric_gradient=float("nan"))))
    ],
}


def test_right_rows_are_certified() -> None:
    """What the refusals below differ from; sliding cars have no say."""
    sliding = replace(ROW, regime="sliding", checks=(WRONG,))
    assert result_of([ROW, sliding]).certified


@pytest.mark.parametrize("case", REFUSED_CERTIFICATES)
def test_certificate_is_refused(case: str) -> None:
    """One defect is enough, and there is a hint."""
    result = result_of(REFUSED_CERTIFICATES[case])
    assert not result.certified
    assert result.hint


def test_missing_horizons_and_failures_refuse() -> None:
    """What was not checked is not certified."""
    assert not result_of([ROW], failures=["100 steps: Genesis"]).certified
    short = result_of([ROW])
    short.horizons = [10, 100]
    assert not short.certified


def test_two_precisions_that_agree_on_a_wrong_gradient_are_refused() -> None:
    """In float32 the gradient in float64 must be right by differences, too."""
    wrong = replace(ROW, checks=(WRONG,) * 4)
    assert not result_of([wrong], reference=[wrong]).certified
    noisy = replace(ROW, checks=(replace(RIGHT, relative_error=0.5, uncertainty=0.5),) * 4)
    assert result_of([noisy], reference=[ROW]).certified


def test_labels_repeat_every_kind_of_parameter() -> None:
    """Two rolling directions each are six cars."""
    config = CertificateConfig(num_directions=DirectionsConfig(rolling=2, sliding=0, airborne=1))
    assert len(labels_of(config)) == 9
    assert {parameter for _, parameter in labels_of(config)} == set(PARAMETERS)


@pytest.fixture
def line() -> ReferencePath:
    return load_path(PathConfig(source="line"))


def certifier(car: GenesisCar, path: ReferencePath, *labels: tuple[str, str]) -> Certifier:
    return Certifier(
        car,
        network(car, path),
        path,
        labels,
        max_horizon=20,
        step_sizes=STEP_SIZES[car.dtype],
        seed=1,
    )


def network(car: GenesisCar, path: ReferencePath) -> TrackingMLP:
    return build_tracking_mlp(
        ControllerConfig(hidden_sizes=[16]), path, car.vehicle, dtype=car.dtype, seed=2
    )


@pytest.mark.genesis
@pytest.mark.parametrize("actuation", ["torque", "pd"])
@pytest.mark.parametrize("regime", ["rolling", "sliding", "airborne"])
def test_certificate_is_right(
    differentiable_car: GenesisCar, line: ReferencePath, actuation: str, regime: str
) -> None:
    """All kinds of parameters, initial state included, over twenty steps."""
    car = differentiable_car
    car.actuation = actuation
    labels = [(regime, parameter) for parameter in (*PARAMETERS, "actions")]
    rows = list(certifier(car, line, *labels).certify(20))
    car.friction_ratio = None
    assert sorted(len(row.checks) for row in rows) == [1, 1, 2]
    assert {row.regime for row in rows} == {regime}
    assert all(row.regime_fraction > 0.5 for row in rows)
    for row in rows:
        assert verdict(row.checks, 1e-5).startswith("right"), row
        assert summarise(row.checks).worst_relative_error <= 1e-5


@pytest.mark.genesis
def test_corrupted_gradient_is_caught(
    differentiable_car: GenesisCar, line: ReferencePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of a percent too much in every position that is read: wrong, by about that."""
    read = GenesisCar._read

    def tampered(car: GenesisCar) -> CarState:
        state = read(car)
        return replace(state, position=_Scaled.apply(state.position))

    monkeypatch.setattr(GenesisCar, "_read", tampered)
    differentiable_car.actuation = "torque"
    labels = [("rolling", parameter) for parameter in (*PARAMETERS, "actions")]
    rows = list(certifier(differentiable_car, line, *labels).certify(10))
    differentiable_car.friction_ratio = None
    checks = [check for row in rows for check in row.checks]
    assert any(verdict(row.checks, 1e-6) in ("inexact", "wrong") for row in rows)
    assert not result_of(rows).certified
    assert 1e-5 < summarise(checks).worst_relative_error < 1e-2


class _Scaled(torch.autograd.Function):
    """The identity, with a gradient that is off by a thousandth."""

    @staticmethod
    def forward(context: object, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return 1.001 * gradient


@pytest.mark.genesis
def test_guards_hold(differentiable_car: GenesisCar, line: ReferencePath) -> None:
    """Rollouts repeat themselves, gradients too, and the future has no say."""
    differentiable_car.actuation = "torque"
    labels = [("rolling", parameter) for parameter in (*PARAMETERS, "actions")]
    assert certifier(differentiable_car, line, *labels).guards(5) == []
    differentiable_car.friction_ratio = None


@pytest.mark.genesis
def test_short_certificate_leaves_the_scene_as_it_was(
    differentiable_car: GenesisCar, figure_eight: ReferencePath
) -> None:
    """What runs before training, on the path that is trained on."""
    car = differentiable_car
    car.actuation = "torque"
    checks = certify_scene(car, network(car, figure_eight), figure_eight, horizon=10)
    assert len(checks) == car.num_envs
    assert verdict(checks, 1e-5).startswith("right")
    assert car.friction_ratio is None


@pytest.mark.genesis
def test_attempts_report_what_happens(differentiable_car: GenesisCar, line: ReferencePath) -> None:
    """The ways of the first report end where they ended; those of today arrive."""
    differentiable_car.actuation = "torque"
    results = {
        attempt.name: run_attempt(differentiable_car, attempt, tolerance=1e-6)
        for attempt in list_attempts(line)
        if attempt.with_repairs
    }
    outcomes = {name: result.outcome for name, result in results.items()}
    assert outcomes["requires_grad=True and get_qpos()"] == "no gradient"
    assert outcomes["error state in torch from get_qpos()"] == "no gradient"
    assert outcomes["rigid_solver.get_qvel()"] == "error"
    assert "get_qvel" in (results["rigid_solver.get_qvel()"].error or "")
    assert "from_torch" in (results["gs.from_torch(tensor)"].error or "")
    right = [name for name, outcome in outcomes.items() if outcome == "right"]
    assert {"control_dofs_force", "set_pos", "set_quat (by yaw)", "set_dofs_velocity"} <= set(right)
    assert "one hand-over, control_dofs_position, diffcar's adjoint" in right
