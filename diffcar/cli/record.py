"""`diffcar record`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.base.errors import OutputError
from diffcar.cli import options
from diffcar.cli.options import Given, with_options
from diffcar.controllers.config import check_controller

__all__ = ["record"]


@with_options(
    options.PATH,
    *("out", "episodes", "duration"),
    options.SERVOS,
    options.JSON,
    options.FILES,
    options.ENGINE,
    options.MESSAGES,
)
def record(
    expert: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|RUN|CHECKPOINT",
            help="Who is recorded: pure-pursuit, stanley, a run folder or a checkpoint. "
            "(default: pure-pursuit)",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="The file to make.")] = Path(
        "demonstrations.csv"
    ),
    episodes: Annotated[
        int | None, typer.Option(help="Cars, each of which drives one episode. (default: 64)")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds of simulated time in an episode. (default: 8)")
    ] = None,
    *,
    given: Given,
) -> None:
    """Record what an expert does along a path, as demonstrations to clone.

    Without arguments: pure pursuit on a random road, most cars disturbed, to demonstrations.csv.
    """
    from diffcar.demonstrations.config import RecordConfig

    own = {
        "expert": expert,
        "demonstrations.num_episodes": episodes,
        "demonstrations.duration": duration,
    }
    config = given.config(RecordConfig, own)
    check_controller(config.expert)
    given.check_files(config, outputs=[out], inputs=[config.expert])
    if out.exists():
        raise OutputError(
            f"{str(out)!r} exists already", hint="name another file with --out, or move it"
        )
    from diffcar.cli.progress import DriveDisplay
    from diffcar.demonstrations import record as command

    with DriveDisplay() as display:
        display.say("building the scene (a minute or two the first time) ...")
        result = command.run(config, out=out, on_step=display.show)
    report = command.recording_report(result)
    given.report(report, result.as_json(), notes=result.notes, written=[out])
