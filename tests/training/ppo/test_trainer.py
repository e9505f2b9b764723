"""PPO: it trains our own network, and a stopped run goes on."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("rsl_rl")

from diffcar.controllers.checkpoint import load_checkpoint, restore_tracking_mlp
from diffcar.training.ppo.trainer import PPOTrainer
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import TrainingSession
from tests.bicycle import Bicycle
from tests.samples import VEHICLE
from tests.training.small import config_of, plain_task


def trainer_of(*overrides: str) -> PPOTrainer:
    return PPOTrainer(plain_task(config_of("ppo", *overrides)), Bicycle(4))


def test_updates_teach_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """Weights, critic, spread, Adam's moments and step size come back from the checkpoint."""
    trainer = trainer_of("train.num_updates=3")
    before = [weight.detach().clone() for weight in trainer.task.network.parameters()]
    folder = RunFolder.create(tmp_path / "run", "train-ppo")
    updates = TrainingSession(folder, trainer, method="ppo").train(2).updates
    assert [update.iteration for update in updates] == [1, 2]
    assert all(update.loss > 0 for update in updates)
    assert trainer.num_env_steps == 2 * 6 * 4
    for old, new in zip(before, trainer.task.network.parameters(), strict=True):
        assert not torch.equal(old, new)
    resumed = trainer_of("train.num_updates=3", "train.learning_rate=0.5", "seed=9")
    session = TrainingSession(RunFolder.open(folder.path), resumed, method="ppo")
    session.restore()
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
    assert [update.iteration for update in session.train().updates] == [3]
    assert resumed.is_finished


def test_the_checkpoint_acts_as_the_actor_without_its_exploration(tmp_path: Path) -> None:
    """The mean of the actor's actions is what the restored controller puts out."""
    trainer = trainer_of("train.num_updates=1")
    folder = RunFolder.create(tmp_path / "run", "train-ppo")
    TrainingSession(folder, trainer, method="ppo").train()
    last = load_checkpoint(folder.checkpoints / "last.pt")
    restored = restore_tracking_mlp(last, VEHICLE, dtype=torch.float64)
    observation = trainer.env.get_observations()
    with torch.no_grad():
        mean = trainer.ppo.actor(observation)
        explored = trainer.ppo.act(observation)
        assert torch.equal(restored.output(observation["policy"]), mean)
    assert float((explored - mean).abs().max()) > 1e-3
    assert float(mean.abs().max()) > 1e-6
