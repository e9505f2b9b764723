"""`diffcar franka-test`, as the terminal sees it."""

import typer

from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import output
from diffcar.cli.streams import EXIT_INTERRUPTED
from diffcar.cli.train import note_resume, settings_of

__all__ = ["franka_test"]


@with_options(
    **options.run_folder(" of its training"),
    plot_file=output("Draw loss and distances.", "--plot", suffix=".png"),
    video_file=output("Film some reaches.", "--video", suffix=".mp4"),
    **options.common("train.num_updates=100", 64),
)
def franka_test(given: Given) -> None:
    """Prove a Franka arm's gradients and train it to reach, through rigid-body physics.

    Takes about a minute. Exits with 1 if a gradient is wrong or the hand stays too far away.
    """
    config = settings_of("e2e", given, task="reaching")
    given.check_files(config)
    from diffcar.checks import arm as command
    from diffcar.cli.progress import TrainingDisplay

    with TrainingDisplay(config.train.most_updates) as display:
        result = command.run(
            config, out=given.out, resume=given.run, on_update=display.show, **given.files
        )
    unwritten = result.trained.unwritten
    given.report(command.arm_report(result), result.as_json(), unwritten=unwritten)
    if result.trained.is_interrupted:
        note_resume("e2e", config, result.trained)
        raise typer.Exit(EXIT_INTERRUPTED)
    if not (result.is_certified and result.is_reached):
        raise typer.Exit(EXIT_NEGATIVE)
