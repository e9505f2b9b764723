"""One row of the table of what can and what cannot be differentiated."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Capability"]


@dataclass(frozen=True)
class Capability:
    """What an attempt to differentiate something, or a measurement of its cost, came to."""

    entity: str
    """Kind of body, such as `rigid` or `mpm`."""
    kind: Literal["read", "write", "contact", "cost"]
    """What was attempted."""
    name: str
    """The quantity, call or contact."""
    outcome: str
    """`right`, `wrong`, `refused`, `no gradient` and the like; of a cost, its unit."""
    figure: float | None
    """Worst relative error of the gradient, or the cost; None where there is none."""
    detail: str
    """Under which conditions, or the text of the error."""
