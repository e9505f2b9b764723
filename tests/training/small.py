"""What the tests of training train: few cars on a circle, a small network, by any method."""

from typing import Any

from diffcar.base.config import load_config
from diffcar.tasks.tracking.config import TrainingConfig
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training.methods import METHODS
from tests.bicycle import bicycle_scenes

_ALL = [
    "precision=64",
    "dt=0.05",
    "path.source=circle",
    "controller.hidden_sizes=[8]",
    "evaluation.num_envs=2",
    "evaluation.duration=0.5",
    "evaluation.interval=2",
    "evaluation.unseen_paths=[]",
]
_OWN = {
    "e2e": [
        "train.num_updates=4",
        "train.num_envs=4",
        "train.horizon=8",
        "train.gradient_check_interval=0",
        "start.standing_fraction=0",
    ],
    "bc": ["train.num_updates=4", "demonstrations.num_episodes=3", "demonstrations.duration=0.6"],
    "ppo": [
        "train.num_updates=4",
        "train.num_envs=4",
        "train.num_steps=6",
        "train.num_mini_batches=2",
        "train.num_epochs=2",
    ],
}
TRAINED_BY = tuple(_OWN)


def config_of(method: str, *overrides: str) -> Any:
    """Return the settings of a small run."""
    schema = METHODS[method].config["tracking"]
    return load_config(schema, overrides=[*_ALL, *_OWN[method], *overrides])


def plain_task(config: TrainingConfig) -> TrackingTask:
    """Return a task of cars that are not trained through."""
    return TrackingTask(config, scenes=bicycle_scenes(config), through_physics=False).build()
