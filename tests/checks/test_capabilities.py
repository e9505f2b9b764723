"""One loop times rollouts and backward passes of anything."""

import math

import torch
from torch import Tensor

from diffcar.checks.attempts import Capability
from diffcar.checks.capabilities import _measure_costs


class Scene:
    """Counts its resets, steps and backward passes."""

    num_envs = 2

    def __init__(self, *, differentiable: bool) -> None:
        self.differentiable = differentiable
        self.calls: list[str] = []
        self.action = torch.empty(0)

    def tensor(self, values: list[float]) -> Tensor:
        return torch.tensor(values)

    def apply(self, action: Tensor) -> None:
        self.action = action

    def step(self) -> None:
        self.calls.append("step")

    def backward(self, loss: Tensor) -> None:
        self.calls.append("backward")
        loss.backward()


def costs_of(scene: Scene) -> list[Capability]:
    return list(
        _measure_costs(
            "toy",
            scene,
            reset=lambda: scene.calls.append("reset"),
            action=[1.0],
            num_steps=2,
            read=lambda: scene.action,
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
    assert scene.calls == ["reset", "step", "step", "backward"] * 4
    assert [row.name for row in costs_of(Scene(differentiable=False))] == ["plain forward"]


def test_a_figure_that_is_not_a_number_is_none() -> None:
    """JSON has no word for it."""
    assert Capability("toy", "read", "x", "refused", math.nan, "").figure is None
