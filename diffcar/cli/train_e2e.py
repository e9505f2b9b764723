"""`diffcar train-e2e`, as the terminal sees it."""

from enum import StrEnum
from typing import Annotated

import typer

from diffcar.cli import options
from diffcar.cli.console import errors
from diffcar.cli.train_push import train_push
from diffcar.cli.training import conclude, training_config, training_sink
from diffcar.tasks.tracking.config import TrainE2EConfig

__all__ = ["train_e2e"]


class Entity(StrEnum):
    """What is driven through the physics."""

    rigid = "rigid"
    mpm = "mpm"


def train_e2e(
    entity: Annotated[
        Entity,
        typer.Option(help="A car, or a tool that pushes a soft body along the path."),
    ] = Entity.rigid,
    path: options.PathSource = None,
    path_scale: options.PathScale = None,
    closed: options.Closed = None,
    actuation: options.ActuationOption = None,
    out: options.RunOut = None,
    resume: options.Resume = None,
    stop_after: options.StopAfter = None,
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
    """Train an MLP by the gradient of a path loss through the physics.

    Without arguments: on a random road, about a minute, with the result in a folder below runs/.
    With --entity mpm: through an elastic body that a tool pushes, about four minutes.
    """
    with errors(debug):
        flags = options.config_flags(
            path,
            path_scale,
            closed,
            actuation,
            seed=seed,
            backend=backend,
            precision=precision,
            verbose=verbose,
        )
        if entity is Entity.mpm:
            train_push(
                flags=flags,
                out=out,
                resume=resume,
                stop_after=stop_after,
                certify=certify,
                config_file=config_file,
                overrides=overrides or (),
                json_target=json_target,
            )
            return
        config = training_config(
            TrainE2EConfig,
            "e2e",
            out=out,
            resume=resume,
            file=config_file,
            overrides=overrides,
            flags=flags,
        )
        sink = training_sink(json_target, config, config_file, resume)
        from diffcar.cli.progress import TrainingDisplay
        from diffcar.cli.render import show_gradients, show_training
        from diffcar.training.run import train

        with TrainingDisplay(config.train.num_updates) as display:
            result = train(
                "e2e",
                config,
                out=out,
                resume=resume,
                stop_after=stop_after,
                certify=certify,
                on_update=display.show,
            )
        show_gradients(result, sink.console())
        show_training(result, sink.console())
        sink.write(result.as_json())
        conclude(result, config, "train-e2e", stop_after)
