"""What generalised coordinates mean for a car."""

from types import SimpleNamespace

import torch

from diffcar.sim.rolling import RollingCar
from tests import plain
from tests.samples import seeded

CAR = SimpleNamespace(steering_dofs=[6, 7], driven_dofs=[10, 11])


def test_a_state_is_that_of_the_plain_formula() -> None:
    """Values and gradients, of cars that lie on any side, with quaternions of any length."""
    qpos = torch.randn(8, 13, generator=seeded(), dtype=torch.float64).requires_grad_()
    velocity = torch.randn(8, 12, generator=seeded(1), dtype=torch.float64).requires_grad_()
    weights = torch.randn(7, generator=seeded(2), dtype=torch.float64)

    def fused(q: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(vars(RollingCar.describe(CAR, q, v)).values())[:7]

    found, expected = fused(qpos, velocity), plain.describe(qpos, velocity)
    for own, other in zip(found, expected, strict=True):
        assert torch.allclose(own, other, rtol=1e-12, atol=1e-12)
    totals = [
        sum(w * (v * v).sum() for w, v in zip(weights, values, strict=True))
        for values in (found, expected)
    ]
    gradients = [torch.autograd.grad(total, (qpos, velocity)) for total in totals]
    for own, other in zip(*gradients, strict=True):
        assert torch.allclose(own, other, atol=1e-9)
    assert torch.autograd.gradcheck(fused, (qpos, velocity))


def test_every_driven_wheel_is_reported() -> None:
    """As many as are driven."""
    car = SimpleNamespace(steering_dofs=[6, 7], driven_dofs=[8, 9, 10, 11])
    qpos, velocity = torch.zeros(2, 13), torch.arange(24.0).reshape(2, 12).requires_grad_()
    spins = RollingCar.describe(car, qpos, velocity).wheel_speeds
    assert torch.equal(spins, velocity[:, 8:])
    assert torch.equal(
        torch.autograd.grad(spins.sum(), velocity)[0].sum(0)[8:], torch.full((4,), 2.0)
    )
