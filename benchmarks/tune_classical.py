"""Search the parameters of the classical controllers for a shipped car.

The defaults in `diffcar/controllers/` are this script's result. Each candidate drives its own car
of one batch, from a flying start along the whole path, and is judged by the mean over the paths of
its cross-track RMSE after the first two metres. Run: `python benchmarks/tune_classical.py`
(about ten minutes on two cores); with a name, that controller alone.
"""

import itertools
import sys

import torch

from diffcar.controllers.acceleration_pursuit import AccelerationPursuit
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.path.config import PathConfig
from diffcar.sim.build import build_scene
from diffcar.sim.config import CarConfig
from diffcar.tasks.tracking.drive import drive
from diffcar.tasks.tracking.grip import load_road

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
    AccelerationPursuit: {
        "lookahead_offset": (-0.1, 0.0),
        "lookahead_time": (0.12, 0.14, 0.16, 0.18),
        "course_lead": (0.0, 0.01),
        "speed_lead": (0.07,),
    },
}
# Racing is what it is for, at speeds that those paths hardly have; its table is one of MuJoCo's.
ROADS = ("random", "random", "random", "random", *PATHS)
RACING = CarConfig(model="racer"), "mujoco", ROADS, {"grip": 0.9, "top_speed": 10.0}
DRIVES = {AccelerationPursuit: RACING}


def main() -> None:
    """Print the best five candidates of each controller."""
    asked = sys.argv[1:]
    for kind, grid in GRIDS.items():
        if asked and kind.name not in asked:
            continue
        candidates = list(itertools.product(*grid.values()))
        config, engine, paths, settings = DRIVES.get(kind, (CarConfig(), "genesis", PATHS, {}))
        car = build_scene(config, num_envs=len(candidates), engine=engine)
        columns = torch.tensor(candidates, dtype=car.dtype).T
        parameters = dict(zip(grid, columns, strict=True))
        total = torch.zeros(len(candidates))
        speed = torch.zeros(len(candidates))
        for number, source in enumerate(paths):
            road = PathConfig(source=source, **settings)
            path = load_road(road, car.vehicle, seed=number).to(car.dtype)
            controller = kind(car.vehicle, **parameters)
            is_standing = torch.zeros(len(candidates), dtype=torch.bool)
            driven = drive(car, controller, path, is_standing=is_standing)
            for index in range(len(candidates)):
                metrics = driven.select(torch.tensor([index])).metrics(skip_distance=2.0)
                is_lost = metrics.completion < 1
                total[index] += 1.0 if is_lost else metrics.cross_track_rmse_m / len(paths)
                speed[index] += metrics.speed_rmse_mps / len(paths)
        print(f"{kind.__name__}: {len(candidates)} candidates over {', '.join(paths)}")
        for index in torch.argsort(total)[:5].tolist():
            chosen = ", ".join(
                f"{name} {value:g}" for name, value in zip(grid, candidates[index], strict=True)
            )
            print(f"  {1e3 * total[index]:6.2f} mm  {speed[index]:.3f} m/s  {chosen}")


if __name__ == "__main__":
    main()
