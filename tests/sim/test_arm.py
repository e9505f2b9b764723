"""The Franka: exact gradients by torques and targets, and what it takes to notice a wrong one."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffcar.base.config import load_config
from diffcar.checks.arm import FrankaTestResult, probe_reads
from diffcar.gradients.certificate import Certificate, certify
from diffcar.gradients.hops import trace_hops
from diffcar.sim.arm import ON_GROUND, GenesisArm
from diffcar.sim.build import build_scene
from diffcar.tasks.reaching.config import FrankaTestConfig, TorqueGradientConfig
from diffcar.tasks.reaching.controller import ReachingMLP
from diffcar.tasks.reaching.problem import reaching_problem, torque_problem
from diffcar.tasks.reaching.rollout import draw_targets, reach
from diffcar.tasks.reaching.task import ReachingTask, ReachMetrics
from diffcar.training.backprop import Backprop
from diffcar.training.run import TrainingResult

pytestmark = pytest.mark.genesis

CONFIG = load_config(
    FrankaTestConfig,
    overrides=["num_envs=4", "train.num_updates=10", "train.horizon=25", "reach.hidden_sizes=[16]"],
)
SHORT = TorqueGradientConfig(horizon=20)


@pytest.fixture(scope="module")
def arm() -> GenesisArm:
    """Four differentiable arms in free space."""
    return build_scene(CONFIG, num_envs=4, differentiable=True)


@pytest.fixture(scope="module")
def grounded_arm() -> GenesisArm:
    """Four differentiable arms above the ground."""
    return build_scene(CONFIG, num_envs=4, differentiable=True, with_ground=True)


@pytest.fixture(scope="module")
def plain_arm() -> GenesisArm:
    """Four plain arms."""
    return build_scene(CONFIG, num_envs=4, differentiable=False)


def controller_of(arm: GenesisArm) -> ReachingMLP:
    return ReachingMLP(CONFIG.reach, arm, seed=3)


def certificate_of(arm: GenesisArm, start: Tensor, **changes: float) -> Certificate:
    return certify(torque_problem(arm, start, SHORT, case="a case", seed=0, **changes))


def test_torque_gradients_are_exact_in_free_space(arm: GenesisArm) -> None:
    """Every direction agrees with central differences to 1e-5, none at a kink, none in contact."""
    certificate = certificate_of(arm, arm.home)
    assert certificate.is_certified
    assert certificate.worst_relative_error <= 1e-5
    (row,) = certificate.rows
    assert (row.summary.num_kinks, row.regime_fraction) == (0, 0.0)


def test_torque_gradients_are_exact_while_the_hand_presses_on_the_ground(
    grounded_arm: GenesisArm,
) -> None:
    """The same with the ground's forces in every environment and step."""
    certificate = certificate_of(grounded_arm, grounded_arm.tensor(ON_GROUND))
    assert certificate.is_certified
    assert certificate.worst_relative_error <= 1e-5
    assert certificate.rows[0].regime_fraction == 1.0


def test_a_ground_case_without_contact_is_not_certified(grounded_arm: GenesisArm) -> None:
    """Exact gradients of an arm in the air prove nothing about contact."""
    certificate = certificate_of(grounded_arm, grounded_arm.home, min_contact_fraction=0.5)
    assert certificate.worst_relative_error <= 1e-5
    assert not certificate.is_certified


