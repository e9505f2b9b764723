"""Copies of what a step has left in a solver's memory."""

import itertools
from collections.abc import Sequence
from operator import attrgetter

import torch
from torch import Tensor

__all__ = ["Copy", "room_on"]

_ROOM_ON_CPU = 2**30


def room_on(device: torch.device) -> int:
    """Return how much memory steps may be remembered in [bytes]; others are simulated again.

    Which a GPU is so slow at (docs/performance.md) that a quarter of what it has free is taken.
    """
    return torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else _ROOM_ON_CPU


class Copy:
    """A copy of arrays, side by side in few tensors: one by one it takes three times as long."""

    def __init__(self, arrays: Sequence[Tensor]) -> None:
        whole = [own.view(-1) for own in arrays if own.is_contiguous()]
        self._rows = sorted(whole, key=lambda row: str(row.dtype))
        self._others = [own for own in arrays if not own.is_contiguous()]
        self._joined = []
        self._pieces: list[Tensor] = []
        for _, alike in itertools.groupby(self._rows, key=attrgetter("dtype")):
            rows = list(alike)
            joined = rows[0].new_empty(sum(map(len, rows)))
            self._joined.append((rows, joined))
            self._pieces += joined.split([*map(len, rows)])
        self._other_pieces = [torch.empty_like(own).contiguous() for own in self._others]
        self.size = sum(piece.nbytes for piece in [*self._pieces, *self._other_pieces])
        """Of them all [bytes]."""

    def take(self) -> None:
        """Copy the arrays as they are."""
        for rows, joined in self._joined:
            torch.cat(rows, out=joined)
        if self._others:
            torch._foreach_copy_(self._other_pieces, self._others)

    def put_back(self) -> None:
        """Make the arrays what they were."""
        torch._foreach_copy_([*self._rows, *self._others], [*self._pieces, *self._other_pieces])
