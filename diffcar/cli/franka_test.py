"""`diffcar franka-test`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.options import Given, require_suffix, with_options

__all__ = ["franka_test"]


@with_options(options.JSON, options.FILES, options.ENGINE | options.precision(64), options.MESSAGES)
def franka_test(
    plot_file: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.png", help="Draw loss and distances."),
    ] = None,
    video_file: Annotated[
        Path | None, typer.Option("--video", metavar="FILE.mp4", help="Film some reaches.")
    ] = None,
    *,
    given: Given,
) -> None:
    """Prove a Franka arm's gradients and train it to reach, through rigid-body physics.

    Takes about a minute. Exits with 1 if a gradient is wrong or the hand stays too far away.
    """
    from diffcar.tasks.reaching.config import FrankaTestConfig

    require_suffix(plot_file, ".png")
    require_suffix(video_file, ".mp4")
    config = given.config(FrankaTestConfig)
    files = (plot_file, video_file)
    given.check_files(config, outputs=files)
    from diffcar.checks import arm as command
    from diffcar.checks.tables import arm_report
    from diffcar.cli.progress import TrainingDisplay

    with TrainingDisplay(config.train.num_updates) as display:
        result = command.run(
            config, plot_file=plot_file, video_file=video_file, on_update=display.show
        )
    given.report(arm_report(result), command.as_json(result), written=files)
    if not (result.is_certified and result.is_reached):
        raise typer.Exit(EXIT_NEGATIVE)
