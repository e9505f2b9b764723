"""`diffcar simulate`, as the terminal sees it."""

from pathlib import Path
from typing import Literal

import typer

from diffcar.cli import options
from diffcar.cli.options import Given, Options, option, require_suffix, setting, with_options
from diffcar.controllers.config import check_controller
from diffcar.tasks.tracking.config import SimulateConfig

__all__ = ["simulate"]


@with_options(
    Options(
        controller=setting(
            str,
            "A run folder, a checkpoint, pure-pursuit, stanley or zero. (default: the newest run)",
            metavar="RUN|CHECKPOINT|NAME",
        ),
    ),
    options.PATH,
    Options(
        start=setting(
            Literal["standing", "flying"], "At rest, or at the reference speed. (default: standing)"
        ),
    ),
    options.SERVOS,
    Options(
        engine=setting(
            Literal["genesis", "mujoco"],
            "mujoco drives in Genesis, too, and compares. (default: genesis)",
        ),
        csv_file=option(Path, "Write the trajectory.", "--csv", metavar="FILE"),
        plot_file=option(Path, "Draw the drive.", "--plot", metavar="FILE.png"),
        video_file=option(Path, "Film the drive.", "--video", metavar="FILE.mp4"),
    ),
    options.common(),
)
def simulate(
    csv_file: Path | None = None,
    plot_file: Path | None = None,
    video_file: Path | None = None,
    *,
    given: Given,
) -> None:
    """Drive a controller along a path in plain physics and measure how well it tracks.

    Without arguments: the newest run's controller, or pure pursuit, on the figure-eight.
    """
    require_suffix(plot_file, ".png")
    require_suffix(video_file, ".mp4")
    config = given.config(SimulateConfig)
    if video_file is not None and config.engine != "genesis":
        raise typer.BadParameter("--video films in Genesis: leave the engine MuJoCo out")
    if config.controller is not None:
        check_controller(config.controller)
    files = {"csv_file": csv_file, "plot_file": plot_file, "video_file": video_file}
    given.check_files(config, outputs=files.values(), inputs=[config.controller])
    from diffcar.cli.progress import DriveDisplay
    from diffcar.tasks.tracking import simulate as command
    from diffcar.tasks.tracking.tables import simulation_report

    with DriveDisplay() as display:
        result = command.run(config, on_step=display.show, **files)
    notes, written = result.notes, files.values()
    given.report(simulation_report(result), result.as_json(), notes=notes, written=written)
