"""What a finished network does on paths: drives of all of them at once, pictures and scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.files import Unwritten, kept
from diffcar.base.log import logger
from diffcar.base.table import Column, Table
from diffcar.controllers.contract import Controller
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarScene
from diffcar.tasks.tracking.drive import Drive, drive_together
from diffcar.tasks.tracking.metrics import GOT_GOING, TrackingMetrics
from diffcar.tasks.tracking.picture import plot_drive

__all__ = ["PathScore", "drive_and_draw", "table_of"]

_DRAWN_TIME = 10.0
# Of its rate, RMS [rad/s], for a car of the shipped one's size: beyond, steering swings to and fro.
_FAST_STEERING = 2.0


@dataclass(frozen=True)
class PathScore:
    """A finished controller on one path."""

    path: str
    """Name."""
    start: str
    """`standing` or `flying`."""
    metrics: TrackingMetrics
    """After the first metres."""


_SCORES: list[Column[PathScore]] = [
    Column("path", lambda score: score.path),
    Column("start", lambda score: score.start),
    Column("RMSE", lambda score: score.metrics.cross_track_rmse_m, "mm", 1e3),
    Column("p95", lambda score: score.metrics.cross_track_p95_m, "mm", 1e3),
    Column("max", lambda score: score.metrics.cross_track_max_m, "mm", 1e3),
    Column("speed RMSE", lambda score: score.metrics.speed_rmse_mps, "m/s"),
    Column("steering rate", lambda score: score.metrics.steering_rate_rms_radps, "rad/s"),
    Column("driven", lambda score: score.metrics.completion, "%", 100.0),
    GOT_GOING.within(lambda score: score.metrics),
]


def drive_and_draw(
    scene: CarScene, driver: Controller, paths: Sequence[ReferencePath], folder: Path
) -> tuple[list[PathScore], Unwritten]:
    """Drive paths, standing and flying, and draw each.

    Args:
        paths: The first is that of the training: of it there is a picture of the first seconds.

    Returns:
        The scores on the other paths, and the pictures that the file system refused.
    """
    scores: list[PathScore] = []
    unwritten: Unwritten = {}
    max_times = (_DRAWN_TIME * scene.vehicle.root_size, *[None] * (len(paths) - 1))
    driven = drive_together(scene, driver, paths, max_times=max_times)
    for number, (own, is_standing) in enumerate(_unbroken(driven)):
        name = own.trajectory.path.name
        file = folder / f"drive-{number}-{name}.png"
        with kept(unwritten, file):
            plot_drive(own, file)
        if number:
            for start, cars in (("standing", is_standing), ("flying", ~is_standing)):
                scores.append(PathScore(name, start, own.select(cars).metrics()))
    limit = _FAST_STEERING / scene.vehicle.root_size
    fast = [own.path for own in scores if own.metrics.steering_rate_rms_radps > limit]
    if fast:
        logger.warning(
            f"the steering swings to and fro (over {limit:.2g} rad/s) on "
            f"{', '.join(dict.fromkeys(fast))}; calmer: more updates (train.num_updates), or a "
            "larger loss.smoothness"
        )
    return scores, unwritten


def table_of(scores: Sequence[PathScore], skipped: float) -> Table[PathScore]:
    """Return scores for people; errors count after a distance [m]."""
    title = (
        f"paths never trained on, plain physics, errors after {skipped:.3g} m or a quarter "
        "of a short path"
    )
    return Table(title, _SCORES, scores)


def _unbroken(drives: Iterator[tuple[Drive, Tensor]]) -> Iterator[tuple[Drive, Tensor]]:
    """Yield drives up to one that breaks the physics, which bad weights may do, and tell."""
    try:
        yield from drives
    except SimulationError as error:
        logger.warning(f"driving the paths broke off: {error.message}")
