"""`diffcar train-e2e`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.cli import options
from diffcar.cli.console import EXIT_INTERRUPTED, JsonSink, errors, note
from diffcar.config import TrainE2EConfig, check_path_source, load_config
from diffcar.files import check_outputs

__all__ = ["train_e2e"]


def train_e2e(
    path: options.PathSource = None,
    path_scale: options.PathScale = None,
    closed: options.Closed = None,
    actuation: options.ActuationOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make. (default: one below runs/)")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to go on with.")] = None,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="Stop this session after so many updates.")
    ] = None,
    certify: Annotated[
        bool, typer.Option(help="Check the gradients against finite differences first.")
    ] = True,
    config_file: options.ConfigFile = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    backend: options.BackendOption = None,
    precision: options.PrecisionOption = None,
    json_target: options.JsonTarget = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train an MLP by the gradient of a path loss through rigid-body physics.

    Without arguments: on a random road, about a minute, with the result in a folder below runs/.
    """
    with errors(debug):
        if resume is not None and out is not None:
            raise typer.BadParameter("--resume goes on in its own folder; drop --out")
        config = load_config(
            TrainE2EConfig,
            base=_stored_config(resume),
            file=config_file,
            overrides=overrides or (),
            flags=options.config_flags(
                path,
                path_scale,
                closed,
                actuation,
                seed=seed,
                backend=backend,
                precision=precision,
            ),
        )
        for source in (config.path.source, *config.evaluation.unseen_paths):
            check_path_source(source)
        sink = JsonSink(json_target)
        inputs = (config.path.source, config.model, config_file, resume)
        check_outputs(
            [sink.file] if sink.file else [], inputs=[Path(given) for given in inputs if given]
        )
        from diffcar.cli.render import TrainingDisplay, show_training
        from diffcar.commands import train_e2e as command

        with TrainingDisplay(config.train.num_updates) as display:
            result = command.run(
                config,
                out=out,
                resume=resume,
                stop_after=stop_after,
                certify=certify,
                verbose=verbose,
                on_event=display.show,
            )
        show_training(result, sink.console())
        sink.write(command.as_json(result))
        if result.is_interrupted:
            note(
                f"stopped after update {result.num_updates} of {config.train.num_updates}; "
                f"go on with: diffcar train-e2e --resume {result.run_folder}"
            )
            raise typer.Exit(0 if stop_after is not None else EXIT_INTERRUPTED)


def _stored_config(resume: Path | None) -> dict[str, object] | None:
    """Return the configuration of the run that is resumed."""
    if resume is None:
        return None
    from diffcar.training.run_folder import RunFolder

    run = RunFolder.open(resume)
    # Only a run that exists is worth importing torch for.
    from diffcar.training.checkpoint import config_values, load_checkpoint

    return config_values(load_checkpoint(run.checkpoints / "last.pt"))
