"""Options that several commands share, declared once, and what every command does with them."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import typer

from diffcar.base.config import Section, load_config
from diffcar.base.files import check_outputs
from diffcar.base.table import Shown
from diffcar.cli.console import JsonSink, errors, note
from diffcar.cli.show import show
from diffcar.path.config import PATHS, check_path_source

__all__ = [
    "BACKEND",
    "ENGINE",
    "FILES",
    "JSON",
    "MESSAGES",
    "PATH",
    "PATH_SOURCE",
    "RUN",
    "SERVOS",
    "Entity",
    "Given",
    "Options",
    "precision",
    "require_suffix",
    "with_options",
]

ConfigT = TypeVar("ConfigT", bound=Section)
Options = dict[str, Any]
"""A group of options: types with their help, by the name of a parameter."""
Entity = Literal["rigid", "mpm"]
"""A car, or a soft body of particles."""


def precision(default: int, remark: str = "") -> Options:
    """Return the option of how many bits a number has."""
    text = f"Bits of a number{remark}. (default: {default})"
    return Options(precision=Annotated[Literal["32", "64"] | None, typer.Option(help=text)])


PATH_SOURCE = Options(
    path=Annotated[str | None, typer.Option(help=f"{', '.join(PATHS)}, or a CSV file.")]
)
PATH = PATH_SOURCE | Options(
    path_scale=Annotated[
        float | None, typer.Option(help="Factor on a path's coordinates. (default: 1)")
    ],
    closed=Annotated[
        bool | None,
        typer.Option(
            "--closed/--open", help="Whether a file's path is a loop; guessed by default."
        ),
    ],
)
SERVOS = Options(
    actuation=Annotated[
        Literal["torque", "pd"] | None,
        typer.Option(help="Servos in torch, or Genesis's own. (default: torque)"),
    ]
)
RUN = Options(
    out=Annotated[Path | None, typer.Option(help="Run folder to make. (default: one below runs/)")],
    resume=Annotated[Path | None, typer.Option(help="Run folder to go on with.")],
    stop_after=Annotated[
        int | None, typer.Option(min=1, help="Stop this session after so many updates.")
    ],
)
JSON = Options(
    json_target=Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for stdout."),
    ]
)
FILES = Options(
    config_file=Annotated[
        Path | None, typer.Option("--config", help="YAML file of settings; see configs/.")
    ],
    overrides=Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as train.horizon=64."),
    ],
)
BACKEND = Options(
    backend=Annotated[
        Literal["cpu", "gpu", "auto"] | None,
        typer.Option(help="Where Genesis runs. (default: cpu)"),
    ]
)
ENGINE = (
    Options(
        seed=Annotated[int | None, typer.Option(help="Seed of everything random. (default: 0)")]
    )
    | BACKEND
    | precision(32)
)
MESSAGES = Options(
    verbose=Annotated[bool, typer.Option("--verbose", help="Let Genesis log to the terminal.")],
    debug=Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")],
)

# What an option is called in the settings; others are no settings.
_KEYS = {
    "path": "path.source",
    "path_scale": "path.scale",
    "closed": "path.closed",
    "actuation": "actuation",
    "seed": "seed",
    "backend": "backend",
    "precision": "precision",
    "verbose": "verbose",
}


def with_options(*parts: Options | str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Append groups of options to a command, which gets their values as `given`.

    Errors that a user can act on become text and an exit code.

    Args:
        parts: The groups, in the order of the help, and names of the command's own options that
            stand among them; its others come first.
    """
    groups = [part for part in parts if not isinstance(part, str)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = dict(inspect.signature(command).parameters)
        del own["given"]
        shared = [_parameter(*option) for group in groups for option in group.items()]
        by_name = {parameter.name: parameter for parameter in shared}
        placed = [name for part in parts for name in ([part] if isinstance(part, str) else part)]
        names = [*(name for name in own if name not in placed), *placed]
        parameters = [own.get(name) or by_name[name] for name in names]

        @functools.wraps(command)
        def run(**values: object) -> None:
            given = Given({name: values.pop(name) for name in by_name})
            with errors(given.debug):
                command(**values, given=given)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _parameter(name: str, annotation: object) -> inspect.Parameter:
    """Return an option that need not be given: a switch is off then, and nothing else is set."""
    default = False if get_args(annotation)[0] is bool else None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


class Given:
    """What was given to the options that commands share.

    Args:
        values: By the names of the options; those that a command does not have are None.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.debug = bool(values.get("debug"))
        self.out: Path | None = values.get("out")
        self.resume: Path | None = values.get("resume")
        self.stop_after: int | None = values.get("stop_after")
        self._sink = JsonSink(values.get("json_target"))
        self.console = self._sink.console()

    def has(self, name: str) -> bool:
        """Return whether an option was given."""
        return self._values.get(name) is not None

    def config(
        self,
        schema: type[ConfigT],
        own: Mapping[str, object] | None = None,
        *,
        base: Mapping[str, Any] | None = None,
    ) -> ConfigT:
        """Resolve the settings from all that was given, and check the names of paths in them.

        Args:
            schema: That of the command.
            own: What the command's own options set, by dotted key; None stands for "not given".
            base: What the settings begin with.
        """
        flags = {key: self._values.get(name) for name, key in _KEYS.items()}
        bits = flags["precision"]
        flags |= {"precision": bits and int(bits), "verbose": flags["verbose"] or None}
        config = load_config(
            schema,
            base=base,
            file=self._values.get("config_file"),
            overrides=self._values.get("overrides") or (),
            flags={**flags, **(own or {})},
        )
        for source in _paths(config):
            check_path_source(source)
        return config

    def check_files(
        self,
        config: Section,
        *,
        outputs: Iterable[Path | None] = (),
        inputs: Iterable[Path | str | None] = (),
    ) -> None:
        """Refuse results that could not be written, or would overwrite what is read.

        Args:
            config: Names files that are read.
            outputs: What is written besides JSON; None stands for "not given".
            inputs: What is read besides; likewise.
        """
        model = getattr(config, "model", None)
        read = (*_paths(config), model, self._values.get("config_file"), self.resume, *inputs)
        check_outputs(
            [file for file in (self._sink.file, *outputs) if file],
            inputs=[Path(file) for file in read if file],
        )

    def report(
        self,
        shown: Iterable[Shown],
        content: object,
        *,
        notes: Iterable[str] = (),
        written: Iterable[Path | None] = (),
    ) -> None:
        """Show a result, and write it as JSON where that was asked for.

        Args:
            shown: What people read.
            content: What JSON holds.
            notes: What to know before reading.
            written: Files that hold more of it; None stands for "not asked for".
        """
        for text in notes:
            note(text)
        show(shown, self.console)
        for file in written:
            if file is not None:
                note(f"wrote {file}")
        self._sink.write(content)


def _paths(config: Section) -> list[str]:
    """Return the names of all paths in the settings."""
    path, evaluation = getattr(config, "path", None), getattr(config, "evaluation", None)
    return [*([path.source] if path else []), *(evaluation.unseen_paths if evaluation else [])]


def require_suffix(file: Path | None, suffix: str) -> None:
    """Refuse a file whose name does not tell what it is to hold."""
    if file is not None and file.suffix.lower() != suffix:
        raise typer.BadParameter(f"{str(file)!r} does not end in {suffix}")
