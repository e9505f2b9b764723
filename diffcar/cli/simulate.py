"""`diffcar simulate`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diffcar.cli import options
from diffcar.cli.options import Given, require_suffix, with_options
from diffcar.controllers.config import check_controller

__all__ = ["simulate"]


@with_options(
    options.PATH,
    "start",
    options.SERVOS,
    *("engine", "csv_file", "plot_file", "video_file"),
    options.JSON,
    options.FILES,
    options.ENGINE,
    options.MESSAGES,
)
def simulate(
    controller: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|CHECKPOINT|NAME",
            help="A run folder, a checkpoint, pure-pursuit, stanley or zero. "
            "(default: the newest run)",
        ),
    ] = None,
    start: Annotated[
        Literal["standing", "flying"] | None,
        typer.Option(help="At rest, or at the reference speed. (default: standing)"),
    ] = None,
    engine: Annotated[
        Literal["genesis", "mujoco"] | None,
        typer.Option(help="mujoco drives in Genesis, too, and compares. (default: genesis)"),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the trajectory.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the drive.")
    ] = None,
    video_file: Annotated[
        Path | None, typer.Option("--video", metavar="FILE.mp4", help="Film the drive.")
    ] = None,
    *,
    given: Given,
) -> None:
    """Drive a controller along a path in plain physics and measure how well it tracks.

    Without arguments: the newest run's controller, or pure pursuit, on the figure-eight.
    """
    from diffcar.tasks.tracking.config import SimulateConfig

    require_suffix(plot_file, ".png")
    require_suffix(video_file, ".mp4")
    config = given.config(
        SimulateConfig, {"controller": controller, "engine": engine, "start": start}
    )
    if video_file is not None and config.engine != "genesis":
        raise typer.BadParameter("--video films in Genesis: leave the engine MuJoCo out")
    if config.controller is not None:
        check_controller(config.controller)
    files = (csv_file, plot_file, video_file)
    given.check_files(config, outputs=files, inputs=[config.controller])
    from diffcar.cli.progress import DriveDisplay
    from diffcar.tasks.tracking import simulate as command

    with DriveDisplay() as display:
        display.say("building the scene (a minute or two the first time) ...")
        result = command.run(
            config,
            csv_file=csv_file,
            plot_file=plot_file,
            video_file=video_file,
            on_step=display.show,
        )
    shown = command.simulation_report(result)
    given.report(shown, result.as_json(), notes=result.notes, written=files)
