"""`diffcar record`, as the terminal sees it."""

from pathlib import Path

from diffcar.base.errors import OutputError
from diffcar.cli import options
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import output, setting
from diffcar.controllers.config import check_controller
from diffcar.demonstrations.config import RecordConfig

__all__ = ["record"]


@with_options(
    expert=options.controller("Who is recorded", "pure-pursuit"),
    **options.PATH,
    out=output("The file to make.", metavar="FILE.csv"),
    episodes=setting(
        int,
        "Cars, each of which drives one episode. (default: 64)",
        key="demonstrations.num_episodes",
    ),
    duration=setting(
        float,
        "Seconds of simulated time in an episode. (default: 8)",
        key="demonstrations.duration",
    ),
    **options.MODEL_FILE,
    **options.SERVOS,
    **options.common("demonstrations.steering_noise=0.2"),
)
def record(out: Path = Path("demonstrations.csv"), *, given: Given) -> None:
    """Record what an expert does along a path, as demonstrations to clone.

    Without arguments: pure pursuit on a random road, most cars disturbed, to demonstrations.csv.
    """
    config = given.config(RecordConfig)
    check_controller(config.expert)
    given.check_files(config, inputs=[config.expert])
    if out.exists():
        raise OutputError(
            f"{str(out)!r} exists already", hint="name another file with --out, or move it"
        )
    from diffcar.cli.progress import DriveDisplay
    from diffcar.demonstrations import record as command

    with DriveDisplay() as display:
        result = command.run(config, out=out, on_step=display.show)
    report = command.recording_report(result)
    given.report(report, result.as_json(), notes=result.notes, unwritten=result.unwritten)
