"""Certifies the gradient of any function of tensors: here of pendulums in plain torch."""

from dataclasses import replace

import torch

import diffcar
from diffcar.gradients.finite_differences import random_directions
from diffcar.gradients.problem import Case

NUM_PENDULUMS, NUM_STEPS, DT = 16, 100, 0.02
generator = torch.Generator().manual_seed(0)
torques = torch.randn(NUM_PENDULUMS, NUM_STEPS, generator=generator, dtype=torch.float64)
torques.requires_grad_()


def swing(*, is_cut: bool = False) -> torch.Tensor:
    """Return how far each pendulum ends from where it should be, squared [rad²]."""
    angle = speed = torch.zeros(NUM_PENDULUMS, dtype=torch.float64)
    for torque in torques.unbind(1):
        pull = 9.81 * torch.sin(angle.detach() if is_cut else angle)
        speed = speed + DT * (torque - pull)
        angle = angle + DT * speed
    return (angle - 1.0).square()


problem = diffcar.Problem(
    inputs={"torques": [torques]},
    cases=[Case("swinging", "torques")] * NUM_PENDULUMS,
    score=swing,
    directions=[random_directions(torques.detach(), generator)],
    step_sizes=(1e-2, 1e-3, 1e-4),
    tolerance=1e-6,
    horizon=NUM_STEPS,
)
for name, score in (("as it is", swing), ("gravity cut off", lambda: swing(is_cut=True))):
    certificate = diffcar.certify(replace(problem, score=score))
    error = certificate.worst_relative_error
    print(f"{name}: {certificate.verdict} ({certificate.verdict.explanation}), at most {error:.1e}")
