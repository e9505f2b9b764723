"""`diffcar simulate`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.cli import options
from diffcar.cli.console import JsonSink, errors, note
from diffcar.config import SimulateConfig, load_config
from diffcar.files import check_writable

__all__ = ["simulate"]


def simulate(
    controller: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|CHECKPOINT|NAME",
            help="A run folder, a checkpoint, pure-pursuit, stanley or zero. "
            "[default: the newest run]",
        ),
    ] = None,
    path: options.PathSource = None,
    path_scale: options.PathScale = None,
    closed: options.Closed = None,
    start: Annotated[
        options.Start | None,
        typer.Option(help="At rest, or at the reference speed. [default: standing]"),
    ] = None,
    actuation: options.ActuationOption = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the trajectory.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the drive.")
    ] = None,
    video_file: Annotated[
        Path | None, typer.Option("--video", metavar="FILE.mp4", help="Film the drive.")
    ] = None,
    json_target: options.JsonTarget = None,
    config_file: options.ConfigFile = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    backend: options.BackendOption = None,
    precision: options.PrecisionOption = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Drive a controller along a path in plain physics and measure how well it tracks.

    Without arguments: the newest run's controller, or pure pursuit, on the figure-eight.
    """
    with errors(debug):
        sink = JsonSink(json_target)
        inputs = tuple(Path(given) for given in (path, controller) if given)
        for file, suffix in ((csv_file, None), (plot_file, ".png"), (video_file, ".mp4")):
            if file is not None:
                check_writable(file, inputs=inputs)
                if suffix and file.suffix.lower() != suffix:
                    raise typer.BadParameter(f"{str(file)!r} does not end in {suffix}")
        config = load_config(
            SimulateConfig,
            file=config_file,
            overrides=overrides or (),
            flags={
                "controller": controller,
                "path.source": path,
                "path.scale": path_scale,
                "path.closed": closed,
                "start": start and start.value,
                "actuation": actuation and actuation.value,
                "seed": seed,
                "backend": backend and backend.value,
                "precision": precision and int(precision.value),
            },
        )
        from diffcar.cli.render import DriveDisplay, show_simulation
        from diffcar.commands import simulate as command

        with DriveDisplay() as display:
            result = command.run(
                config,
                csv_file=csv_file,
                plot_file=plot_file,
                video_file=video_file,
                verbose=verbose,
                on_step=display.show,
            )
        for line in result.notes:
            note(line)
        show_simulation(result, sink.console())
        for file in (csv_file, plot_file, video_file):
            if file is not None:
                note(f"wrote {file}")
        sink.write(result.as_json())
