"""`diffcar franka-test`, as the terminal sees it."""

from pathlib import Path

import typer

from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.options import Given, option, output, with_options
from diffcar.cli.streams import EXIT_INTERRUPTED
from diffcar.cli.train import settings_of, tell_how_to_go_on

__all__ = ["franka_test"]


@with_options(
    out=option(Path, "Run folder of its training to make. (default: one below runs/)"),
    resume=option(Path, "Run folder of its training to go on with."),
    plot_file=output("Draw loss and distances.", "--plot", suffix=".png"),
    video_file=output("Film some reaches.", "--video", suffix=".mp4"),
    **options.common(64),
)
def franka_test(given: Given) -> None:
    """Prove a Franka arm's gradients and train it to reach, through rigid-body physics.

    Takes about a minute. Exits with 1 if a gradient is wrong or the hand stays too far away.
    """
    config = settings_of("e2e", given, task="reaching")
    given.check_files(config)
    from diffcar.checks import arm as command
    from diffcar.checks.tables import arm_report
    from diffcar.cli.progress import TrainingDisplay

    with TrainingDisplay(config.train.num_updates) as display:
        result = command.run(
            config, out=given.out, resume=given.run, on_update=display.show, **given.files
        )
    given.report(arm_report(result), command.as_json(result))
    if result.is_interrupted:
        tell_how_to_go_on("franka-test", result, config.train.num_updates)
        raise typer.Exit(EXIT_INTERRUPTED)
    if not (result.is_certified and result.is_reached):
        raise typer.Exit(EXIT_NEGATIVE)
