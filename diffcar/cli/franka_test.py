"""`diffcar franka-test`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.base.config import load_config
from diffcar.base.files import check_outputs
from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE, JsonSink, errors, note
from diffcar.tasks.reaching.config import FrankaTestConfig

__all__ = ["franka_test"]


def franka_test(
    plot_file: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.png", help="Draw loss and distances."),
    ] = None,
    video_file: Annotated[
        Path | None, typer.Option("--video", metavar="FILE.mp4", help="Film some reaches.")
    ] = None,
    json_target: options.JsonTarget = None,
    config_file: options.ConfigFile = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    backend: options.BackendOption = None,
    precision: Annotated[
        options.Precision | None,
        typer.Option("--precision", help="Bits of a number. (default: 64)"),
    ] = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Prove a Franka arm's gradients and train it to reach, through rigid-body physics.

    Takes about a minute. Exits with 1 if a gradient is wrong or the hand stays too far away.
    """
    with errors(debug):
        for file, suffix in ((plot_file, ".png"), (video_file, ".mp4")):
            if file is not None and file.suffix.lower() != suffix:
                raise typer.BadParameter(f"{str(file)!r} does not end in {suffix}")
        config = load_config(
            FrankaTestConfig,
            file=config_file,
            overrides=overrides or (),
            flags=options.engine_flags(
                seed=seed, backend=backend, precision=precision, verbose=verbose
            ),
        )
        sink = JsonSink(json_target)
        check_outputs(
            [file for file in (sink.file, plot_file, video_file) if file],
            inputs=[config_file] if config_file else [],
        )
        from diffcar.checks import arm as command
        from diffcar.cli.progress import TrainingDisplay
        from diffcar.cli.render_franka import show_franka_test

        with TrainingDisplay(config.train.num_updates) as display:
            result = command.run(
                config,
                plot_file=plot_file,
                video_file=video_file,
                on_update=display.show,
            )
        show_franka_test(result, sink.console())
        for file in (plot_file, video_file):
            if file is not None:
                note(f"wrote {file}")
        sink.write(command.as_json(result))
        if not (result.is_certified and result.is_reached):
            raise typer.Exit(EXIT_NEGATIVE)
