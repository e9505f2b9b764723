"""PPO: its reward is minus the loss, its episodes are cut short, its network is our own."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("rsl_rl")

from diffcar.base.config import load_config
from diffcar.base.errors import ConfigError
from diffcar.compare.config import CompareConfig
from diffcar.controllers.checkpoint import checkpoint_content, load_checkpoint, restore_tracking_mlp
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.losses import pseudo_huber
from diffcar.path.load import load_path
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState, Placement
from diffcar.tasks.tracking.rollout import rollout
from diffcar.training.ppo.config import TrainPPOConfig
from diffcar.training.ppo.env import DrivingEnv
from diffcar.training.ppo.trainer import PPOTrainer
from diffcar.training.run_folder import RunFolder

SMALL = [
    "precision=64",
    "path.source=circle",
    "train.num_envs=4",
    "train.num_steps=6",
    "train.num_mini_batches=2",
    "train.num_epochs=2",
    "controller.hidden_sizes=[8]",
]


def config_of(*overrides: str) -> TrainPPOConfig:
    return load_config(TrainPPOConfig, overrides=[*SMALL, *overrides])


def controller_of(config: TrainPPOConfig, car: GenesisCar, seed: int = 0) -> TrackingMLP:
    path = load_path(config.path)
    return build_tracking_mlp(config.controller, car.vehicle, dtype=car.dtype, seed=seed)


def env_of(car: GenesisCar, *overrides: str) -> DrivingEnv:
    """Return an environment whose episodes all begin now."""
    car.actuation = "torque"
    config = config_of(*overrides)
    controller = controller_of(config, car)
    env = DrivingEnv(config, car, load_path(config.path), controller)
    env.episode_length_buf.zero_()
    return env


def trainer_of(car: GenesisCar, *overrides: str, seed: int = 0) -> PPOTrainer:
    car.actuation = "torque"
    config = config_of(*overrides)
    controller = controller_of(config, car, seed)
    return PPOTrainer(config, car, load_path(config.path), controller)


class Replay:
    """Gives outputs one after the other, whatever it sees."""

    name = "replay"

    def __init__(self, controller: TrackingMLP, outputs: Tensor) -> None:
        self.controller = controller
        self.outputs = iter(outputs)

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        return self.controller.command(next(self.outputs), state)


@pytest.mark.genesis
def test_rewards_of_an_episode_are_minus_its_loss(plain_car: GenesisCar) -> None:
    """Car by car, with every term, for the same outputs in a rollout from the same start."""
    env = env_of(plain_car, "loss.effort=0.3", "loss.heading=2", "train.lost_cross_track=9")
    start, arc_length = plain_car.read(), env._errors.arc_length
    num_steps = 25
    generator = torch.Generator().manual_seed(0)
    outputs = torch.rand(num_steps, 4, 2, generator=generator, dtype=torch.float64) - 0.5
    rewards = torch.stack([env.step(output)[1] for output in outputs])
    plain_car.resume(start)
    replay = Replay(env._controller, outputs)
    trajectory = rollout(plain_car, replay, env._path, num_steps, arc_length_hint=arc_length)
    costs = tracking_costs(trajectory, env.cfg.loss, plain_car.vehicle)
    assert costs.keys() == {"cross_track", "heading", "speed", "effort", "smoothness"}
    assert all(float(cost.min()) > 1e-4 for cost in costs.values())
    # The change of the action is a mean over one step less.
    steps = {name: num_steps - (name == "smoothness") for name in costs}
    total = sum(steps[name] * cost for name, cost in costs.items())
    assert torch.allclose(-rewards.sum(0), total, rtol=1e-9)


@pytest.mark.genesis
def test_restart_moves_only_the_cars_named(plain_car: GenesisCar) -> None:
    """The others drive on as if nothing had happened, the named ones as after a reset."""

    def start_of(num_cars: int, x: float) -> Placement:
        ones = torch.ones(num_cars, dtype=torch.float64)
        return Placement(torch.stack([x * ones, 0 * ones], -1), 0.3 * ones, 1.5 * ones, 0 * ones)

    def hold(num_steps: int) -> CarState:
        for _ in range(num_steps):
            plain_car.apply(torch.tensor([[0.1, 2.0]] * 4, dtype=torch.float64))
            plain_car.step()
        return plain_car.read()

    plain_car.actuation = "torque"
    plain_car.reset(start_of(4, 7.0))
    fresh = hold(5)
    plain_car.reset(start_of(4, 0.0))
    undisturbed = hold(15)
    plain_car.reset(start_of(4, 0.0))
    before = hold(10)
    plain_car.restart(torch.tensor([1, 3]), start_of(2, 7.0))
    after = plain_car.read()
    assert torch.equal(after.qpos[::2], before.qpos[::2])
    assert torch.equal(after.dofs_velocity[::2], before.dofs_velocity[::2])
    assert after.position[1::2].tolist() == [[7.0, 0.0]] * 2
    assert torch.allclose(after.speed[1::2], torch.full((2,), 1.5, dtype=torch.float64))
    end = hold(5)
    assert torch.allclose(end.qpos[::2], undisturbed.qpos[::2], atol=1e-9)
    assert torch.allclose(end.qpos[1::2], fresh.qpos[1::2], atol=1e-6)


@pytest.mark.genesis
def test_episodes_end_by_time_and_begin_elsewhere(plain_car: GenesisCar) -> None:
    """All at once, if they began at once; cut short, not over."""
    env = env_of(plain_car, "train.episode_duration=0.1", "train.lost_cross_track=9")
    still = torch.zeros(4, 2, dtype=torch.float64)
    for _ in range(4):
        _, _, is_over, _ = env.step(still)
        assert not is_over.any()
    before = plain_car.read().position
    _, _, is_over, extras = env.step(still)
    assert is_over.all()
    assert torch.equal(extras["time_outs"], is_over)
    assert torch.count_nonzero(env.episode_length_buf) == 0
    assert float((plain_car.read().position - before).norm(dim=-1).min()) > 0.1
    assert float(env._errors.cross_track_error.abs().max()) <= env.cfg.start.cross_track + 1e-9


@pytest.mark.genesis
def test_episodes_end_off_the_road(plain_car: GenesisCar) -> None:
    """Exactly for those whose cost says that they are there, and as cut short, too."""
    only = ("heading", "speed", "smoothness")
    env = env_of(
        plain_car, "train.lost_cross_track=0.1", *(f"loss.{name}=0" for name in only), "seed=1"
    )
    weights = env.cfg.loss
    limit = torch.tensor(0.1, dtype=torch.float64)
    worst = -weights.cross_track * pseudo_huber(limit, weights.cross_track_scale)
    generator = torch.Generator().manual_seed(0)
    num_ended = 0
    for _ in range(30):
        output = 2 * torch.rand(4, 2, generator=generator, dtype=torch.float64) - 1
        length = env.episode_length_buf.clone()
        _, reward, is_over, extras = env.step(output)
        assert torch.equal(is_over, reward < worst)
        assert torch.equal(extras["time_outs"], is_over)
        assert torch.equal(env.episode_length_buf, torch.where(is_over, 0, length + 1))
        num_ended += int(is_over.sum())
    assert 0 < num_ended < 60


@pytest.mark.genesis
def test_updates_teach_and_a_stopped_run_goes_on(plain_car: GenesisCar, tmp_path: Path) -> None:
    """Weights, critic, spread, Adam's moments and step size come back from the checkpoint."""
    trainer = trainer_of(plain_car, "train.num_updates=3")
    before = [weight.detach().clone() for weight in trainer.controller.network.parameters()]
    steps = list(trainer.train(2))
    assert [step.iteration for step in steps] == [1, 2]
    assert all(step.loss > 0 for step in steps)
    assert trainer.num_env_steps == 2 * 6 * 4
    for old, new in zip(before, trainer.controller.network.parameters(), strict=True):
        assert not torch.equal(old, new)
    folder = RunFolder.create(tmp_path / "run", "train-ppo")
    folder.save_checkpoint(
        "last", checkpoint_content(trainer.method, trainer.config, trainer.state_dict())
    )
    loaded = load_checkpoint(folder.path)
    resumed = trainer_of(plain_car, "train.num_updates=3", "train.learning_rate=0.5", seed=9)
    resumed.load_state_dict({"network": loaded["network"], **loaded["trainer"]})
    assert (resumed.num_updates_done, resumed.is_finished) == (2, False)
    assert resumed.ppo.learning_rate == trainer.ppo.learning_rate != 0.5
    for one, other in (
        (trainer.ppo.actor, resumed.ppo.actor),
        (trainer.ppo.critic, resumed.ppo.critic),
    ):
        for name, weight in one.state_dict().items():
            assert torch.equal(weight, other.state_dict()[name]), name
    moments = [t.ppo.optimizer.state_dict()["state"] for t in (trainer, resumed)]
    assert len(moments[0]) > 0
    for number, moment in moments[0].items():
        assert torch.equal(moment["exp_avg"], moments[1][number]["exp_avg"])
    assert [step.iteration for step in resumed.train()] == [3]
    assert resumed.is_finished


