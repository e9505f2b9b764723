"""`diffcar simulate`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.base.config import load_config
from diffcar.base.files import check_outputs
from diffcar.cli import options
from diffcar.cli.console import JsonSink, errors, note
from diffcar.controllers.config import check_controller
from diffcar.path.config import check_path_source
from diffcar.tasks.tracking.config import SimulateConfig

__all__ = ["simulate"]


def simulate(
    controller: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|CHECKPOINT|NAME",
            help="A run folder, a checkpoint, pure-pursuit, stanley or zero. "
            "(default: the newest run)",
        ),
    ] = None,
    path: options.PathSource = None,
    path_scale: options.PathScale = None,
    closed: options.Closed = None,
    start: Annotated[
        options.Start | None,
        typer.Option(help="At rest, or at the reference speed. (default: standing)"),
    ] = None,
    actuation: options.ActuationOption = None,
    engine: Annotated[
        options.Engine | None,
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
        for file, suffix in ((plot_file, ".png"), (video_file, ".mp4")):
            if file is not None and file.suffix.lower() != suffix:
                raise typer.BadParameter(f"{str(file)!r} does not end in {suffix}")
        shared = options.config_flags(
            path,
            path_scale,
            closed,
            actuation,
            seed=seed,
            backend=backend,
            precision=precision,
            verbose=verbose,
        )
        config = load_config(
            SimulateConfig,
            file=config_file,
            overrides=overrides or (),
            flags={
                **shared,
                "controller": controller,
                "engine": engine and engine.value,
                "start": start and start.value,
            },
        )
        if video_file is not None and config.engine != "genesis":
            raise typer.BadParameter("--video films in Genesis: leave the engine MuJoCo out")
        check_path_source(config.path.source)
        if config.controller is not None:
            check_controller(config.controller)
        sink = JsonSink(json_target)
        outputs = [file for file in (sink.file, csv_file, plot_file, video_file) if file]
        inputs = (config.path.source, config.controller, config.model, config_file)
        check_outputs(outputs, inputs=[Path(given) for given in inputs if given])
        from diffcar.cli.progress import DriveDisplay
        from diffcar.cli.render import show_simulation
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
        for line in result.notes:
            note(line)
        show_simulation(result, sink.console())
        for file in (csv_file, plot_file, video_file):
            if file is not None:
                note(f"wrote {file}")
        sink.write(result.as_json())
