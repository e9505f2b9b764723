"""Behaviour cloning: supervised learning of what an expert does, with DAgger rounds if wanted."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffcar.base.errors import DemonstrationError
from diffcar.base.log import logger
from diffcar.controllers.choose import ControllerChoice, choose_controller
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.demonstrations.files import read_demonstrations
from diffcar.demonstrations.table import Demonstrations
from diffcar.tasks.contract import seed_of_update
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training.bc.config import TrainBCConfig
from diffcar.training.bc.data import Scaling, SplitData
from diffcar.training.bc.experts import ExpertRecorder
from diffcar.training.contract import Trainer, UpdateRecord
from diffcar.training.optimiser import Adam, cosine_learning_rate
from diffcar.training.resuming import require_same_files
from diffcar.training.run_folder import RunFolder

__all__ = ["BCTrainer", "CloneUpdate", "make_trainer"]


@dataclass(frozen=True)
class CloneUpdate(UpdateRecord):
    """What one pass over the data did.

    Errors are mean squares over the variance of the expert's outputs, so one is what a constant
    would reach.
    """

    highlights: ClassVar[dict[str, str]] = {"held out": "validation_loss", "round": "round"}
    validation_loss: float
    """The same loss on episodes that are not trained on."""
    round: int
    """0, or the number of the DAgger round."""
    num_rows: int
    """Rows of all demonstrations so far."""
    seconds: float
    """Wall time [s]."""


class BCTrainer(Trainer):
    """An optimisation in progress: everything that an exact continuation needs.

    The network learns from standardised observations; after each pass the standardisation is folded
    into the first layer of the task's network, which therefore sees what every other does.
    A round ends with the weights of its smallest validation loss.

    Args:
        recorder: Records the expert; None where no round needs one.
        demonstrations: What the first round learns from; None has them recorded.
        notes: What the user should know about the expert.
    """

    record_type: ClassVar[type[UpdateRecord]] = CloneUpdate
    term_names = ("steering", "drive")

    def __init__(
        self,
        task: TrackingTask,
        recorder: ExpertRecorder | None,
        demonstrations: Demonstrations | None,
        notes: Sequence[str] = (),
    ) -> None:
        assert isinstance(task.config, TrainBCConfig)
        self.task: TrackingTask = task
        self.config: TrainBCConfig = task.config
        self.notes = list(notes)
        self.round = self.passes_in_round = self.passes_without_gain = 0
        self.best_validation_loss = math.inf
        self._recorder = recorder
        self._given = demonstrations
        network = copy.deepcopy(task.network)
        self._student = TrackingMLP(network, task.driver.observer, task.vehicle)
        self._adam = Adam(network.parameters())
        self._best_weights = copy.deepcopy(network.state_dict())

    def begin(self, folder: RunFolder) -> None:
        """Record the expert in the run's folder where nothing was given, or take up what is there.

        Raises:
            DemonstrationError: If there is too little to learn from.
        """
        self._folder = folder
        is_new = not (folder.checkpoints / "last.pt").is_file()
        began = time.perf_counter()
        given = self._given
        self.demonstrations = self._record(0, is_new=is_new) if given is None else given
        if given is None:  # Recording is part of what a clone costs.
            self.seconds_before = time.perf_counter() - began
        self._data = SplitData.split(self.demonstrations, self.config, self.task.driver)
        # Those of the first round, so that the weights keep their meaning in the others.
        self._scaling = Scaling.of(self._data.observation, self.task.driver)
        self._fold()
        self.notes += self.demonstrations.notes
        for note in self.notes:
            logger.warning(note)

    @property
    def inputs(self) -> tuple[tuple[str, str], ...]:
        """Return those of the task, and the checkpoint of an expert that has more to say."""
        recorder = self._recorder if self.config.train.dagger_rounds else None
        return self.task.inputs + (recorder.expert.files if recorder else ())

    @property
    def num_env_steps(self) -> int:
        """Return the rows of all demonstrations: the steps that somebody had to drive."""
        return len(self.demonstrations)

    @property
    def is_finished(self) -> bool:
        """Return whether there is no pass left to do."""
        return self.round == self.config.train.dagger_rounds and self._is_round_over()

    def update(self) -> CloneUpdate:
        """Pass over the data once, in the next round where one is over."""
        if self._is_round_over():
            self._begin_round(self.round + 1)
        began = time.perf_counter()
        learning_rate = cosine_learning_rate(
            self.passes_in_round, self._passes_per_round(), self.config.train
        )
        self._adam.learning_rate = learning_rate
        terms = self._pass_over_data()
        with torch.no_grad():
            validation_loss = float(self._errors(self._data.held_out_rows).sum())
        self._note(validation_loss)
        self.num_updates_done += 1
        self.passes_in_round += 1
        if self._is_round_over():
            self._student.network.load_state_dict(self._best_weights)
        self._fold()
        return CloneUpdate(
            iteration=self.num_updates_done,
            loss=float(terms.sum()),
            terms=dict(zip(self.term_names, terms.tolist(), strict=True)),
            learning_rate=learning_rate,
            is_skipped=False,
            validation_loss=validation_loss,
            round=self.round,
            num_rows=len(self.demonstrations),
            seconds=time.perf_counter() - began,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on exactly."""
        return {
            "network": self.task.network.state_dict(),
            "student": self._student.network.state_dict(),
            "best_weights": self._best_weights,
            "optimizer": self._adam.state_dict(),
            "scaling": dict(vars(self._scaling)),
            "files": [list(file) for file in self.demonstrations.files],
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state saved earlier, on the same demonstrations.

        Raises:
            DemonstrationError: If the files are not what they were.
        """
        for number in range(1, state["round"] + 1):
            self._add(self._record(number, is_new=False))
        if "files" in state:  # not of diffcar 0.1.0
            own = self.demonstrations.files
            require_same_files(state["files"], own, error=DemonstrationError)
        self.task.network.load_state_dict(state["network"])
        self._student.network.load_state_dict(state["student"])
        self._best_weights = state["best_weights"]
        self._adam.load_state_dict(state["optimizer"])
        device = self._data.observation.device  # checkpoints are loaded to the CPU
        self._scaling = Scaling(**{k: v.to(device) for k, v in state["scaling"].items()})
        for name in _COUNTERS:
            setattr(self, name, state[name])

    def findings(self, updates: Sequence[UpdateRecord]) -> dict[str, Any]:
        """Return figures of the data, and the smallest validation loss of the last round."""
        own = [u for u in updates if isinstance(u, CloneUpdate) and u.round == self.round]
        return {
            "num_rows": len(self.demonstrations),
            "num_skipped_rows": self.demonstrations.num_skipped,
            "validation_loss": min((update.validation_loss for update in own), default=None),
            "notes": self.notes,
        }

    def _record(self, number: int, *, is_new: bool) -> Demonstrations:
        """Return the recorded demonstrations of a round."""
        assert self._recorder is not None, "a round without an expert"
        return self._recorder.demonstrations(self._folder, number, is_new=is_new)

    def _passes_per_round(self) -> int:
        """Return how many passes a round has at the most."""
        train = self.config.train
        return max(1, train.num_updates // (train.dagger_rounds + 1))

    def _is_round_over(self) -> bool:
        """Tell whether the round has had its passes, or gains nothing any more."""
        is_stuck = self.passes_without_gain >= self.config.train.patience
        return is_stuck or self.passes_in_round >= self._passes_per_round()

    def _begin_round(self, number: int) -> None:
        """Let the network drive and the expert comment, and learn from that as well."""
        self._add(self._record(number, is_new=True))
        self.round = number
        self.passes_in_round = self.passes_without_gain = 0
        self.best_validation_loss = math.inf  # other episodes, another measure
        self._adam = Adam(self._student.network.parameters())

    def _add(self, more: Demonstrations) -> None:
        """Add demonstrations to those there are."""
        self.demonstrations = Demonstrations.concatenate([self.demonstrations, more])
        self._data = SplitData.split(self.demonstrations, self.config, self.task.driver)

    def _pass_over_data(self) -> Tensor:
        """Do an optimiser step on each batch; return the mean errors of the outputs, shape (2,)."""
        # Seeded by the pass, so that a resumed run shuffles alike.
        seed = seed_of_update(self.config.seed, self.num_updates_done)
        shuffle = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self._data.train_rows), generator=shuffle)
        total = torch.zeros(2, dtype=torch.float64)
        for batch in order.split(self.config.train.batch_size):
            errors = self._errors(self._data.train_rows[batch])
            self._student.network.zero_grad()
            errors.sum().backward()
            self._adam.step()
            total += len(batch) / len(order) * errors.detach().cpu().double()
        return total

    def _errors(self, rows: Tensor) -> Tensor:
        """Return the mean square errors over variances of steering and drive, shape (2,)."""
        data = self._data
        output = self._student.output(self._scaling.apply(data.observation[rows]))
        return (output - data.output[rows]).square().mean(0) / data.output_variance

    def _note(self, validation_loss: float) -> None:
        """Remember the weights if they are the round's best."""
        if validation_loss < self.best_validation_loss:
            self.best_validation_loss, self.passes_without_gain = validation_loss, 0
            self._best_weights = copy.deepcopy(self._student.network.state_dict())
        else:
            self.passes_without_gain += 1

    def _fold(self) -> None:
        """Give the controller's network the student's weights, for observations as they come."""
        network = self.task.network
        network.load_state_dict(self._student.network.state_dict())
        self._scaling.fold_into(network)


def make_trainer(
    config: TrainBCConfig, *, scenes: Scenes | None = None, expert: ControllerChoice | None = None
) -> BCTrainer:
    """Return the cloning of an expert, or of whom settings name, in the physics that it knows."""
    notes: list[str] = []
    needs_expert = not config.data or config.train.dagger_rounds > 0
    if needs_expert and expert is None:
        expert = choose_controller(config.expert)
        config, notes = expert.in_its_physics(config)
    task = TrackingTask(config, scenes=scenes, through_physics=False)
    assert isinstance(task.config, TrainBCConfig)
    config, given = task.config, None
    if config.data:
        given = read_demonstrations(
            [Path(file) for file in config.data],
            controller_config=config.controller,
            vehicle=task.vehicle,
            path=task.path,
            columns=config.columns,
            skip_incomplete=config.skip_incomplete,
        )
    task.build()
    recorder = None
    if needs_expert and expert is not None:
        cars = task.scenes.cars(config.demonstrations.num_episodes)
        recorder = ExpertRecorder(task, config, expert, cars)
    return BCTrainer(task, recorder, given, notes)


# What of a trainer a checkpoint holds besides weights, by name.
_COUNTERS = (
    "num_updates_done",
    "round",
    "passes_in_round",
    "passes_without_gain",
    "best_validation_loss",
)
