"""Search the parameters of pure pursuit and Stanley for the shipped car.

The defaults in `diffcar/controllers/` are this script's result. Each candidate drives its own car
of one batch, from a flying start along the whole path, and is judged by the mean over the paths of
its cross-track RMSE after the first two metres. Run: `python benchmarks/tune_classical.py`
(about ten minutes on two cores).
"""

import itertools

import torch

from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.sim.build import build_scene
from diffcar.sim.config import CarConfig
from diffcar.tasks.tracking.drive import drive

PATHS = ("figure-eight", "slalom", "sine", "double-lane-change")
GRIDS = {
    PurePursuit: {
        "lookahead_time": (0.06, 0.09, 0.12, 0.15, 0.18),
        "min_lookahead": (0.0, 0.05, 0.1),
        "speed_lead": (0.08, 0.1, 0.12, 0.14),
    },
    Stanley: {
        "gain": (1.0, 1.5, 2.0, 3.0),
        "softening": (0.5, 1.5, 3.0, 6.0),
        "yaw_damping": (0.0, 0.005, 0.01, 0.015),
        "slip_gain": (0.001, 0.002, 0.003, 0.004),
        "speed_lead": (0.1,),
    },
}


def main() -> None:
    """Print the best five candidates of each controller."""
    for kind, grid in GRIDS.items():
        candidates = list(itertools.product(*grid.values()))
        car = build_scene(CarConfig(), num_envs=len(candidates))
        columns = torch.tensor(candidates, dtype=car.dtype).T
        parameters = dict(zip(grid, columns, strict=True))
        total = torch.zeros(len(candidates))
        speed = torch.zeros(len(candidates))
        for source in PATHS:
            path = load_path(PathConfig(source=source)).to(car.dtype)
            controller = kind(car.vehicle, **parameters)
            is_standing = torch.zeros(len(candidates), dtype=torch.bool)
            driven = drive(car, controller, path, is_standing=is_standing)
            for index in range(len(candidates)):
                metrics = driven.select(torch.tensor([index])).metrics(skip_distance=2.0)
                is_lost = metrics.completion < 1
                total[index] += 1.0 if is_lost else metrics.cross_track_rmse_m / len(PATHS)
                speed[index] += metrics.speed_rmse_mps / len(PATHS)
        print(f"{kind.__name__}: {len(candidates)} candidates over {', '.join(PATHS)}")
        for index in torch.argsort(total)[:5].tolist():
            chosen = ", ".join(
                f"{name} {value:g}" for name, value in zip(grid, candidates[index], strict=True)
            )
            print(f"  {1e3 * total[index]:6.2f} mm  {speed[index]:.3f} m/s  {chosen}")


if __name__ == "__main__":
    main()
