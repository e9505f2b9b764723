"""Compare PPO's settings on the default training path, one changed at a time.

The defaults of `diffcar train-ppo` were chosen by it. For each variant: control steps and seconds
of training until the cross-track RMSE on the training path is first below 20, 5 and 2 mm, and the
median RMSE of the last evaluations. Run: `python benchmarks/tune_ppo.py [control steps for each]`
(fifteen variants of 250,000 steps take about seven minutes on one core).
"""

import statistics
import sys
import time

import torch

from diffcar.base.config import load_config
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.path.load import load_path
from diffcar.sim.build import build_scene
from diffcar.sim.car import GenesisCar
from diffcar.sim.model.vehicle import load_vehicle
from diffcar.tasks.tracking.metrics import tracking_metrics
from diffcar.tasks.tracking.rollout import rollout
from diffcar.tasks.tracking.starts import draw_starts
from diffcar.training.ppo.config import TrainPPOConfig
from diffcar.training.ppo.trainer import PPOTrainer

VARIANTS = (
    "",
    "train.num_envs=32",
    "train.num_envs=128",
    "train.num_envs=256",
    "train.num_envs=512",
    "train.num_steps=8",
    "train.num_steps=32",
    "train.discount=0.95",
    "train.discount=0.99",
    "train.target_divergence=0.005",
    "train.target_divergence=0.02",
    "train.num_epochs=10",
    "train.entropy=0.002",
    "train.first_action_std=0.25",
    "train.first_action_std=1.0",
)
THRESHOLDS = (0.02, 0.005, 0.002)
_EVALUATION_STEPS = 200


def main(num_steps: float) -> None:
    """Print a row for each variant."""
    scenes: dict[int, GenesisCar] = {}
    print(
        f"{'variant':32} " + " ".join(f"{1e3 * t:5.0f} mm: steps, s" for t in THRESHOLDS) + "  end"
    )
    for variant in VARIANTS:
        config = load_config(TrainPPOConfig, overrides=[variant] if variant else [])
        vehicle = load_vehicle()
        for num_envs in (config.train.num_envs, config.evaluation.num_envs):
            if num_envs not in scenes:
                scenes[num_envs] = build_scene(config, num_envs=num_envs, differentiable=False)
        scene, judged = scenes[config.train.num_envs], scenes[config.evaluation.num_envs]
        path = load_path(config.path, seed=config.seed, max_curvature=vehicle.max_curvature)
        path.to(scene.dtype)
        controller = build_tracking_mlp(config.controller, path, vehicle, dtype=scene.dtype)
        trainer = PPOTrainer(config, scene, path, controller)
        spent, reached, errors = 0.0, {}, []
        while trainer.num_env_steps < num_steps:
            began = time.perf_counter()
            trainer.update()
            spent += time.perf_counter() - began
            if trainer.num_updates_done % 5:
                continue
            errors.append(_rmse(judged, trainer))
            for threshold in THRESHOLDS:
                if errors[-1] <= threshold:
                    reached.setdefault(threshold, (trainer.num_env_steps, spent))
        told = [
            "{:8.0f} {:6.1f}  ".format(*reached[t]) if t in reached else f"{'-':>15}  "
            for t in THRESHOLDS
        ]
        end = 1e3 * statistics.median(errors[-10:])
        print(f"{variant or 'as it is':32} {' '.join(told)} {end:6.2f} mm", flush=True)


def _rmse(scene: GenesisCar, trainer: PPOTrainer) -> float:
    """Return the cross-track RMSE of cars all over the path, after the first two metres [m]."""
    path = trainer.path
    generator = torch.Generator().manual_seed(0)
    arc_length, start = draw_starts(
        path, trainer.config.start, num_cars=scene.num_envs, reach=12.0, generator=generator
    )
    with torch.no_grad():
        scene.reset(start)
        trajectory = rollout(
            scene, trainer.controller, path, _EVALUATION_STEPS, arc_length_hint=arc_length
        )
    metrics = tracking_metrics(trajectory, goal_distance=path.length, skip_distance=2.0)
    return metrics.cross_track_rmse_m


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 250_000)
