"""Drives a batch whose environments are cases of their own: a table of actions, or own weights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar, cast

from torch import Tensor

from diffcar.controllers import MLPController, TrackingMLP
from diffcar.sim.contract import CarState
from diffcar.tracking import ErrorState

__all__ = ["CaseController"]

RecordT = TypeVar("RecordT", CarState, ErrorState)


class CaseController:
    """Plays back actions in some environments and closes the loop in the others.

    Args:
        controller: The network and what it observes.
        actions: What is played back, shape (B, T, 2).
        weights: The network's weights in each environment, in the order of its parameters.
        is_closed_loop: Which environments the network drives, shape (B,).
    """

    name = "certificate"

    def __init__(
        self,
        controller: TrackingMLP,
        actions: Tensor,
        weights: Sequence[Tensor],
        is_closed_loop: Tensor,
    ) -> None:
        self.rows = is_closed_loop.nonzero()[:, 0]
        network, own = controller.network, [weight[self.rows] for weight in weights]

        def forward(inputs: Tensor) -> Tensor:
            # The controller stacks what it sees and its mirror image: two rows an environment.
            both = inputs.reshape(2, len(self.rows), -1).transpose(0, 1)
            return network.forward_with(own, both).transpose(0, 1).flatten(0, 1)

        self.policy = TrackingMLP(
            cast(MLPController, forward), controller.observer, controller.vehicle
        )
        self.actions = actions
        self.step = 0

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return the actions of the next step, shape (B, 2)."""
        action = self.actions[:, self.step]
        self.step += 1
        if not len(self.rows):
            return action
        own = (_rows_of(state, self.rows), _rows_of(errors, self.rows))
        return action.index_copy(0, self.rows, self.policy(*own))


def _rows_of(record: RecordT, rows: Tensor) -> RecordT:
    """Return some environments of a record of tensors."""
    return replace(record, **{name: value[rows] for name, value in vars(record).items()})
