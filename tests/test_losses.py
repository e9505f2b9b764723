"""Loss terms against hand-worked values, and what every loss has for nothing."""

import dataclasses
import math
from typing import Any

import pytest
import torch

from diffcar.losses import PushingLoss, ReachingLoss, TrackingLoss, Weight, pseudo_huber
from tests.samples import VEHICLE, push_of, reach_of, trajectory_of


def test_terms_are_weighted_means() -> None:
    """Heading 0.1 and speed -0.5 everywhere give 2 · 0.01 and 3 · 0.25; zero weights nothing."""
    weights = TrackingLoss(cross_track=0, heading=2, speed=3, smoothness=0)
    terms = weights.costs(trajectory_of([1.0, 1.0]))
    assert terms.keys() == {"heading", "speed"}
    assert float(terms["heading"]) == pytest.approx(0.02)
    assert float(terms["speed"]) == pytest.approx(0.75)


def test_cross_track_is_squared_near_the_path_and_linear_far_from_it() -> None:
    """The pseudo-Huber cost: e² for small e, about 2 s |e| for large."""
    assert float(pseudo_huber(torch.tensor(1e-3, dtype=torch.float64), 0.02)) == pytest.approx(
        1e-6, rel=1e-3
    )
    assert float(pseudo_huber(torch.tensor(-2.0, dtype=torch.float64), 0.02)) == pytest.approx(
        2 * 0.02 * 2.0, rel=2e-2
    )


def test_smoothness_and_effort_use_normalised_actions() -> None:
    """Full lock is one: from 0 to full lock in one step costs 1, averaged over one change."""
    weights = TrackingLoss(cross_track=0, heading=0, speed=0, smoothness=1, effort=1)
    terms = weights.costs(trajectory_of([0, 0], steering=[0.0, VEHICLE.max_steering]))
    assert float(terms["smoothness"]) == pytest.approx(1.0)
    assert float(terms["effort"]) == pytest.approx(0.5)


def test_time_indexed_term_is_the_distance_to_where_the_car_should_be() -> None:
    """The report's loss: the car stands at the origin while the reference moves at 3 m/s."""
    driven = trajectory_of([0, 0])
    expected = torch.tensor([0.3, 0.6], dtype=torch.float64)
    assert torch.allclose(driven.timed_position[:, 0, 0], expected)
    assert torch.allclose(driven.end.timed_arc_length, expected[-1:])
    weights = TrackingLoss(cross_track=0, heading=0, speed=0, smoothness=0, time_indexed=1)
    terms = weights.costs(driven)
    assert float(terms["time_indexed"]) == pytest.approx((0.09 + 0.36) / 2)


def test_late_steps_of_a_reach_count_more() -> None:
    """Weights 1/2 and 1 over their mean 3/4: 2/3 of the first step and 4/3 of the second."""
    weights = ReachingLoss(distance=1, distance_scale=1e3, late_power=1, velocity=0, smoothness=0)
    terms = weights.costs(reach_of(3.0, 0.0))
    assert terms.keys() == {"distance"}
    assert float(terms["distance"]) == pytest.approx(9 * (2 / 3) / 2, rel=1e-5)
    terms = weights.costs(reach_of(0.0, 3.0))
    assert float(terms["distance"]) == pytest.approx(9 * (4 / 3) / 2, rel=1e-5)


def test_terms_of_a_reach_are_weighted_means() -> None:
    """Seven joints at 1 rad/s cost 7, seven outputs that change by one cost 7 a change."""
    weights = ReachingLoss(distance=1, velocity=2, smoothness=3)
    terms = weights.costs(reach_of(0.0, 0.0, 0.0))
    assert float(terms["distance"]) == 0
    assert float(terms["velocity"]) == pytest.approx(14)
    assert float(terms["smoothness"]) == pytest.approx(21)


