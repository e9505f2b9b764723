"""The commands that train, as the terminal sees them."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from diffcar.base.files import resource_path
from diffcar.base.yaml_reader import read_yaml
from diffcar.cli import options
from diffcar.cli.console import note
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import Entity, option, setting
from diffcar.cli.streams import EXIT_INTERRUPTED
from diffcar.controllers.config import check_controller
from diffcar.path.config import COLUMNS
from diffcar.training.methods import METHODS, resume_hint

if TYPE_CHECKING:
    from diffcar.training.run import TrainingResult

__all__ = ["commands", "note_resume", "settings_of", "train_bc", "train_e2e"]

_CAR = {
    **options.CAR,
    **options.run_folder(),
    "stop_after": option(int, "Stop this session after so many updates.", min=1),
}


_ROBUST = {
    "robust": option(
        bool, "For cars that differ, obey late and are pushed: docs/robust.md.", "--robust"
    )
}


def _rest(example: str) -> options.Options:
    """Return the last options of every command that trains."""
    return options.files(example) | options.engine() | options.JSON | options.MESSAGES


@with_options(
    entity=option(Entity, "A car, or a tool that pushes a soft body along the path."),
    **_CAR,
    **_ROBUST,
    certify=option(bool, "Check the gradients against finite differences first."),
    **options.VIEWER,
    **_rest("train.horizon=64"),
)
def train_e2e(entity: Entity = "rigid", certify: bool = True, *, given: Given) -> None:
    """Train an MLP by the gradient of a path loss through the physics.

    Without arguments: on a random road, about a minute, with the result in a folder below runs/.
    With --entity mpm: through an elastic body that a tool pushes, about four minutes.
    """
    task = "tracking" if entity == "rigid" else "pushing"
    about_cars = filter(given.values.get, ("car", "drive", "wheels", "actuation", "robust"))
    if task == "pushing" and (named := next(about_cars, None)):
        raise typer.BadParameter(f"--{named} is about cars; --entity mpm has none")
    _train("e2e", given, settings_of("e2e", given, task=task), certify=certify)


@with_options(
    data=setting(list[str], "CSV of demonstrations; may be repeated.", metavar="FILE"),
    column=option(
        list[str],
        "What the files, or the path's, call a column: yaw_rad=deg*0.01745. May be repeated.",
        metavar="NAME=THEIRS[*FACTOR]",
    ),
    skip_incomplete=setting(bool, "Leave out rows that lack a number.", "--skip-incomplete"),
    expert=options.controller("Who is recorded if there is no --data", "pure-pursuit"),
    dagger_rounds=setting(
        int,
        "Rounds in which the network drives and the expert corrects.",
        key="train.dagger_rounds",
    ),
    **{name: each for name, each in _CAR.items() if name != "column"},
    **_rest("train.num_updates=200"),
)
def train_bc(
    skip_incomplete: bool | None = None, expert: str | None = None, *, given: Given
) -> None:
    """Clone an expert into the same MLP: supervised learning from a CSV of demonstrations.

    Without arguments: records pure pursuit on a random road and clones it.
    """
    config = settings_of("bc", given)
    if not config.data and (skip_incomplete or {*given.columns} - {*COLUMNS}):
        raise typer.BadParameter("--column and --skip-incomplete are about --data: name its files")
    if config.data and expert and not config.train.dagger_rounds:
        raise typer.BadParameter(
            "--expert has no effect beside --data: drop one, or ask for --dagger-rounds"
        )
    if not config.data or config.train.dagger_rounds:
        check_controller(config.expert)
    _train("bc", given, config)


def _plain(method: str) -> Callable[..., None]:
    """Return the command of a method without options of its own, of which its row tells."""

    def train(given: Given) -> None:
        _train(method, given, settings_of(method, given))

    train.__doc__ = METHODS[method].help
    robust = _ROBUST if METHODS[method].robust else {}
    return with_options(**_CAR, **robust, **_rest("train.num_updates=500"))(train)


def commands() -> dict[str, Callable[..., None]]:
    """Return commands by name: those declared above, and that of every other row of `METHODS`."""
    own = {"train-e2e": train_e2e, "train-bc": train_bc}
    others = [how for how in METHODS.values() if how.command and how.command not in own]
    return own | {how.command: _plain(how.name) for how in others}


def settings_of(method: str, given: Given, *, task: str = "tracking") -> Any:  # noqa: ANN401
    """Return the settings of a run; those of the run that is resumed, if one is, come first."""
    base = None
    preset = read_yaml(resource_path(METHODS[method].robust)) if given.is_robust else None
    if given.resume is not None:
        if given.out is not None:
            raise typer.BadParameter("--resume goes on in its own folder; drop --out")
        if given.is_robust:
            raise typer.BadParameter("--resume goes on as the run began; drop --robust")
        # Only a run that exists is worth importing torch for.
        from diffcar.training.run_folder import RunFolder

        given.run = RunFolder.open(given.resume)
        from diffcar.training.run import stored_config

        base = stored_config(given.run, method, task)
    return given.config(METHODS[method].config[task], base=base, preset=preset)


def _train(
    method: str,
    given: Given,
    config: Any,  # noqa: ANN401
    *,
    certify: bool = True,
) -> None:
    """Train, show what came of it, and say how a stopped run goes on."""
    given.check_files(config, inputs=getattr(config, "data", ()))
    from diffcar.cli.progress import TrainingDisplay
    from diffcar.training.run import train
    from diffcar.training.tables import training_report

    is_most = config.train.num_updates is None
    with TrainingDisplay(config.train.most_updates, is_most=is_most) as display:
        result = train(
            method,
            config,
            out=given.out,
            resume=given.run,
            stop_after=given.stop_after,
            certify=certify,
            on_update=display.show,
        )
    given.report(training_report(result), result.as_json(), unwritten=result.unwritten)
    if num_skipped := result.findings.get("num_skipped_rows"):
        note(f"incomplete rows that were left out: {num_skipped}")
    if result.is_interrupted:
        note_resume(method, config, result, "" if certify else " --no-certify")
        is_as_asked = given.stop_after is not None and len(result.losses) >= given.stop_after
        raise typer.Exit(0 if is_as_asked else EXIT_INTERRUPTED)
    ends_at_target = is_most and METHODS[method].through_physics
    if result.is_good_enough or ends_at_target or not result.losses:
        if result.is_good_enough:
            why = "it is as good as was asked for"
        elif result.losses:
            why = "it is not as good as train.target asks"
        else:
            why = "nothing was left to do"
        more = max(100, 50 * (result.num_updates // 50 + 1))
        again = resume_hint(method, config.task, result.run_folder)
        note(f"{why}; to go on: {again} --set train.num_updates={more}")
    if usage := result.task.usage:
        is_of_use = result.after is None or math.isfinite(result.task.score(result.after))
        note(
            f"use it: {usage} {result.run_folder}"
            if is_of_use
            else "it is of no use yet: with no weights did all get going"
        )


def note_resume(
    method: str,
    config: Any,  # noqa: ANN401
    stopped: "TrainingResult",
    options: str = "",
) -> None:
    """Say how a training with these settings goes on that was stopped before its end."""
    note(
        f"stopped after update {stopped.num_updates} of {config.train.most_updates}; go on with: "
        f"{resume_hint(method, config.task, stopped.run_folder)}{options}"
    )
