"""The commands that train, as the terminal sees them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffcar.cli import options
from diffcar.cli.console import EXIT_INTERRUPTED, note
from diffcar.cli.options import Entity, Given, with_options
from diffcar.controllers.config import check_controller
from diffcar.training.methods import METHODS

if TYPE_CHECKING:
    from diffcar.tasks.pushing.config import TrainPushConfig
    from diffcar.tasks.tracking.config import TrainingConfig

__all__ = ["train_bc", "train_e2e", "train_ppo"]

_CAR = (options.PATH, options.SERVOS, options.RUN)
_REST = (options.FILES, options.ENGINE, options.JSON, options.MESSAGES)


@with_options(*_CAR, "certify", *_REST)
def train_e2e(
    entity: Annotated[
        Entity, typer.Option(help="A car, or a tool that pushes a soft body along the path.")
    ] = "rigid",
    certify: Annotated[
        bool, typer.Option(help="Check the gradients against finite differences first.")
    ] = True,
    *,
    given: Given,
) -> None:
    """Train an MLP by the gradient of a path loss through the physics.

    Without arguments: on a random road, about a minute, with the result in a folder below runs/.
    With --entity mpm: through an elastic body that a tool pushes, about four minutes.
    """
    if entity == "rigid":
        from diffcar.tasks.tracking.config import TrainE2EConfig

        config = given.config(TrainE2EConfig, base=_stored_config(given, "e2e"))
        _train("e2e", given, config, certify=certify)
        return
    from diffcar.tasks.pushing.config import TrainPushConfig

    if given.has("actuation"):
        raise typer.BadParameter("--actuation is about a car's servos; --entity mpm has none")
    pushing = given.config(TrainPushConfig, base=_stored_config(given, "e2e", "pushing"))
    _train("e2e", given, pushing, certify=certify)


@with_options(*_CAR, *_REST)
def train_bc(
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="CSV of demonstrations; may be repeated."),
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
    *,
    given: Given,
) -> None:
    """Clone an expert into the same MLP: supervised learning from a CSV of demonstrations.

    Without arguments: records pure pursuit on a random road and clones it.
    """
    from diffcar.training.bc.config import TrainBCConfig

    own = {
        "data": [str(file) for file in data] if data else None,
        "columns": dict(map(_split, column)) if column else None,
        "skip_incomplete": skip_incomplete,
        "expert": expert,
        "train.dagger_rounds": dagger_rounds,
    }
    config = given.config(TrainBCConfig, own, base=_stored_config(given, "bc"))
    if not config.data or config.train.dagger_rounds:
        check_controller(config.expert)
    _train("bc", given, config, inputs=config.data)


@with_options(*_CAR, *_REST)
def train_ppo(given: Given) -> None:
    """Train the same MLP by proximal policy optimisation, for comparison with train-e2e.

    The reward is minus the loss of train-e2e. Needs rsl-rl-lib: pip install 'rsl-rl-lib>=5,<6'.
    """
    from diffcar.training.ppo.config import TrainPPOConfig

    _train("ppo", given, given.config(TrainPPOConfig, base=_stored_config(given, "ppo")))


def _split(given: str) -> tuple[str, str]:
    """Split an argument of `--column`."""
    name, separator, theirs = given.partition("=")
    if not (separator and name.strip() and theirs.strip()):
        raise typer.BadParameter(
            f"--column {given!r} is not of the form NAME=THEIRS or NAME=THEIRS*FACTOR"
        )
    return name.strip(), theirs.strip()


def _train(
    method: str,
    given: Given,
    config: "TrainingConfig | TrainPushConfig",
    *,
    inputs: Sequence[str] = (),
    certify: bool = True,
) -> None:
    """Train, show what came of it, and say how a stopped run goes on.

    Args:
        method: A name of `METHODS`.
        given: Options that all methods share.
        config: The resolved configuration.
        inputs: Files that are read besides.
        certify: Whether gradients are checked first.
    """
    given.check_files(config, inputs=inputs)
    from diffcar.cli.progress import TrainingDisplay
    from diffcar.training.run import train
    from diffcar.training.tables import training_report

    with TrainingDisplay(config.train.num_updates) as display:
        result = train(
            method,
            config,
            out=given.out,
            resume=given.run,
            stop_after=given.stop_after,
            certify=certify,
            on_update=display.show,
        )
    given.report(training_report(result), result.as_json())
    if num_skipped := result.findings.get("num_skipped_rows"):
        note(f"incomplete rows that were left out: {num_skipped}")
    if result.is_interrupted:
        command = METHODS[method].command_for(config.task)
        note(
            f"stopped after update {result.num_updates} of {config.train.num_updates}; "
            f"go on with: diffcar {command} --resume {result.run_folder}"
        )
        raise typer.Exit(0 if given.stop_after is not None else EXIT_INTERRUPTED)


def _stored_config(given: Given, method: str, task: str = "tracking") -> dict[str, Any] | None:
    """Return the settings of the run that is resumed, if one is; it must be of this method."""
    if given.resume is None:
        return None
    if given.out is not None:
        raise typer.BadParameter("--resume goes on in its own folder; drop --out")
    # Only a run that exists is worth importing torch for.
    from diffcar.training.run_folder import RunFolder

    given.run = RunFolder.open(given.resume)
    from diffcar.training.run import stored_config

    return stored_config(given.run, method, task)
