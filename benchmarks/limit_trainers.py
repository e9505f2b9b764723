"""Training through the physics in other ways, tried at the limit of grip (see limit_search.py).

Each is a method of one's own for `diffcar.train`, named `limit_trainers:NAME`, with the settings of
`train-e2e`. None of them is what diffcar trains with: docs/limit.md says what came of each.
"""

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import diffcar
from diffcar.controllers.errors import compute_error_state
from diffcar.losses import Costs, TrackingLoss, pseudo_huber
from diffcar.tasks.registry import TASKS
from diffcar.tasks.tracking.rollout import Trajectory
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training.backprop import Backprop
from diffcar.training.methods import METHODS
from diffcar.training.optimiser import AccumulatedGradient, BackpropUpdate

_WORST_SHARE = 0.25
_SHIFT = 0.01
_MAX_CHANGE = 0.05
_DISCOUNT, _LAMBDA = 0.95, 0.95
_CRITIC_EPOCHS, _CRITIC_BATCH, _CRITIC_RATE, _CRITIC_DELAY = 8, 192, 1e-3, 0.8


class _WorstCosts(Costs):
    """What a quarter of the cars costs that costs most (CVaR)."""

    @property
    def total(self) -> Tensor:
        """Return the mean of their sums of terms, a scalar."""
        cars = self.per_environment
        return cars.topk(max(1, round(_WORST_SHARE * len(cars)))).values.mean()


class _WorstCarsLoss(TrackingLoss):
    """The path-tracking loss of the worst cars."""

    def costs(self, record: Any) -> Costs:  # noqa: ANN401
        """Return the terms of all cars, which count by the worst."""
        return _WorstCosts(super().costs(record))


class WorstCars(Backprop):
    """Minimises what the worst quarter of the cars costs."""

    def __init__(self, task: TrackingTask) -> None:
        task.loss = _WorstCarsLoss(**dict(task.loss))
        super().__init__(task)


class Averaged(Backprop):
    """Takes the mean of the gradients at two points, a random way to each side of the weights."""

    def _accumulate_gradient(self, start: object) -> AccumulatedGradient:
        """Roll out and backpropagate on either side; the figures told are those of the second."""
        parameters = list(self.task.network.parameters())
        generator = torch.Generator().manual_seed(self.num_updates_done)
        shifts = [
            _SHIFT * p.detach().std().nan_to_num(0.0) * torch.randn(p.shape, generator=generator)
            for p in parameters
        ]
        own = [p.detach().clone() for p in parameters]
        gradient = AccumulatedGradient()
        for side in (1.0, -1.0):
            with torch.no_grad():
                for parameter, middle, shift in zip(parameters, own, shifts, strict=True):
                    parameter.copy_(middle + side * shift)
            gradient = super()._accumulate_gradient(start)
            if gradient.defect is not None:
                break
        with torch.no_grad():
            for parameter, middle in zip(parameters, own, strict=True):
                parameter.copy_(middle)
                if parameter.grad is not None:
                    parameter.grad.div_(2)
        return gradient


class _Seen(Backprop):
    """Remembers what the network was shown in an update."""

    def __init__(self, task: TrackingTask) -> None:
        super().__init__(task)
        self.seen: list[Tensor] = []
        output = task.driver.output

        def remember(observation: Tensor) -> Tensor:
            self.seen.append(observation.detach())
            return output(observation)

        task.driver.output = remember  # type: ignore[method-assign]
        self._output = output


class Bounded(_Seen):
    """Bounds how much a step changes what the network puts out where the cars have been."""

    def update(self) -> BackpropUpdate:
        """Do one update, and take back of it what goes too far."""
        self.seen.clear()
        parameters = list(self.task.network.parameters())
        before = [p.detach().clone() for p in parameters]
        record = super().update()
        seen = torch.cat(self.seen[: self.settings.horizon])
        with torch.no_grad():
            changed = self._output(seen)
            after = [p.clone() for p in parameters]
            _set(parameters, before)
            change = (changed - self._output(seen)).square().mean().sqrt()
            share = min(1.0, _MAX_CHANGE / max(float(change), 1e-12))
            _set(parameters, [b + share * (a - b) for a, b in zip(after, before, strict=True)])
        return record


