"""The task of driving, as methods see it; on bicycles."""

import math
from dataclasses import replace

import torch

from diffcar.gradients.certificate import certify
from diffcar.gradients.hops import trace_hops
from diffcar.tasks.tracking.task import TrackingTask
from tests.bicycle import bicycle_scenes
from tests.training.small import config_of


def task_of(*overrides: str) -> TrackingTask:
    config = config_of("e2e", *overrides)
    return TrackingTask(config, scenes=bicycle_scenes(config)).build()


def test_what_is_certified_before_training_begins_with_the_weights() -> None:
    """They are what training changes, however few cars there are."""
    problem = task_of().problem(10)
    kinds = [case.parameter for case in problem.cases]
    assert kinds == ["network weights", "initial state", "actions", "network weights"]
    assert certify(problem).is_certified


def test_the_gradient_arrives_at_every_hop() -> None:
    """From the loss back to the weights."""
    task = task_of()
    hops = trace_hops(task.network, task.trace, task.backward)
    assert all(hop.requires_grad and (hop.gradient_norm or 0.0) > 0 for hop in hops)
    assert {"MLP output", "loss"} <= {hop.name for hop in hops}


def test_weights_with_which_no_car_gets_going_are_never_the_best() -> None:
    """However well they hold the path."""
    task = task_of()
    metrics = task.evaluate()
    assert task.score(replace(metrics, got_going=0.5)) == math.inf


def test_draws_depend_on_seed_and_update_alone() -> None:
    """So that a resumed run draws what it would have drawn."""
    one, other = task_of(), task_of()
    other.draw(3, None)
    assert torch.equal(one.draw(7, None).arc_length, other.draw(7, None).arc_length)
    assert not torch.equal(one.draw(7, None).arc_length, one.draw(8, None).arc_length)
