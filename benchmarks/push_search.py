"""Looks for commands that make less of a push than controllers do: by descent, knowing the push.

Cars on the figure-eight are pushed sideways for 0.2 s. Once a controller drives them; then the
commands of every step are optimised through the physics for the least squared cross-track error,
from that controller's on. What it finds can be had by who knows the push; that nothing better can
is not shown, since the search is a local one. Run:
`python benchmarks/push_search.py [RUN ...] [--force 30]`; runs drive beside the shipped network.
"""

import argparse
from typing import Any

import torch
from torch import Tensor

import diffcar
from diffcar.controllers.errors import starts_on_path
from diffcar.tasks.tracking.config import DisturbanceConfig
from diffcar.tasks.tracking.disturbances import DisturbedScene
from diffcar.training.optimiser import Adam

_NUM_CARS, _NUM_STEPS, _NUM_UPDATES = 24, 60, 150


class _PushedAtOnce(DisturbedScene):
    """Cars of which every other one is pushed to the left at the start, the others to the right."""

    def _random_push(self) -> Tensor:
        """Return the force of this step [N], shape (B, 2)."""
        side = 1.0 - 2.0 * (torch.arange(self.num_envs) % 2)
        size = self.traits["push_force"] * side * (self._num_steps < self._push_steps)
        self._num_steps += 1
        yaw = self.scene.read().yaw
        return size.to(yaw)[:, None] * torch.stack([-torch.sin(yaw), torch.cos(yaw)], -1)


class _Chosen:
    """A controller that does in each step what was chosen for it, whatever it sees."""

    def __init__(self, driver: Any, outputs: Tensor) -> None:  # noqa: ANN401
        self.driver, self.name, self.past_commands = driver, "chosen", 0
        self.before = torch.atanh(0.999 * outputs.clamp(-1, 1))
        self.change = torch.zeros_like(self.before, requires_grad=True)
        self.step = 0

    def __call__(self, state: Any, errors: Any) -> Tensor:  # noqa: ANN401
        """Return steering angle [rad] and speed [m/s] to command, shape (B, 2)."""
        output = torch.tanh(self.before[self.step] + self.change[self.step])
        self.step += 1
        return self.driver.command(output, state)  # type: ignore[no-any-return]


def main() -> None:
    """Print what controllers and chosen commands make of the same pushes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", help="run folders; the shipped network comes first")
    parser.add_argument("--force", type=float, default=30.0, help="[N]")
    given = parser.parse_args()
    car = diffcar.build_scene(num_envs=_NUM_CARS, differentiable=True)
    config = DisturbanceConfig(push_force=given.force)
    pushed = _PushedAtOnce(car, config, torch.Generator().manual_seed(0))
    path = diffcar.load_path("figure-eight").to(car.dtype)
    arc_length = torch.arange(_NUM_CARS) / _NUM_CARS * path.length
    start = starts_on_path(path, arc_length, speed=path.sample(arc_length).speed)
    outputs = None
    for name in ("shipped", *given.runs):
        driver = diffcar.make_controller(name, car)
        with torch.no_grad():
            for what, scene in (("undisturbed", car), ("pushed", pushed)):
                driven = diffcar.rollout(scene, driver, path, start, _NUM_STEPS)
                _tell(f"{name}, {what}", driven)
        if outputs is None:
            outputs, chooser = driven.output.detach(), driver
    chosen = _Chosen(chooser, outputs)
    adam = Adam([chosen.change])
    for update in range(_NUM_UPDATES):
        adam.learning_rate = 0.1 * (1 - update / _NUM_UPDATES)
        chosen.change.grad = None
        chosen.step = 0
        driven = diffcar.rollout(pushed, chosen, path, start, _NUM_STEPS)
        cost = 700 * driven.cross_track_error.square().mean()
        car.backward(cost + 0.1 * driven.speed_error.square().mean())
        adam.step()
        if update % 30 == 0 or update == _NUM_UPDATES - 1:
            _tell(f"chosen commands, pushed, after {update} updates", driven)


def _tell(what: str, driven: Any) -> None:  # noqa: ANN401
    """Print root mean square and mean of the cars' largest cross-track errors."""
    error = 1e3 * driven.cross_track_error.detach()
    rms, largest = error.square().mean().sqrt(), error.abs().amax(0).mean()
    print(f"{what}: {rms:.2f} mm RMS over {driven.num_steps * driven.dt:g} s, ", end="")
    print(f"largest {largest:.1f} mm in the mean of the cars", flush=True)


if __name__ == "__main__":
    main()
