"""The configuration of `diffcar train-bc`."""

from typing import Annotated

import pydantic
from pydantic import Field

from diffcar.base.section import Count, Positive
from diffcar.demonstrations.config import DemonstrationConfig, require_recordable
from diffcar.tasks.config import UpdatesConfig
from diffcar.tasks.tracking.config import EvaluationConfig, TrainingConfig

__all__ = ["CloneConfig", "CloneEvaluationConfig", "TrainBCConfig"]


class CloneConfig(UpdatesConfig):
    """Supervised learning of what an expert does."""

    num_updates: Count = 150
    """Passes over the data at the most, shared evenly by the rounds."""
    dagger_rounds: Annotated[int, Field(ge=0, le=100)] = 0
    """Further rounds, before each of which the network drives and the expert says what it would
    have done."""
    batch_size: Count = 512
    """Rows in an optimiser step."""
    learning_rate: Positive = 3e-3
    """Adam's step size at the beginning of a round."""
    final_learning_rate_ratio: Annotated[float, Field(gt=0, le=1)] = 0.02
    """The step size at the end of a round's cosine decay over that at its start."""
    validation_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of the episodes that is not trained on."""
    patience: Count = 40
    """Passes without a smaller error on them after which a round ends."""


class CloneEvaluationConfig(EvaluationConfig):
    """How training is judged, always in a plain scene."""

    interval: Count = 10
    """Passes between evaluations."""


class TrainBCConfig(TrainingConfig):
    """`diffcar train-bc`."""

    expert: str = "pure-pursuit"
    """Who is cloned: a run folder, a checkpoint, or a name that `--help` lists."""
    data: list[str] = Field(default=[])
    """CSV files of demonstrations; without any, the expert is recorded first."""
    columns: dict[str, str] = Field(default={})
    """What the files call a column, as `name` or `name*factor`; keys are the names of
    `diffcar record`."""
    skip_incomplete: bool = False
    """Whether rows that lack a number are left out, and counted; otherwise they are an error."""
    demonstrations: DemonstrationConfig = DemonstrationConfig()
    """How the expert is recorded, and the network in DAgger rounds."""
    train: CloneConfig = CloneConfig()
    evaluation: CloneEvaluationConfig = CloneEvaluationConfig()

    _is_recordable = pydantic.model_validator(mode="after")(require_recordable)

    @pydantic.model_validator(mode="after")
    def _every_round_has_a_pass(self) -> "TrainBCConfig":
        passes, rounds = self.train.num_updates, self.train.dagger_rounds
        if passes <= rounds:
            raise ValueError(
                f"train.num_updates {passes} is too few for one pass in each of the {rounds + 1} "
                f"rounds that train.dagger_rounds {rounds} makes"
            )
        return self
