"""Driving as an environment: its reward is minus the loss, its episodes are cut short."""

import pytest
import torch
from torch import Tensor

pytest.importorskip("rsl_rl")

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.losses import TrackingLoss, pseudo_huber
from diffcar.sim.contract import CarState, Start
from diffcar.tasks.tracking.rollout import rollout
from diffcar.training.ppo.env import DrivingEnv
from tests.bicycle import Bicycle
from tests.samples import seeded
from tests.training.small import config_of, plain_task

SEEN = ControllerConfig(past_commands=1)


def env_of(car: Bicycle, *overrides: str) -> DrivingEnv:
    """Return an environment whose episodes all begin now."""
    task = plain_task(config_of("ppo", *overrides))
    env = DrivingEnv(task.config, car, task.path, task.driver)
    env.episode_length_buf.zero_()
    return env


class Replay:
    """Gives outputs one after the other, whatever it sees."""

    name = "replay"

    def __init__(self, controller: TrackingMLP, outputs: Tensor) -> None:
        self.controller = controller
        self.outputs = iter(outputs)

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        return self.controller.command(next(self.outputs), state)


def test_rewards_of_an_episode_are_minus_its_loss() -> None:
    """Car by car, with every term there is, for the same outputs in a rollout from the same start.

    Whoever adds a term to the loss has it in the reward.
    """
    car = Bicycle(4)
    weights = [f"loss.{name}=0.7" for name in TrackingLoss.term_names()]
    env = env_of(car, *weights, "train.lost_cross_track=9")
    loop, num_steps = env._loop, 25
    start = Start(car.read(), loop.errors.arc_length)
    outputs = torch.rand(num_steps, 4, 2, generator=seeded(), dtype=torch.float64) - 0.5
    rewards = torch.stack([env.step(output)[1] for output in outputs])
    replay = Replay(env._controller, outputs)
    costs = env.cfg.loss.costs(rollout(car, replay, env._path, start, num_steps))
    assert list(costs) == TrackingLoss.term_names()
    assert all(float(cost.min()) > 0 for cost in costs.values())
    # The change of the action is a mean over one step less.
    steps = {name: num_steps - (name == "smoothness") for name in costs}
    total = sum(steps[name] * cost for name, cost in costs.items())
    assert torch.allclose(-rewards.sum(0), total, rtol=1e-9)


def test_cars_differ_and_obey_late() -> None:
    """By the same code as in training through the physics; who starts afresh is another car."""
    car = Bicycle(4)
    env = env_of(
        car,
        "randomisation.delay_steps=2",
        "randomisation.friction_ratio=[0.5, 1.5]",
        "controller.past_commands=1",
        "train.lost_cross_track=9",
    )
    first = car.variations["friction_ratio"]
    assert len(first.unique()) == 4
    given = []
    for number in range(3):
        output = torch.full((4, 2), 0.1 * number, dtype=torch.float64)
        given.append(env._controller.command(output, car.read()))
        seen = env.step(output)[0]["policy"]
        before = [name.startswith("steering_command") for name in PathObserver.names(SEEN)]
        assert torch.allclose(seen[:, before][:, 0], given[-1][:, 0] / 0.3)
    assert torch.equal(car.last_command["command: action"], given[0])
    env.episode_length_buf[1] = env.max_episode_length - 1
    env.step(output)
    assert (car.variations["friction_ratio"] != first).tolist() == [False, True, False, False]


def test_episodes_end_by_time_and_begin_elsewhere() -> None:
    """All at once, if they began at once; cut short, not over."""
    car = Bicycle(4)
    env = env_of(car, "train.episode_duration=0.1", "train.lost_cross_track=9")
    still = torch.zeros(4, 2, dtype=torch.float64)
    for _ in range(4):
        _, _, is_over, _ = env.step(still)
        assert not is_over.any()
    before = car.read().position
    _, _, is_over, extras = env.step(still)
    assert is_over.all()
    assert torch.equal(extras["time_outs"], is_over)
    assert torch.count_nonzero(env.episode_length_buf) == 0
    assert float((car.read().position - before).norm(dim=-1).min()) > 0.1
    errors = env._loop.errors
    assert float(errors.cross_track_error.abs().max()) <= env.cfg.start.cross_track + 1e-9


def test_episodes_end_off_the_road() -> None:
    """Exactly for those whose cost says that they are there, and as cut short, too."""
    only = ("heading", "speed", "smoothness")
    env = env_of(
        Bicycle(4), "train.lost_cross_track=0.1", *(f"loss.{name}=0" for name in only), "seed=1"
    )
    weights = env.cfg.loss
    limit = torch.tensor(0.1, dtype=torch.float64)
    worst = -weights.cross_track * pseudo_huber(limit, weights.cross_track_scale)
    generator, num_ended = seeded(), 0
    for _ in range(30):
        output = 2 * torch.rand(4, 2, generator=generator, dtype=torch.float64) - 1
        length = env.episode_length_buf.clone()
        _, reward, is_over, extras = env.step(output)
        assert torch.equal(is_over, reward < worst)
        assert torch.equal(extras["time_outs"], is_over)
        assert torch.equal(env.episode_length_buf, torch.where(is_over, 0, length + 1))
        num_ended += int(is_over.sum())
    assert 0 < num_ended < 60
