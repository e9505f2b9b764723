"""What `check-grad` concludes from the rows of its certificate."""

import json
import math
from dataclasses import replace

import pytest

from diffcar.base.files import json_text
from diffcar.checks.car_result import CheckGradResult, car_report, labels_of
from diffcar.checks.config import CertificateConfig, CheckGradConfig, DirectionsConfig
from diffcar.gradients.certificate import Certificate, CertificateRow
from diffcar.gradients.guards import Failure
from diffcar.gradients.slopes import DirectionalCheck, Verdict
from diffcar.sim.model.read import load_vehicle
from diffcar.tasks.tracking.problem import PARAMETERS

RIGHT = DirectionalCheck(2.0, 2.0, 1e-9, 1e-5, 1e-8, is_kink=False)
WRONG = replace(RIGHT, analytic_gradient=2.2, relative_error=0.1)
ROW = CertificateRow("rolling", "actions", 10, (RIGHT,) * 4)


def result_of(*rows: CertificateRow, **certificate: object) -> CheckGradResult:
    horizons = sorted({row.horizon for row in rows})
    config = CheckGradConfig(model="car.xml", certificate=CertificateConfig(horizons=horizons))
    return CheckGradResult(config, "sphere", 1e-6, certificate=Certificate(rows, **certificate))


def test_right_rows_are_certified() -> None:
    """What the refusals below differ from; sliding cars have no say."""
    sliding = replace(ROW, regime="sliding", checks=(WRONG,), is_decisive=False)
    assert result_of(ROW, sliding).certified


FLAT = replace(RIGHT, analytic_gradient=0.0, numeric_gradient=0.0, relative_error=0.0)
REFUSED = {
    "one wrong direction": (replace(ROW, checks=(RIGHT, RIGHT, RIGHT, WRONG)),),
    "a kind that is dead": (
        ROW,
        replace(ROW, parameter="network weights", checks=(FLAT,)),
    ),
    "a loss that is not a number": (
        replace(ROW, checks=(RIGHT, RIGHT, RIGHT, replace(RIGHT, numeric_gradient=float("nan")))),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_certificate_is_refused(case: str) -> None:
    """One defect is enough, and there is a hint."""
    result = result_of(*REFUSED[case])
    assert not result.certified
    assert result.hint


def test_cars_that_did_not_roll_are_refused() -> None:
    """By the guard, and the hint says what may be wrong with the model."""
    elsewhere = Failure(Verdict.VACUOUS, "only 20 % of the steps were so", "in_regime")
    result = result_of(replace(ROW, regime_fraction=0.2), failures=(elsewhere,))
    assert not result.certified
    assert "stand on its wheels" in (result.hint or "")


def test_missing_horizons_and_failures_refuse() -> None:
    """What was not checked is not certified."""
    broken = result_of(ROW)
    broken.failures = ["100 steps: Genesis"]
    assert not broken.certified
    short = result_of(ROW)
    short.config.certificate.horizons.append(100)
    assert not short.certified


def test_two_precisions_that_agree_on_a_wrong_gradient_are_refused() -> None:
    """In float32 the gradient in float64 must be right by differences, too."""
    wrong = replace(ROW, checks=(WRONG,) * 4)
    assert not result_of(wrong, reference=(wrong,)).certified
    noisy = replace(ROW, checks=(replace(RIGHT, relative_error=0.5, uncertainty=0.5),) * 4)
    assert result_of(noisy, reference=(ROW,)).certified


def test_a_gradient_that_is_right_up_to_a_horizon_may_be_trained_over() -> None:
    """The hint says how far."""
    result = result_of(ROW, replace(ROW, horizon=100, checks=(WRONG,) * 4))
    assert result.certified_horizons == [10]
    assert "up to 10 steps it is right" in (result.hint or "")


def test_json_tells_verdicts_in_words() -> None:
    """Of each kind at each horizon, and of each row."""
    values = result_of(ROW).as_json()
    assert values["certified"] is True
    assert values["horizons"][0]["verdicts"] == {"actions": "right"}
    assert values["certificate"][0]["verdict"] == "right"
    assert len(values["certificate"][0]["directions"]) == 4


def test_what_was_read_of_a_car_is_told() -> None:
    """Mass, inertia and centre of mass, in JSON and in the table; a limit there is not is none."""
    vehicle = replace(load_vehicle(), max_wheel_speed=math.inf)
    result = result_of(ROW)
    result.vehicle = vehicle
    told = json.loads(json_text(result.as_json()))["vehicle"]
    assert told["mass_kg"] == pytest.approx(3.74)
    assert told["inertia_kgm2"] == pytest.approx(vehicle.inertia)
    assert told["centre_of_mass_m"] == pytest.approx(vehicle.centre_of_mass)
    assert told["max_wheel_speed_radps"] is None
    table = car_report(result)[0]
    shown = {row.heading: row.text(vehicle) for row in table.rows}
    assert shown["mass"] == "3.74"
    assert shown["inertia about x, y, z"] == "0.016, 0.0358, 0.047"
    assert result_of(ROW).as_json()["vehicle"] is None


def test_labels_repeat_every_kind_of_parameter() -> None:
    """Two rolling directions and an airborne one each are nine cars."""
    config = CertificateConfig(num_directions=DirectionsConfig(rolling=2, sliding=0, airborne=1))
    assert len(labels_of(config)) == 9
    assert {parameter for _, parameter in labels_of(config)} == set(PARAMETERS)
