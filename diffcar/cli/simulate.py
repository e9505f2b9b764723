"""`diffcar simulate`, as the terminal sees it."""

from typing import Literal

import typer

from diffcar.cli import options
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import output, setting
from diffcar.controllers.config import check_controller
from diffcar.sim.config import EngineName
from diffcar.tasks.tracking.config import SimulateConfig

__all__ = ["simulate"]


@with_options(
    controller=options.controller("Who drives", "the newest run, or else shipped"),
    **options.PATH,
    start=setting(
        Literal["standing", "flying"], "At rest, or at the reference speed. (default: standing)"
    ),
    **options.MODEL_FILE,
    **options.SERVOS,
    engine=setting(
        EngineName, "Another than Genesis drives there, too, and compares. (default: genesis)"
    ),
    csv_file=output("Write the trajectory.", "--csv"),
    plot_file=output("Draw the drive.", "--plot", suffix=".png"),
    video_file=output("Film the drive.", "--video", suffix=".mp4"),
    **options.VIEWER,
    **options.common("start_cross_track=0.1"),
)
def simulate(given: Given) -> None:
    """Drive a controller along a path in plain physics and measure how well it tracks.

    Without arguments: the newest run's controller, or the one that comes with diffcar, on the
    figure-eight.
    """
    config = given.config(SimulateConfig)
    if given.files["video_file"] and config.engine != "genesis":
        raise typer.BadParameter("--video films in Genesis: leave the engine out")
    if config.controller is not None:
        check_controller(config.controller)
    given.check_files(config, inputs=[config.controller])
    from diffcar.cli.progress import DriveDisplay
    from diffcar.tasks.tracking import simulate as command

    with DriveDisplay() as display:
        result = command.run(config, on_step=display.show, **given.files)
    report, notes = command.simulation_report(result), result.notes
    given.report(report, result.as_json(), notes=notes, unwritten=result.unwritten)
