"""`diffcar compare`, as the terminal sees it."""

import shlex
import sys
from pathlib import Path

import typer

from diffcar.base.files import Unwritten, is_there, resource_path
from diffcar.base.registry import is_own
from diffcar.base.table import Line, Shown
from diffcar.base.yaml_reader import read_yaml
from diffcar.cli import options
from diffcar.cli.console import note
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import option
from diffcar.cli.streams import EXIT_INTERRUPTED
from diffcar.comparison.config import SUITES, CompareConfig, settings_file
from diffcar.training.methods import METHODS

__all__ = ["compare"]


@with_options(
    quick=option(bool, "Little of everything, in five minutes.", "--quick"),
    suite=option(
        str,
        f"What is driven: paths, conditions, engines; or whole settings: {', '.join(SUITES)}.",
        metavar="FILE.yaml|NAME",
    ),
    load=option(list[str], "Take a run as it is instead of training one.", metavar="METHOD=RUN"),
    out=option(Path, "Folder to make. (default: one below runs/)"),
    resume=option(Path, "Comparison to go on with; what is trained or driven stays."),
    **options.CAR,
    **options.files("num_snapshots=10"),
    **options.BACKEND,
    **options.JSON,
    **options.MESSAGES,
)
def compare(
    quick: bool = False, suite: str | None = None, load: list[str] | None = None, *, given: Given
) -> None:
    """Train every method, drive all over paths none was trained on, and say what each costs.

    Methods: backpropagation through the physics, PPO, behaviour cloning and DAgger, tuned pure
    pursuit and Stanley; in Genesis and MuJoCo, with and without disturbances. Takes about half an
    hour; --quick takes five minutes.
    """
    if given.resume is not None and (given.out is not None or quick):
        raise typer.BadParameter("--resume goes on as it began; drop --out and --quick")
    preset = _preset(quick, given.resume, suite)
    config = given.config(CompareConfig, base=_base(given.resume, suite), preset=preset)
    runs = dict(_split(text, config) for text in load or ())
    if len(runs) < len(load or ()):
        raise typer.BadParameter("--load names a method twice")
    read = Path(suite) if suite is not None and suite not in SUITES else None
    given.check_files(config, inputs=[read, *runs.values()])
    from diffcar.cli.progress import ComparisonDisplay
    from diffcar.comparison.compare import compare as run
    from diffcar.comparison.findings import findings
    from diffcar.comparison.page import write_results
    from diffcar.comparison.tables import as_json, tables

    with ComparisonDisplay() as display:
        result = run(
            config, out=given.out, resume=given.resume, loaded=runs, on_update=display.show
        )
    if result.is_interrupted:
        folder = shlex.quote(str(result.folder))
        for line in (*result.notes, f"stopped; go on with: diffcar compare --resume {folder}"):
            note(line)
        raise typer.Exit(EXIT_INTERRUPTED)
    unwritten: Unwritten = {}
    page = write_results(
        result.comparison,
        result.folder,
        configuration=(result.folder / "compare.yaml").read_text(),
        command=shlex.join(["diffcar", *sys.argv[1:]]),
        unwritten=unwritten,
    )
    shown = [table for about in tables(result.comparison).values() for table in about]
    sentences = [f"- {sentence}" for sentence in findings(result.comparison)]
    ended = Line(f"{result.wall_seconds:.0f} s in all; open {page}")
    content = as_json(result.comparison)
    lines: list[Shown] = [*shown, "", *sentences, ended]
    given.report(lines, content, notes=result.notes, unwritten=unwritten)


def _preset(quick: bool, resume: Path | None, suite: str | None) -> dict[str, object]:
    """Return shipped settings that take the place of defaults."""
    if suite is not None and suite in SUITES:
        if quick or resume is not None:
            told = f"--suite {suite} has settings of its own; drop --quick and --resume"
            raise typer.BadParameter(told)
        return read_yaml(resource_path(str(SUITES[suite])))
    values = read_yaml(resource_path("configs/compare_quick.yaml")) if quick else {}
    if suite is not None:
        values.pop("suite", None)
    return values


def _base(resume: Path | None, suite: str | None) -> dict[str, object]:
    """Return what the settings begin with: those of an earlier session, a suite of one's own."""
    base: dict[str, object] = {}
    if resume is not None:
        base = read_yaml(settings_file(resume))
    if suite is None or suite in SUITES:
        return base
    if not is_there(suite):
        SUITES.check(suite)
    return base | {"suite": read_yaml(Path(suite))}


def _split(given: str, config: CompareConfig) -> tuple[str, Path]:
    """Split an argument of `--load`."""
    method, separator, run = given.partition("=")
    trained = [name for name, how in METHODS.items() if how.is_compared]
    if not separator or (method not in trained and not is_own(method)):
        raise typer.BadParameter(
            f"--load {given!r} is not METHOD=RUN with a method that is trained: "
            f"{', '.join(trained[:-1])} or {trained[-1]}"
        )
    if method not in config.methods:
        raise typer.BadParameter(f"--load {given!r}: {method} is not among the methods compared")
    from diffcar.training.run_folder import RunFolder

    return method, RunFolder.open(Path(run)).path
