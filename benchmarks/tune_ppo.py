"""Compare PPO's settings on the default training path, one changed at a time.

The defaults of `diffcar train-ppo` were chosen by it. For each variant: control steps and seconds
of training until the cross-track RMSE on the training path is first below 20, 5 and 2 mm, and the
median RMSE of the last evaluations. Run: `python benchmarks/tune_ppo.py [control steps for each]`
(fifteen variants of 250,000 steps take about seven minutes on one core).
"""

import statistics
import sys
import time

from diffcar.base.config import load_config
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.training.ppo.config import TrainPPOConfig
from diffcar.training.ppo.trainer import make_trainer

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


def main(num_steps: float) -> None:
    """Print a row for each variant."""
    scenes = Scenes(TrainPPOConfig())
    print(
        f"{'variant':32} " + " ".join(f"{1e3 * t:5.0f} mm: steps, s" for t in THRESHOLDS) + "  end"
    )
    for variant in VARIANTS:
        config = load_config(TrainPPOConfig, overrides=[variant] if variant else [])
        trainer = make_trainer(config, scenes=scenes)
        spent, reached, errors = 0.0, {}, []
        while trainer.num_env_steps < num_steps:
            began = time.perf_counter()
            trainer.update()
            spent += time.perf_counter() - began
            if trainer.num_updates_done % 5:
                continue
            errors.append(trainer.task.evaluate().cross_track_rmse_m)
            for threshold in THRESHOLDS:
                if errors[-1] <= threshold:
                    reached.setdefault(threshold, (trainer.num_env_steps, spent))
        told = [
            "{:8.0f} {:6.1f}  ".format(*reached[t]) if t in reached else f"{'-':>15}  "
            for t in THRESHOLDS
        ]
        end = 1e3 * statistics.median(errors[-10:])
        print(f"{variant or 'as it is':32} {' '.join(told)} {end:6.2f} mm", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 250_000)
