"""One loop times rollouts and backward passes of anything."""

import math

import torch
from torch import Tensor

from diffcar.gradients.capabilities import Capability, measure_costs


class Scene:
    """Counts its resets and backward passes."""

    def __init__(self, *, differentiable: bool) -> None:
        self.differentiable = differentiable
        self.calls: list[str] = []

    def backward(self, loss: Tensor) -> None:
        self.calls.append("backward")
        loss.backward()


def costs_of(scene: Scene) -> list[Capability]:
    def roll_out() -> Tensor:
        scene.calls.append("forward")
        return torch.ones(2, requires_grad=True).sum()

    return list(
        measure_costs(
            "toy",
            scene,
            reset=lambda: scene.calls.append("reset"),
            roll_out=roll_out,
            num_steps=5,
            detail="two numbers",
        )
    )


def test_a_differentiable_scene_has_two_costs_and_a_plain_one_has_one() -> None:
    """In milliseconds a step, the first repetition left out, each from a reset."""
    scene = Scene(differentiable=True)
    rows = costs_of(scene)
    assert [row.name for row in rows] == ["differentiable forward", "differentiable backward"]
    assert all(row.figure is not None and row.figure > 0 for row in rows)
    assert {(row.kind, row.outcome) for row in rows} == {("cost", "ms a step")}
    assert scene.calls == ["reset", "forward", "backward"] * 4
    assert [row.name for row in costs_of(Scene(differentiable=False))] == ["plain forward"]


def test_a_figure_that_is_not_a_number_is_none() -> None:
    """JSON has no word for it."""
    assert Capability("toy", "read", "x", "refused", math.nan, "").figure is None
