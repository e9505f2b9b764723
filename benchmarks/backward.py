"""Measure what the fast paths save of a differentiable step, each alone and all together.

Run: `python benchmarks/backward.py [--num-envs 24]`. All are measured in one process, in turn, so
that what else the machine does falls on all alike; the medians, and their ratios to Genesis's own
way, are printed, and how far the gradients are apart.
"""

import argparse
import statistics
import time

import torch

import diffcar
from diffcar.sim.config import CarConfig
from diffcar.sim.fast_paths import FAST_PATHS

_NUM_STEPS = 24


def main() -> None:
    """Print a row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-envs", type=int, default=24)
    parser.add_argument("--num-repeats", type=int, default=15)
    parser.add_argument("--each", action="store_true", help="each fast path alone, too")
    parser.add_argument("--compiled-fields", action="store_true")
    parser.add_argument("--cpu", action="store_true", help="processor time, where others compute")
    given = parser.parse_args()
    clock = time.process_time if given.cpu else time.perf_counter
    config = CarConfig(compiled_fields=given.compiled_fields)
    car = diffcar.build_scene(
        config, num_envs=given.num_envs, differentiable=True, with_repairs=False
    )
    path = diffcar.load_path("circle").to(car.dtype)
    controller = diffcar.make_controller("mlp", car)
    start = diffcar.draw_starts(path, given.num_envs, seed=0)
    loss = diffcar.TrackingLoss()
    weights = list(controller.network.parameters())

    def measure(names: list[str]) -> tuple[float, float, torch.Tensor]:
        """Return ms a step forward and backward, and the gradient."""
        undo = [FAST_PATHS[name].take(car.scene, name) for name in names]
        began = clock()
        cost = loss.costs(diffcar.rollout(car, controller, path, start, _NUM_STEPS)).total
        middle = clock()
        gradients = torch.autograd.grad(cost, weights)
        ended = clock()
        for give_up in undo:
            if give_up is not None:
                give_up()
        gradient = torch.cat([own.flatten() for own in gradients])
        return 1e3 * (middle - began) / _NUM_STEPS, 1e3 * (ended - middle) / _NUM_STEPS, gradient

    variants = {"none": [], **({name: [name] for name in FAST_PATHS} if given.each else {})}
    variants["all"] = list(FAST_PATHS)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    apart: dict[str, float] = {}
    for repeat in range(given.num_repeats + 1):
        for name, taken in variants.items():
            forward, backward, gradient = measure(taken)
            if name == "none":
                reference = gradient
            apart[name] = float((gradient - reference).norm() / reference.norm())
            if repeat:  # the first compiles
                times[name].append((forward, backward))
    print(f"{given.num_envs} cars, {_NUM_STEPS} steps, median of {given.num_repeats}")
    print(f"{'':22s}{'forward':>17s}{'backward':>17s}  gradient apart")
    medians = {
        name: [statistics.median(way) for way in zip(*own, strict=True)]
        for name, own in times.items()
    }
    for name, own in medians.items():
        cells = [
            f"{ms:8.2f} ms {ms / plain:5.2f}x"
            for ms, plain in zip(own, medians["none"], strict=True)
        ]
        print(f"{name:22s}{''.join(cells)}  {apart[name]:.1e}")


if __name__ == "__main__":
    main()
