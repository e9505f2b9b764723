"""The training methods: what each is, how it is set up, and how it looks."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from diffcar.base.registry import Registry, is_own
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.registry import TASKS
from diffcar.tasks.tracking.config import TrainE2EConfig
from diffcar.training.bc.config import TrainBCConfig
from diffcar.training.ppo.config import TrainPPOConfig

__all__ = ["METHODS", "Method", "expert_of", "is_method", "resume_hint"]


@dataclass(frozen=True)
class Method:
    """A way to get from a task to weights; known without loading anything heavy."""

    name: str
    """What users call it, such as `dagger-e2e`."""
    label: str
    """What it does, in a few words."""
    trainer: str
    """What makes its trainer of settings, as `package.module:function`."""
    config: Mapping[str, Any]
    """Settings of a run, by task."""
    section: str = ""
    """The key of its settings within those of a comparison, if it can be in one."""
    expert: str | None = None
    """Whom it imitates; trained or tuned before it."""
    overrides: Mapping[str, object] = field(default_factory=dict)
    """Settings of its section that are its own, whatever the user sets for that section."""
    through_physics: bool = False
    """Whether it uses gradients of the physics, which are then certified before training."""
    command: str = ""
    """The subcommand that trains by it, unless a task has its own."""
    help: str = ""
    """What that says of itself, where it has no options of its own."""
    robust: str = ""
    """The shipped file of settings that `--robust` begins with, if there is one."""
    requires: str | None = None
    """A package that it needs and the installation may lack."""
    colour: str = ""
    """In every picture, as `#rrggbb`."""
    marker: str = ""
    """In every picture, of matplotlib."""
    is_compared: bool = True
    """Whether a comparison can have it."""

    @property
    def recorded_as(self) -> str:
        """Return what checkpoints call it: all clones are `bc`."""
        return self.command.removeprefix("train-") or self.name


_clone = partial(
    Method,
    trainer="diffcar.training.bc.trainer:make_trainer",
    config={"tracking": TrainBCConfig},
    section="bc",
    command="train-bc",
)
_BACKPROP = {"tracking": TrainE2EConfig, "pushing": TrainPushConfig, "reaching": FrankaTestConfig}
_ONE_ROUND = {"dagger_rounds": 0}
# Okabe and Ito's colours, which the colour-blind tell apart.
_ALL = (
    Method(
        "e2e",
        "gradients through the physics",
        trainer="diffcar.training.backprop:make_trainer",
        config=_BACKPROP,
        section="e2e",
        through_physics=True,
        command="train-e2e",
        robust="configs/train_e2e_robust.yaml",
        colour="#0072b2",
        marker="o",
    ),
    Method(
        "ppo",
        "reinforcement learning",
        trainer="diffcar.training.ppo.trainer:make_trainer",
        config={"tracking": TrainPPOConfig},
        section="ppo",
        command="train-ppo",
        robust="configs/train_ppo_robust.yaml",
        help="Train the same MLP by proximal policy optimisation, for comparison with "
        "train-e2e.\n\nThe reward is minus the loss of train-e2e. Needs rsl-rl-lib: "
        "pip install 'rsl-rl-lib>=5,<6'.",
        requires="rsl-rl-lib>=5,<6",
        colour="#d55e00",
        marker="s",
    ),
    _clone("bc", "imitates an expert", is_compared=False),
    _clone(
        "bc-pure-pursuit",
        "imitates pure pursuit",
        expert="pure-pursuit",
        overrides=_ONE_ROUND,
        colour="#cc79a7",
        marker="v",
    ),
    _clone(
        "bc-e2e", "imitates e2e", expert="e2e", overrides=_ONE_ROUND, colour="#56b4e9", marker="^"
    ),
    _clone(
        "dagger-e2e", "imitates e2e, which corrects it", expert="e2e", colour="#009e73", marker="D"
    ),
)
METHODS: Registry[Method] = Registry("method", {method.name: method for method in _ALL})
"""By name; the first is what all others are compared with."""


def expert_of(name: str) -> str | None:
    """Return whom a method imitates; None for what is no clone, or is not known."""
    return METHODS[name].expert if name in METHODS else None


def is_method(name: str) -> bool:
    """Tell whether a name is of a method, the user's own among them, and not of a controller."""
    return name in METHODS or (is_own(name) and isinstance(METHODS[name], Method))


def resume_hint(method: str, task: str, run: object = "RUN") -> str:
    """Return the command that goes on with a run, or the call where no command trains so.

    Args:
        method: What checkpoints call it.
        task: The name of its task.
        run: The run folder.
    """
    if method in METHODS and task in TASKS:
        own = shlex.quote(str(run))
        return f"diffcar {TASKS[task].command or METHODS[method].command} --resume {own}"
    return f"diffcar.train(..., resume={run})"
