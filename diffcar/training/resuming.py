"""What must be as it was where a run goes on."""

import itertools
from collections.abc import Collection, Sequence
from pathlib import Path

from diffcar.base.config import dotted_values
from diffcar.base.errors import ConfigError, DiffcarError, shortened
from diffcar.base.section import Settings

__all__ = ["MAY_CHANGE", "require_same_files", "require_same_settings"]

MAY_CHANGE = frozenset(
    {
        *("backend", "compiled_fields"),
        *("train.num_updates", "train.checkpoint_interval", "train.gradient_check_interval"),
        *("train.learning_rate", "train.final_learning_rate_ratio", "train.decay_updates"),
        "train.target",
        *("train.max_gradient_norm", "train.max_skipped_updates", "train.patience"),
        *("evaluation.interval", "evaluation.also_after", "evaluation.keep_snapshots"),
        *("evaluation.unseen_paths", "data"),
    }
)
"""Settings that a resumed run may have otherwise than it began with: how long and how carefully it
goes on. With others, cars would go on from poses on another road, and the best score so far would
be that of another task."""


def require_same_settings(
    run: Path, begun_with: Settings, wanted: Settings, may_change: Collection[str] = ()
) -> None:
    """Refuse to go on with a run with other settings than it was begun with.

    Args:
        run: Its folder.
        begun_with: As settings, not as they were written: what is new by now has its default.
        wanted: The settings that it would go on with.
        may_change: Dotted keys that need not be the same.

    Raises:
        ConfigError: With the keys that differ.
    """
    before, now = (dotted_values(own.model_dump(mode="json")) for own in (begun_with, wanted))
    differing = [
        shortened(f"{key} {before.get(key)} -> {now.get(key)}")
        for key in sorted(before.keys() | now.keys())
        if key not in may_change and before.get(key) != now.get(key)
    ]
    if differing:
        others = f"; there may change: {', '.join(sorted(may_change))}" if may_change else ""
        raise ConfigError(
            f"{str(run)!r} was begun with other settings: {', '.join(differing)}",
            hint=f"go on with the settings as they were, or begin a new run{others}",
        )


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
