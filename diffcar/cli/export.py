"""`diffcar export`, as the terminal sees it."""

from pathlib import Path
from typing import Annotated

import typer

from diffcar.base.errors import OutputError
from diffcar.cli import options
from diffcar.cli.console import EXIT_NEGATIVE
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import Option, option, setting
from diffcar.controllers.config import check_controller
from diffcar.export.config import CONTRACT, FORMATS, ExportConfig, require_formats

__all__ = ["export"]

_RUN = "A run folder, a checkpoint, or shipped. (default: the newest run, or else shipped)"


@with_options(
    controller=Option(Annotated[str | None, typer.Argument(metavar="RUN", help=_RUN)], key=""),
    format=setting(
        list[str],
        f"What to write: {', '.join(FORMATS)}; may be repeated. (default: onnx)",
        key="formats",
        metavar="FORMAT",
    ),
    **options.PATH,
    out=option(Path, "The folder to write to."),
    overwrite=option(bool, "Replace files that are there already.", "--overwrite"),
    **options.MODEL,
    **options.SERVOS,
    **options.JSON,
    **options.files("path.top_speed=2"),
    seed=setting(int, "Seed of everything random. (default: 0)"),
    precision=options.engine(remark=" in what is written")["precision"],
    **options.MESSAGES,
)
def export(out: Path = Path("exported"), overwrite: bool = False, *, given: Given) -> None:
    """Write a trained controller for a real car, as ONNX, TorchScript or C, and drive a lap by it.

    From pose and velocities to steering angle and speed; the path is in it, by default that of the
    training. docs/export.md says how a car is driven by it.
    """
    config = given.config(ExportConfig)
    require_formats(config.formats)
    if config.controller is not None:
        check_controller(config.controller)
    files = [name for each in config.formats for name in FORMATS[each].files]
    given.check_files(config, inputs=[config.controller])
    taken = [name for name in (CONTRACT, *files) if (out / name).exists()]
    if taken and not overwrite:
        told = f"{str(out / taken[0])!r} exists already and is not overwritten"
        raise OutputError(told, "choose another --out, or --overwrite")
    from diffcar.cli.progress import DriveDisplay
    from diffcar.export import export as command

    with DriveDisplay() as display:
        result = command.run(config, out=out, on_step=display.show)
    others = {name for each in FORMATS.values() for name in each.files} - {*files}
    result.notes.extend(
        f"{out / name} is of an earlier export, maybe not of what {CONTRACT} now tells of"
        for name in sorted(others)
        if (out / name).exists()
    )
    given.report(command.export_report(result), result.as_json(), notes=result.notes)
    if not result.agrees:
        raise typer.Exit(EXIT_NEGATIVE)
