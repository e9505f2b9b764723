"""`diffcar measure-grip`, as the terminal sees it."""

import math
from operator import itemgetter
from typing import Literal

from diffcar.base.table import Column, Shown, Table
from diffcar.cli import options
from diffcar.cli.options import Given, setting, with_options
from diffcar.tasks.tracking.config import MeasureGripConfig

__all__ = ["measure_grip"]


@with_options(
    **options.MODEL_FILE,
    **options.SERVOS,
    engine=setting(Literal["genesis", "mujoco"], "Where it is driven. (default: genesis)"),
    **options.common("drive=all"),
)
def measure_grip(given: Given) -> None:
    """Measure what a car's tyres hold, in the worst direction, and keep it beside its model.

    `--grip` and the controller acceleration-pursuit go by what is kept. The shipped cars have
    theirs already.
    """
    config = given.config(MeasureGripConfig)
    given.check_files(config)
    from diffcar.cli.progress import DriveDisplay
    from diffcar.tasks.tracking import grip as command

    with DriveDisplay() as display:
        file, diagram = command.measure(config, on_round=display.show)
    title = f"largest accelerations held [m/s²], by speed and direction; kept in {file}"
    rows = [
        (speed, *accelerations)
        for speed, accelerations in zip(diagram.speeds, diagram.accelerations, strict=True)
    ]
    headings = ["at", *(_heading(round(math.degrees(own))) for own in diagram.directions)]
    columns: list[Column[tuple[float, ...]]] = [
        Column(heading, itemgetter(index), "" if index else "m/s")
        for index, heading in enumerate(headings)
    ]
    shown: list[Shown] = [Table(title, columns, rows)]
    values = {
        "file": str(file),
        "speeds_mps": diagram.speeds.tolist(),
        "directions_rad": diagram.directions.tolist(),
        "accelerations_mps2": diagram.accelerations.tolist(),
    }
    given.report(shown, values)


def _heading(degrees: int) -> str:
    """Return what stands over a direction of the g-g diagram."""
    return f"{degrees}°" + {-90: " braking", 0: " turning", 90: " faster"}.get(degrees, "")
