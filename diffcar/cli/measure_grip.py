"""`diffcar measure-grip`, as the terminal sees it."""

from diffcar.cli import options
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import setting
from diffcar.sim.config import EngineName
from diffcar.tasks.tracking.config import MeasureGripConfig

__all__ = ["measure_grip"]


@with_options(
    **options.MODEL_FILE,
    **options.SERVOS,
    engine=setting(EngineName, "Where it is driven. (default: genesis)"),
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
        result = command.measure(config, on_round=display.show)
    given.report(command.grip_report(result), result.as_json())