class Value(_Seen):
    """Adds a learnt value at the cut: SHAC (Xu et al., arXiv 2204.07137).

    The critic sees what the actor sees, learns by TD(lambda), and is asked through a copy that
    follows it slowly.
    """

    def __init__(self, task: TrackingTask) -> None:
        value = self._at_the_cut

        class WithValue(TrackingLoss):
            """The path-tracking loss, and what is still to come after the last step."""

            def costs(self, record: Trajectory) -> Costs:
                """Return the terms, that of the value last."""
                return Costs(super().costs(record) | {"value": value(record)})

        task.loss = WithValue(**dict(task.loss))
        super().__init__(task)
        self.term_names = [*self.term_names, "value"]
        size = next(task.network.parameters()).shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.config.seed)
            self.critic = nn.Sequential(
                nn.Linear(size, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 1)
            )
        self.target = copy.deepcopy(self.critic)
        self._critic_adam = torch.optim.Adam(self.critic.parameters(), _CRITIC_RATE)
        self.record: Trajectory | None = None

    def update(self) -> BackpropUpdate:
        """Do one update of the actor, then one of the critic."""
        self.seen.clear()
        record = super().update()
        if self.record is not None and not record.is_skipped:
            self._learn(torch.stack(self.seen[: self.settings.horizon]))
        self.record = None
        return record

    def _at_the_cut(self, record: Trajectory) -> Tensor:
        """Return the discounted value after the last step, a step's share of it, shape (B,)."""
        if self.record is None:
            self.record = record
        discount = _DISCOUNT**record.num_steps / record.num_steps
        return discount * self.target(self._observation(record)).squeeze(-1)

    def _observation(self, record: Trajectory) -> Tensor:
        """Return what the network would see after the last step."""
        state = record.final_state
        errors = compute_error_state(record.path, state, record.arc_length[-1].detach())
        return self.task.driver.observer.observe(state, errors)

    def _learn(self, seen: Tensor) -> None:
        """Fit the critic to the costs of an update's steps."""
        record, loss = self.record, self.task.loss
        assert record is not None
        with torch.no_grad():
            error, scale = record.speed_error, loss.speed_scale
            speed = error.square() if scale is None else pseudo_huber(error, scale)
            cost = loss.speed * speed + loss.cross_track * pseudo_huber(
                record.cross_track_error, loss.cross_track_scale
            )
            following = torch.cat([seen[1:], self._observation(record)[None]])
            values = self.target(following).squeeze(-1)
            aims, aim = torch.empty_like(cost), values[-1]
            for step in reversed(range(len(cost))):
                aim = cost[step] + _DISCOUNT * ((1 - _LAMBDA) * values[step] + _LAMBDA * aim)
                aims[step] = aim
            inputs, aims = seen.flatten(0, 1), aims.flatten()
        generator = torch.Generator().manual_seed(self.num_updates_done)
        for _ in range(_CRITIC_EPOCHS):
            for batch in torch.randperm(len(inputs), generator=generator).split(_CRITIC_BATCH):
                off = (self.critic(inputs[batch]).squeeze(-1) - aims[batch]).square().mean()
                self._critic_adam.zero_grad()
                off.backward()
                self._critic_adam.step()
        with torch.no_grad():
            for slow, quick in zip(self.target.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(quick, 1 - _CRITIC_DELAY)


def _set(parameters: list[nn.Parameter], values: list[Tensor]) -> None:
    """Give parameters values."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def _maker(kind: type[Backprop]) -> Any:  # noqa: ANN401
    """Return what makes a trainer of settings."""
    return lambda config, *, scenes=None: kind(TASKS[config.task](config, scenes=scenes).build())


make_worst, make_averaged = _maker(WorstCars), _maker(Averaged)
make_bounded, make_value = _maker(Bounded), _maker(Value)

WORST, AVERAGED, BOUNDED, VALUE = (
    replace(METHODS["e2e"], name=name, trainer=f"limit_trainers:make_{name}")
    for name in ("worst", "averaged", "bounded", "value")
)


def main() -> None:
    """Train by one of them, as limit_search.py asks for it: NAME CONFIG OUT SEED SETTING ..."""
    name, settings, out, seed, *overrides = sys.argv[1:]
    config = diffcar.load_config("train-e2e", file=settings, overrides=overrides, seed=int(seed))
    result = diffcar.train(f"limit_trainers:{name}", config, out=Path(out) / "run", certify=False)
    (Path(out) / "result.json").write_text(json.dumps(result.as_json()))


if __name__ == "__main__":
    main()
