"""Proves the gradient of a function of one's own: a pendulum's last speed, by how it began."""

import torch

import diffcar
from diffcar.gradients.certificate import Case

generator = torch.Generator().manual_seed(0)
begin = torch.rand(8, 2, generator=generator, dtype=torch.float64).requires_grad_()


def last_speed() -> torch.Tensor:
    """Return how fast each of eight pendulums swings after a second, shape (8,)."""
    angle, speed = begin.unbind(-1)
    for _ in range(100):
        speed = speed - 0.01 * 9.81 * torch.sin(angle)
        angle = angle + 0.01 * speed
    return speed


problem = diffcar.Problem(
    inputs={"begin": [begin]},
    cases=[Case("swinging", "begin")] * len(begin),
    score=last_speed,
    directions=[torch.randn(8, 2, generator=generator, dtype=torch.float64)],
    step_sizes=[1e-2, 1e-3, 1e-4, 1e-5],
    tolerance=1e-6,
)
certificate = diffcar.certify(problem)
print(f"{certificate.verdict}, worst error {certificate.worst_relative_error:.1e}")
