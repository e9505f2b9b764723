"""The repair of the control tape: refused where Genesis has changed, caught where it is wrong."""

from types import SimpleNamespace

import pytest
import torch

from diffcar.base.errors import GradientError, SimulationError
from diffcar.sim.build import verify_actuation_gradient
from diffcar.sim.car import GenesisCar
from diffcar.sim.repairs import control_tape


@pytest.mark.genesis  # which takes longest to import
def test_an_entity_of_another_genesis_is_refused() -> None:
    """Without the attributes that the repair rests on there is an error that names them."""
    stranger = SimpleNamespace(solver=SimpleNamespace(dyn_state=None))
    with pytest.raises(SimulationError, match="ctrl_pos"):
        control_tape.repair_control_tape(stranger)


@pytest.mark.genesis
@pytest.mark.parametrize("actuation", ["torque", "pd"])
def test_start_up_check_accepts_the_right_gradient(
    differentiable_car: GenesisCar, actuation: str
) -> None:
    """The one-step finite difference agrees."""
    differentiable_car.actuation = actuation
    verify_actuation_gradient(differentiable_car)


@pytest.mark.genesis
def test_start_up_check_refuses_a_wrong_adjoint(
    differentiable_car: GenesisCar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adjoint three percent off, as another Genesis might hand out, stops the build."""
    right = control_tape._take_adjoint
    monkeypatch.setattr(control_tape, "_take_adjoint", lambda *given: 1.03 * right(*given))
    differentiable_car.actuation = "pd"
    with pytest.raises(GradientError, match="finite differences"):
        verify_actuation_gradient(differentiable_car)


@pytest.mark.genesis
def test_targets_held_over_steps_collect_the_gradient_of_all_of_them(
    differentiable_car: GenesisCar, rolling_start: object
) -> None:
    """A target written once and held for five steps has the gradient that differences show."""
    car = differentiable_car
    car.actuation = "pd"

    def turned(steering: torch.Tensor) -> torch.Tensor:
        car.reset(rolling_start())
        car.apply(torch.stack([steering, torch.full_like(steering, 2.0)], dim=-1))
        for _ in range(5):
            car.step()
        return car.read().yaw.sum()

    leaf = torch.full((4,), 0.1, dtype=torch.float64, requires_grad=True)
    turned(leaf).backward()
    step = 1e-4
    with torch.no_grad():
        numeric = (turned(leaf + step) - turned(leaf - step)) / (2 * step)
    assert float(leaf.grad.sum()) == pytest.approx(float(numeric), rel=1e-6)