def test_distance_far_away_costs_linearly_and_its_gradient_is_finite_at_the_target() -> None:
    """About 2 s d beyond the scale; exactly at the target the derivative is zero, not NaN."""
    weights = ReachingLoss(distance=1, distance_scale=0.02, velocity=0, smoothness=0)
    far = weights.costs(reach_of(2.0))["distance"]
    assert float(far) == pytest.approx(2 * 0.02 * 2.0, rel=2e-2)
    there = reach_of(0.0)
    there.hand_position.requires_grad_()
    weights.costs(there)["distance"].backward()
    assert torch.equal(there.hand_position.grad, torch.zeros(1, 1, 3, dtype=torch.float64))


def test_loss_terms_are_those_worked_by_hand() -> None:
    """A cross-track error of three scales, 2 cm behind, one change of (0.3, 0.4)."""
    weights = PushingLoss(cross_track_scale=0.01)
    terms = weights.costs(push_of(0.03, behind=0.02))
    expected = {
        "cross_track": weights.cross_track * 2e-4 * (math.sqrt(10) - 1),
        "progress": weights.progress * 4e-4,
        "smoothness": weights.smoothness * 0.25,
    }
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected)
    assert "progress" not in PushingLoss(progress=0.0).costs(push_of(0, 0))


class OwnLoss(TrackingLoss):
    """A loss with a term and a scale of somebody's own."""

    steering: Weight = 0.5
    """On the squared steering angle."""
    steering_scale: float = 2.0
    """No term."""

    def steering_cost(self, driven: Any) -> torch.Tensor:
        return self.steering * (driven.action[..., 0] / self.steering_scale).square().mean(0)


def test_a_term_is_a_weight_and_its_formula() -> None:
    """Named, counted and added up with the others, in the order of the fields."""
    names = ["cross_track", "heading", "speed", "effort", "smoothness", "time_indexed"]
    assert TrackingLoss.term_names() == names
    assert OwnLoss.term_names() == [*names, "steering"]
    costs = OwnLoss(heading=0).costs(trajectory_of([0.1, 0.1], steering=[0.4, 0.4]))
    assert list(costs) == ["cross_track", "speed", "smoothness", "steering"]
    assert costs.floats()["steering"] == pytest.approx(0.5 * 0.04)
    assert float(costs.total) == pytest.approx(sum(costs.floats().values()))
    assert torch.equal(costs.per_environment, sum(costs.values()))


def test_a_weight_without_its_formula_is_refused() -> None:
    """When the class is made, not when somebody gives it a weight."""
    with pytest.raises(TypeError, match=r"Bad\.bumps is a weight, so there must be a bumps_cost"):

        class Bad(TrackingLoss):
            bumps: Weight = 0.0


def test_every_term_is_weighed_linearly_in_every_loss() -> None:
    """Twice the weight costs twice as much, and nothing else changes."""
    records = {
        TrackingLoss: trajectory_of([0.1, 0.3], steering=[0.1, 0.3]),
        ReachingLoss: reach_of(0.4, 0.3),
        PushingLoss: push_of(0.03, behind=0.02),
    }
    for kind, record in records.items():
        ones = dict.fromkeys(kind.term_names(), 1.0)
        single = kind(**ones).costs(record)
        assert list(single) == kind.term_names()
        for name in ones:
            double = kind(**{**ones, name: 2.0}).costs(record)
            for other, cost in double.items():
                factor = 2 if other == name else 1
                assert torch.allclose(cost, factor * single[other]), (kind, name, other)
                assert float(single[other].mean()) > 0


def test_a_single_step_has_no_change_but_that_from_the_step_before() -> None:
    """As PPO's environment records it: the action before is known."""
    loss = TrackingLoss(cross_track=0, heading=0, speed=0, smoothness=1)
    alone = trajectory_of([0.0], steering=[VEHICLE.max_steering])
    assert float(loss.costs(alone).total) == 0.0
    known = dataclasses.replace(alone, output_before=torch.zeros(1, 2, dtype=torch.float64))
    assert float(loss.costs(known).total) == pytest.approx(1.0)
