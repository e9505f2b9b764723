"""`diffcar record`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.base.config import load_config
from diffcar.base.errors import OutputError
from diffcar.base.files import check_outputs
from diffcar.cli import options
from diffcar.cli.console import JsonSink, errors, note
from diffcar.controllers.config import check_controller
from diffcar.demonstrations.config import RecordConfig
from diffcar.path.config import check_path_source

__all__ = ["record"]


def record(
    expert: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|RUN|CHECKPOINT",
            help="Who is recorded: pure-pursuit, stanley, a run folder or a checkpoint. "
            "(default: pure-pursuit)",
        ),
    ] = None,
    path: options.PathSource = None,
    path_scale: options.PathScale = None,
    closed: options.Closed = None,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="The file to make.")] = Path(
        "demonstrations.csv"
    ),
    episodes: Annotated[
        int | None, typer.Option(help="Cars, each of which drives one episode. (default: 64)")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds of simulated time in an episode. (default: 8)")
    ] = None,
    actuation: options.ActuationOption = None,
    json_target: options.JsonTarget = None,
    config_file: options.ConfigFile = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    backend: options.BackendOption = None,
    precision: options.PrecisionOption = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Record what an expert does along a path, as demonstrations to clone.

    Without arguments: pure pursuit on a random road, most cars disturbed, to demonstrations.csv.
    """
    with errors(debug):
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
            RecordConfig,
            file=config_file,
            overrides=overrides or (),
            flags={
                **shared,
                "expert": expert,
                "demonstrations.num_episodes": episodes,
                "demonstrations.duration": duration,
            },
        )
        check_path_source(config.path.source)
        check_controller(config.expert)
        sink = JsonSink(json_target)
        inputs = (config.path.source, config.expert, config.model, config_file)
        check_outputs(
            [out, *([sink.file] if sink.file else [])],
            inputs=[Path(given) for given in inputs if given],
        )
        if out.exists():
            raise OutputError(
                f"{str(out)!r} exists already", hint="name another file with --out, or move it"
            )
        from diffcar.cli.progress import DriveDisplay
        from diffcar.cli.render_record import show_recording
        from diffcar.demonstrations import record as command

        with DriveDisplay() as display:
            display.say("building the scene (a minute or two the first time) ...")
            result = command.run(config, out=out, on_step=display.show)
        for line in result.notes:
            note(line)
        show_recording(result, sink.console())
        note(f"wrote {out}")
        sink.write(result.as_json())