def test_a_gradient_off_by_a_thousandth_is_caught(
    arm: GenesisArm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The torques are the same, their derivative is 0.1 % too large."""
    right = arm.apply_torques

    def apply_with_wrong_derivative(torques: Tensor) -> None:
        right(torques + 1e-3 * (torques - torques.detach()))

    monkeypatch.setattr(arm, "apply_torques", apply_with_wrong_derivative)
    certificate = certificate_of(arm, arm.home)
    assert not certificate.is_certified
    assert certificate.worst_relative_error == pytest.approx(1e-3, rel=0.1)


def test_gradients_by_network_weights_are_exact_through_position_servos(arm: GenesisArm) -> None:
    """The closed loop that training differentiates: network, servos and physics, every guard."""
    target = draw_targets(controller_of(arm).target_box, arm.num_envs, seed=1)
    certificate = certify(reaching_problem(arm, controller_of(arm), target, horizon=10))
    assert certificate.is_certified
    assert certificate.rows[0].summary.num_kinks == 0
    assert (certificate.worst_relative_error or 0.0) <= 1e-5


def test_each_way_to_read_a_state_is_reported_as_it_is(arm: GenesisArm) -> None:
    """The report's three lines as they were, and the solver's state with a gradient."""
    probes = {probe.expression: probe for probe in probe_reads(arm)}
    assert probes["franka.get_qpos()"].requires_grad is False
    assert probes["franka.get_dofs_velocity()"].requires_grad is False
    assert "no attribute 'get_qvel'" in (probes["rigid_solver.get_qvel()"].error or "")
    for name in ("qpos", "dofs_vel", "links_pos"):
        probe = probes[f"rigid_solver.get_state().{name}"]
        assert probe.requires_grad
        assert probe.grad_fn != "none"
        assert (probe.gradient_norm or 0.0) > 0


def test_plain_and_differentiable_arms_move_alike(arm: GenesisArm, plain_arm: GenesisArm) -> None:
    """What is learnt in one physics holds in the other: hands within 10 µm after 0.5 s."""
    target = draw_targets(controller_of(arm).target_box, 4, seed=2)
    with torch.no_grad():
        hands = [
            reach(scene, controller_of(scene), target, 25).hand_position[-1]
            for scene in (arm, plain_arm)
        ]
    assert torch.dist(hands[0], hands[1]) < 1e-5


def test_resuming_goes_on_as_if_nothing_had_happened(arm: GenesisArm) -> None:
    """Ten steps at once end where five and five more do."""
    targets = arm.home.expand(4, 7) + 0.2
    with torch.no_grad():
        arm.reset(arm.home)
        for step in range(10):
            if step == 5:
                middle = arm.read()
            arm.apply_targets(targets)
            arm.step()
        once = arm.read().qpos
        arm.resume(middle)
        for _ in range(5):
            arm.apply_targets(targets)
            arm.step()
    assert torch.allclose(arm.read().qpos, once, atol=1e-9)


def test_the_gradient_arrives_at_every_hop(arm: GenesisArm) -> None:
    """From the loss back to the first layer's weights."""
    task = ReachingTask(CONFIG, scenes=arm).build()
    hops = trace_hops(task.network, task.trace, task.backward)
    assert {"MLP output", "command: joint targets", "state: qpos", "hand position", "loss"} <= {
        hop.name for hop in hops
    }
    assert all(hop.requires_grad and (hop.gradient_norm or 0.0) > 0 for hop in hops)


def test_ten_updates_bring_the_hand_much_nearer(arm: GenesisArm) -> None:
    """The loss falls to a third and the record says so update by update."""
    steps = list(Backprop(ReachingTask(CONFIG, scenes=arm).build()).train())
    assert [step.iteration for step in steps] == list(range(1, 11))
    assert not any(step.is_skipped for step in steps)
    assert steps[-1].loss < steps[0].loss / 3


def test_a_hand_that_stays_away_is_a_negative_verdict() -> None:
    """The command's exit code hangs on the mean distance, and on the gradients."""
    result = FrankaTestResult(CONFIG, TrainingResult(Path("run")))
    assert not result.is_reached
    result.trained.after = ReachMetrics(num_targets=4, mean_m=0.011, p95_m=0.02, max_m=0.03)
    assert not result.is_reached
    result.trained.after = ReachMetrics(num_targets=4, mean_m=0.009, p95_m=0.02, max_m=0.03)
    assert result.is_reached
