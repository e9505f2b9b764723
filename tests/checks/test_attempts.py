"""The ways that people try end where they ended; those of today arrive."""

import pytest

from diffcar.checks.attempts import list_attempts, run_attempt
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.car import GenesisCar


def test_every_attempt_says_what_it_is_about() -> None:
    """A way to write an input or to read a result, by a field of its own; names are unique."""
    attempts = list_attempts(load_path(PathConfig(source="line")))
    kinds = {attempt.name: attempt.kind for attempt in attempts}
    assert len(kinds) == len(attempts) == 17
    assert kinds["gs.from_torch(tensor)"] == "write"
    assert kinds["rigid_solver.get_state().qpos"] == "read"
    assert [attempt.repairs for attempt in attempts[:2]] == [False] * 2


@pytest.mark.genesis
def test_attempts_report_what_happens(differentiable_car: GenesisCar) -> None:
    """The ways of the first report fail as reported; reading the solver's state does not."""
    differentiable_car.actuation = "torque"
    results = {
        attempt.name: run_attempt(differentiable_car, attempt, tolerance=1e-6)
        for attempt in list_attempts(load_path(PathConfig(source="line")))
        if attempt.repairs is not False
    }
    outcomes = {name: result.outcome for name, result in results.items()}
    assert outcomes["requires_grad=True and get_qpos()"] == "no gradient"
    assert outcomes["error state in torch from get_qpos()"] == "no gradient"
    assert outcomes["rigid_solver.get_qvel()"] == "error"
    assert "get_qvel" in results["rigid_solver.get_qvel()"].detail
    assert "from_torch" in results["gs.from_torch(tensor)"].detail
    right = [name for name, outcome in outcomes.items() if outcome == "right"]
    assert {"control_dofs_force", "set_pos", "set_quat (by yaw)", "set_dofs_velocity"} <= set(right)
    assert "one hand-over, control_dofs_position, diffcar's adjoint" in right
