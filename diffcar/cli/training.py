"""What the commands that train have in common around their own work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from diffcar.base.config import load_config
from diffcar.base.files import check_outputs
from diffcar.cli.console import EXIT_INTERRUPTED, JsonSink, note
from diffcar.path.config import check_path_source
from diffcar.tasks.tracking.config import TrainingConfig

if TYPE_CHECKING:
    from diffcar.training.run import TrainingResult

__all__ = ["conclude", "stored_config", "training_config", "training_sink"]

ConfigT = TypeVar("ConfigT", bound=TrainingConfig)


def training_config(
    schema: type[ConfigT],
    method: str,
    *,
    out: Path | None,
    resume: Path | None,
    file: Path | None,
    overrides: Sequence[str] | None,
    flags: Mapping[str, object],
) -> ConfigT:
    """Resolve the configuration of a new run, or of one that goes on.

    Args:
        schema: That of the command.
        method: What it trains by: `e2e`, `bc` or `ppo`.
        out: The run folder to make.
        resume: The run folder to go on with, whose settings are the defaults.
        file: YAML file of settings.
        overrides: `--set` arguments.
        flags: Flags by their configuration keys.
    """
    if resume is not None and out is not None:
        raise typer.BadParameter("--resume goes on in its own folder; drop --out")
    config = load_config(
        schema,
        base=stored_config(resume, method),
        file=file,
        overrides=overrides or (),
        flags=dict(flags),
    )
    for source in (config.path.source, *config.evaluation.unseen_paths):
        check_path_source(source)
    return config


def training_sink(
    target: str | None, config: TrainingConfig, *inputs: Path | str | None
) -> JsonSink:
    """Return where the result goes, once it is sure that it overwrites nothing that is read.

    Args:
        target: The argument of `--json`.
        config: Names files that are read.
        inputs: Others.
    """
    sink = JsonSink(target)
    read = (config.path.source, config.model, *config.evaluation.unseen_paths, *inputs)
    check_outputs([sink.file] if sink.file else [], inputs=[Path(given) for given in read if given])
    return sink


def conclude(
    result: "TrainingResult", config: TrainingConfig, command: str, stop_after: int | None
) -> None:
    """Say how a run that was stopped goes on, and exit as a shell expects."""
    if result.is_interrupted:
        note(
            f"stopped after update {result.num_updates} of {config.train.num_updates}; "
            f"go on with: diffcar {command} --resume {result.run_folder}"
        )
        raise typer.Exit(0 if stop_after is not None else EXIT_INTERRUPTED)


def stored_config(
    resume: Path | None, method: str, task: str = "tracking"
) -> dict[str, object] | None:
    """Return the configuration of the run that is resumed, if one is.

    Args:
        resume: Its folder.
        method: What it must have been trained by.
        task: What it must have been trained for.

    Raises:
        CheckpointError: If it is no run, or another method's.
    """
    if resume is None:
        return None
    from diffcar.training.run_folder import RunFolder

    run = RunFolder.open(resume)
    # Only a run that exists is worth importing torch for.
    from diffcar.training.run import stored_config as config_of

    return config_of(run, method, task)