@pytest.mark.genesis
def test_the_checkpoint_acts_as_the_actor_without_its_exploration(
    plain_car: GenesisCar, tmp_path: Path
) -> None:
    """The mean of the actor's actions is what the restored controller puts out."""
    trainer = trainer_of(plain_car, "train.num_updates=1")
    list(trainer.train())
    folder = RunFolder.create(tmp_path / "run", "train-ppo")
    folder.save_checkpoint(
        "last", checkpoint_content(trainer.method, trainer.config, trainer.state_dict())
    )
    restored = restore_tracking_mlp(
        load_checkpoint(folder.path), plain_car.vehicle, dtype=plain_car.dtype
    )
    observation = trainer.env.get_observations()
    with torch.no_grad():
        mean = trainer.ppo.actor(observation)
        explored = trainer.ppo.act(observation)
        assert torch.equal(restored.output(observation["policy"]), mean)
    assert float((explored - mean).abs().max()) > 1e-3
    assert float(mean.abs().max()) > 1e-6


@pytest.mark.parametrize("schema", [TrainPPOConfig, CompareConfig])
def test_a_loss_that_is_no_reward_is_refused(schema: type[TrainPPOConfig]) -> None:
    """Where a car should be by now is not told by a single step."""
    with pytest.raises(ConfigError, match="time_indexed"):
        load_config(schema, overrides=["loss.time_indexed=1"])
