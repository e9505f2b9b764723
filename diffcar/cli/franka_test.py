"""`diffcar franka-test`, as the terminal sees it."""

from pathlib import Path

import typer

from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.options import Given, Options, option, require_suffix, with_options
from diffcar.tasks.reaching.config import FrankaTestConfig

__all__ = ["franka_test"]


@with_options(
    Options(
        out=option(Path, "Run folder of its training to make. (default: one below runs/)"),
        plot_file=option(Path, "Draw loss and distances.", "--plot", metavar="FILE.png"),
        video_file=option(Path, "Film some reaches.", "--video", metavar="FILE.mp4"),
    ),
    options.common(64),
)
def franka_test(
    plot_file: Path | None = None, video_file: Path | None = None, *, given: Given
) -> None:
    """Prove a Franka arm's gradients and train it to reach, through rigid-body physics.

    Takes about a minute. Exits with 1 if a gradient is wrong or the hand stays too far away.
    """
    require_suffix(plot_file, ".png")
    require_suffix(video_file, ".mp4")
    config = given.config(FrankaTestConfig)
    files = {"plot_file": plot_file, "video_file": video_file}
    given.check_files(config, outputs=files.values())
    from diffcar.checks import arm as command
    from diffcar.checks.tables import arm_report
    from diffcar.cli.progress import TrainingDisplay

    with TrainingDisplay(config.train.num_updates) as display:
        result = command.run(config, out=given.out, on_update=display.show, **files)
    given.report(arm_report(result), command.as_json(result), written=files.values())
    if not (result.is_certified and result.is_reached):
        raise typer.Exit(EXIT_NEGATIVE)
