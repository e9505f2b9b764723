"""What must be as it was where a run goes on."""

import itertools
from collections.abc import Sequence

from diffcar.base.errors import ConfigError, DiffcarError

__all__ = ["require_same_files"]


def require_same_files(
    before: Sequence[Sequence[str]],
    now: Sequence[tuple[str, str]],
    *,
    error: type[DiffcarError] = ConfigError,
) -> None:
    """Refuse to go on with other files than a run has learnt from, by their digests.

    Args:
        before: Name and digest of each file that the run has learnt from.
        now: Of those that it would go on with, in the same order.
        error: What to raise.
    """
    for (name, digest), (own_name, own_digest) in itertools.zip_longest(
        before, now, fillvalue=("nothing", "")
    ):
        if digest != own_digest:
            raise error(
                f"this run has learnt from {name!r}, and {own_name!r} is something else now",
                hint="go on with the files as they were, in their order, or begin a new run",
            )
