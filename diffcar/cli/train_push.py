"""`diffcar train-e2e --entity mpm`, as the terminal sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from diffcar.base.config import load_config
from diffcar.base.files import check_outputs
from diffcar.cli.console import EXIT_INTERRUPTED, JsonSink, note
from diffcar.cli.training import stored_config
from diffcar.path.config import check_path_source
from diffcar.tasks.pushing.config import TrainPushConfig

__all__ = ["train_push"]


def train_push(
    *,
    flags: Mapping[str, object],
    out: Path | None,
    resume: Path | None,
    stop_after: int | None,
    certify: bool,
    config_file: Path | None,
    overrides: Sequence[str],
    json_target: str | None,
) -> None:
    """Resolve the settings of pushing a soft body, train, and show what came of it.

    Args:
        flags: Flags by their configuration keys.
        out: Run folder to make.
        resume: Run folder to go on with.
        stop_after: Updates after which this session stops.
        certify: Whether to check the gradient first.
        config_file: YAML file of settings.
        overrides: `--set` arguments.
        json_target: The argument of `--json`.
    """
    if resume is not None and out is not None:
        raise typer.BadParameter("--resume goes on in its own folder; drop --out")
    if flags.get("actuation") is not None:
        raise typer.BadParameter("--actuation is about a car's servos; --entity mpm has none")
    config = load_config(
        TrainPushConfig,
        base=stored_config(resume, "e2e", "pushing"),
        file=config_file,
        overrides=overrides,
        flags=flags,
    )
    for source in (config.path.source, *config.evaluation.unseen_paths):
        check_path_source(source)
    sink = JsonSink(json_target)
    inputs = [Path(given) for given in (config.path.source, config_file, resume) if given]
    check_outputs([sink.file] if sink.file else [], inputs=inputs)
    from diffcar.cli.progress import TrainingDisplay
    from diffcar.cli.render_push import show_push_training
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
    show_push_training(result, sink.console())
    sink.write(result.as_json())
    if result.is_interrupted:
        note(
            f"stopped after update {result.num_updates} of {config.train.num_updates}; "
            f"go on with: diffcar train-e2e --entity mpm --resume {result.run_folder}"
        )
        raise typer.Exit(0 if stop_after is not None else EXIT_INTERRUPTED)
