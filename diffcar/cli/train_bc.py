"""`diffcar train-bc`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.cli import options
from diffcar.cli.console import errors, note
from diffcar.cli.training import conclude, training_config, training_sink
from diffcar.controllers.config import check_controller
from diffcar.training.bc.config import TrainBCConfig

__all__ = ["train_bc"]


def train_bc(
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="FILE", help="CSV of demonstrations; may be repeated."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=THEIRS[*FACTOR]",
            help="What the files call a column: yaw_rad=deg*0.0174533. May be repeated.",
        ),
    ] = None,
    skip_incomplete: Annotated[
        bool | None,
        typer.Option("--skip-incomplete", help="Leave out rows that lack a number."),
    ] = None,
    expert: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|CHECKPOINT|NAME",
            help="Who is recorded if there is no --data. (default: pure-pursuit)",
        ),
    ] = None,
    dagger_rounds: Annotated[
        int | None, typer.Option(help="Rounds in which the network drives and the expert corrects.")
    ] = None,
    path: options.PathSource = None,
    path_scale: options.PathScale = None,
    closed: options.Closed = None,
    actuation: options.ActuationOption = None,
    out: options.RunOut = None,
    resume: options.Resume = None,
    stop_after: options.StopAfter = None,
    config_file: options.ConfigFile = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    backend: options.BackendOption = None,
    precision: options.PrecisionOption = None,
    json_target: options.JsonTarget = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Clone an expert into the same MLP: supervised learning from a CSV of demonstrations.

    Without arguments: records pure pursuit on a random road and clones it.
    """
    with errors(debug):
        flags = {
            **options.config_flags(
                path,
                path_scale,
                closed,
                actuation,
                seed=seed,
                backend=backend,
                precision=precision,
                verbose=verbose,
            ),
            "data": [str(file) for file in data] if data else None,
            "columns": dict(_split(given) for given in column) if column else None,
            "skip_incomplete": skip_incomplete,
            "expert": expert,
            "train.dagger_rounds": dagger_rounds,
        }
        config = training_config(
            TrainBCConfig,
            "bc",
            out=out,
            resume=resume,
            file=config_file,
            overrides=overrides,
            flags=flags,
        )
        if not config.data or config.train.dagger_rounds:
            check_controller(config.expert)
        inputs = (config_file, resume, *config.data)
        sink = training_sink(json_target, config, *inputs)
        from diffcar.cli.progress import TrainingDisplay
        from diffcar.cli.render import show_training
        from diffcar.training.run import train

        with TrainingDisplay(config.train.num_updates) as display:
            result = train(
                "bc",
                config,
                out=out,
                resume=resume,
                stop_after=stop_after,
                on_update=display.show,
            )
        show_training(result, sink.console())
        if result.findings["num_skipped_rows"]:
            note(f"incomplete rows that were left out: {result.findings['num_skipped_rows']}")
        sink.write(result.as_json())
        conclude(result, config, "train-bc", stop_after)


def _split(given: str) -> tuple[str, str]:
    """Split an argument of `--column`."""
    name, separator, theirs = given.partition("=")
    if not (separator and name.strip() and theirs.strip()):
        raise typer.BadParameter(
            f"--column {given!r} is not of the form NAME=THEIRS or NAME=THEIRS*FACTOR"
        )
    return name.strip(), theirs.strip()
