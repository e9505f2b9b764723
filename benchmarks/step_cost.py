"""Measure what a differentiable and a plain step cost, with and without compiled fields.

Run: `python benchmarks/step_cost.py [--num-envs 24]`. Each variant runs in a process of its own,
since Genesis starts once in a process; the medians of five rollouts and the ratios are printed.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time

VARIANTS = ("arrays", "fields")
_NUM_STEPS = 64
_NUM_REPEATS = 5


def measure(num_envs: int, compiled_fields: bool) -> dict[str, float]:
    """Return seconds to build and milliseconds a step, forward, backward and plain."""
    import torch

    import diffcar
    from diffcar.sim.config import CarConfig

    config = CarConfig(compiled_fields=compiled_fields)
    began = time.perf_counter()
    car = diffcar.build_scene(config, num_envs=num_envs, differentiable=True)
    plain = diffcar.build_scene(config, num_envs=num_envs)
    seconds_to_build = time.perf_counter() - began
    path = diffcar.load_path("circle").to(car.dtype)
    controller = diffcar.make_controller("mlp", car)
    start = diffcar.draw_starts(path, num_envs, seed=0)
    loss = diffcar.TrackingLoss()
    times_of: tuple[list[float], ...] = ([], [], [])
    for _ in range(_NUM_REPEATS + 1):
        times = [time.perf_counter()]
        trajectory = diffcar.rollout(car, controller, path, start, _NUM_STEPS)
        total = loss.costs(trajectory).total
        times.append(time.perf_counter())
        car.backward(total)
        times.append(time.perf_counter())
        with torch.no_grad():
            diffcar.rollout(plain, controller, path, start, _NUM_STEPS)
        times.append(time.perf_counter())
        for series, (before, after) in zip(times_of, itertools.pairwise(times), strict=True):
            series.append(1e3 * (after - before) / _NUM_STEPS)
    forward, backward, plainly = times_of
    # The first rollout compiles; it is not counted.
    return {
        "build [s]": seconds_to_build,
        "forward [ms/step]": statistics.median(forward[1:]),
        "backward [ms/step]": statistics.median(backward[1:]),
        "plain [ms/step]": statistics.median(plainly[1:]),
    }


def measure_apart(num_envs: int, variant: str) -> dict[str, float]:
    """Return what `measure` does of `arrays` or `fields`, in a process of its own."""
    command = [sys.executable, __file__, "--num-envs", str(num_envs), "--variant", variant]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a row for each variant, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-envs", type=int, default=24)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.variant:
        print(json.dumps(measure(given.num_envs, given.variant == "fields")))
        return
    rows = {variant: measure_apart(given.num_envs, variant) for variant in VARIANTS}
    print(f"{given.num_envs} cars, {_NUM_STEPS} steps, median of {_NUM_REPEATS}")
    for name, value in rows["arrays"].items():
        other = rows["fields"][name]
        print(
            f"{name:20s} arrays {value:8.2f}   compiled fields {other:8.2f}   "
            f"ratio {value / other:.2f}"
        )


if __name__ == "__main__":
    main()
