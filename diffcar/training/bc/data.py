"""What a clone learns from: demonstrations split in two, and observations standardised by them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffcar.base.errors import DemonstrationError
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.demonstrations.table import Demonstrations
from diffcar.training.bc.config import TrainBCConfig

__all__ = ["Scaling", "SplitData"]


@dataclass(frozen=True)
class Scaling:
    """What observations are standardised by, shape (size,) each."""

    mean: Tensor
    size: Tensor

    @classmethod
    def of(cls, observation: Tensor, controller: TrackingMLP) -> "Scaling":
        """Return the scaling of observations and their mirror images together.

        So a mirrored standardised observation is a standardised mirrored one, and the controller is
        as symmetric with the scaling as without.
        """
        both = torch.cat([observation, controller.observer.mirror(observation)])
        size = both.std(0)
        # What hardly varies in the demonstrations must not be blown up when it does.
        return cls(both.mean(0), torch.where(size > 1e-3, size, torch.ones_like(size)))

    def apply(self, observation: Tensor) -> Tensor:
        """Return standardised observations."""
        return (observation - self.mean) / self.size

    def fold_into(self, network: MLPController) -> None:
        """Make a network that expects standardised observations one that expects others."""
        first = next(layer for layer in network.modules() if isinstance(layer, nn.Linear))
        with torch.no_grad():
            first.weight /= self.size
            first.bias.sub_(first.weight @ self.mean)


@dataclass(frozen=True)
class SplitData:
    """Demonstrations in the network's number format, and which rows are held out."""

    observation: Tensor
    output: Tensor
    output_variance: Tensor
    train_rows: Tensor
    held_out_rows: Tensor

    @classmethod
    def split(
        cls, demonstrations: Demonstrations, config: TrainBCConfig, controller: TrackingMLP
    ) -> "SplitData":
        """Hold out whole episodes, or of a single one every so many-th row."""
        weight = next(controller.network.parameters())
        observation = demonstrations.observation.to(weight)
        output = demonstrations.output.to(weight)
        groups = demonstrations.episode
        num_groups = int(groups.max()) + 1 if len(groups) else 1
        if num_groups < 2:
            # Rows next to each other are nearly equal: pieces of an episode, not single rows.
            num_groups = 20
            groups = torch.arange(len(groups)) * num_groups // max(len(groups), 1)
        # By number, so that an episode stays on its side when later rounds add others.
        every = min(max(2, round(1 / config.train.validation_fraction)), num_groups)
        is_held_out = (groups + config.seed) % every == 0
        train_rows, held_out_rows = (~is_held_out).nonzero()[:, 0], is_held_out.nonzero()[:, 0]
        if not len(train_rows) or not len(held_out_rows):
            raise DemonstrationError(
                f"{len(demonstrations)} rows of demonstrations are too few to learn from",
                hint="record more, or longer, episodes",
            )
        variance = output[train_rows].var(0, unbiased=False).clamp_min(1e-6)
        return cls(observation, output, variance, train_rows, held_out_rows)
