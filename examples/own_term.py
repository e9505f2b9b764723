"""Adds a term to the loss: its weight, its meaning and its formula, and nothing else."""

import torch

import diffcar
from diffcar.losses import Weight


class CalmLoss(diffcar.TrackingLoss):
    """The path-tracking loss, and what passengers feel."""

    lateral: Weight = 0.01
    """On the squared lateral acceleration [s⁴/m²]."""

    def lateral_cost(self, driven) -> torch.Tensor:
        """Return the mean over the steps, shape (B,)."""
        return self.lateral * (driven.speed * driven.yaw_rate).square().mean(0)


scene = diffcar.build_scene(num_envs=4, differentiable=True)
driver = diffcar.make_controller("mlp", scene)
path = diffcar.load_path("slalom")
start = diffcar.draw_starts(path, scene.num_envs, seed=0)
costs = CalmLoss().costs(diffcar.rollout(scene, driver, path, start, num_steps=24))
print({name: round(cost, 4) for name, cost in costs.floats().items()})
