"""Options that several commands share, declared once, and what every command does with them."""

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from diffcar.base.config import Section, load_config
from diffcar.base.files import check_outputs, finite_json, write_atomically
from diffcar.base.table import Shown
from diffcar.cli.console import errors, messages, note, results
from diffcar.cli.show import show
from diffcar.path.config import PATHS, check_path_source

if TYPE_CHECKING:
    from diffcar.training.run_folder import RunFolder

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


def _option(kind: Any, text: str, *names: str, **settings: Any) -> Any:  # noqa: ANN401
    """Return the type of an option that need not be given, with its help."""
    return Annotated[kind | None, typer.Option(*names, help=text, **settings)]


def precision(default: int, remark: str = "") -> Options:
    """Return the option of how many bits a number has."""
    text = f"Bits of a number{remark}. (default: {default})"
    return Options(precision=_option(Literal["32", "64"], text))


PATH_SOURCE = Options(path=_option(str, f"{', '.join(PATHS)}, or a CSV file."))
PATH = PATH_SOURCE | Options(
    path_scale=_option(float, "Factor on a path's coordinates. (default: 1)"),
    closed=_option(bool, "Whether a file's path is a loop; guessed by default.", "--closed/--open"),
)
SERVOS = Options(
    actuation=_option(
        Literal["torque", "pd"], "Servos in torch, or Genesis's own. (default: torque)"
    )
)
RUN = Options(
    out=_option(Path, "Run folder to make. (default: one below runs/)"),
    resume=_option(Path, "Run folder to go on with."),
    stop_after=_option(int, "Stop this session after so many updates.", min=1),
)
JSON = Options(
    json_target=_option(str, "Write the result as JSON; - for stdout.", "--json", metavar="FILE")
)
FILES = Options(
    config_file=_option(Path, "YAML file of settings; see configs/.", "--config"),
    overrides=_option(
        list[str], "One setting, such as train.horizon=64.", "--set", metavar="KEY=VALUE"
    ),
)
BACKEND = Options(
    backend=_option(Literal["cpu", "gpu", "auto"], "Where Genesis runs. (default: cpu)")
)
SEED = Options(seed=_option(int, "Seed of everything random. (default: 0)"))
ENGINE = SEED | BACKEND | precision(32)
MESSAGES = Options(
    verbose=_option(bool, "Let Genesis log to the terminal.", "--verbose"),
    debug=_option(bool, "Show tracebacks of errors.", "--debug"),
)

# What an option is called in the settings; others are no settings.
_KEYS = {"path": "path.source", "path_scale": "path.scale", "closed": "path.closed"} | {
    name: name for name in ("actuation", "seed", "backend", "precision", "verbose")
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
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        shared = {
            name: inspect.Parameter(name, kind, default=None, annotation=annotation)
            for group in groups
            for name, annotation in group.items()
        }
        placed = [name for part in parts for name in ([part] if isinstance(part, str) else part)]
        names = [*(name for name in own if name not in placed), *placed]
        parameters = [own.get(name) or shared[name] for name in names]

        @functools.wraps(command)
        def run(**values: object) -> None:
            given = Given({name: values.pop(name) for name in shared})
            with errors(given.debug):
                command(**values, given=given)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


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
        self.run: RunFolder | None = None
        """The run that goes on, once it is opened."""
        self.stop_after: int | None = values.get("stop_after")
        self._json: str | None = values.get("json_target")
        # Stdout belongs to the JSON where that was asked for.
        self.console = messages() if self._json == "-" else results()

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
        flags["precision"] = flags["precision"] and int(flags["precision"])
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
            [file for file in (self._json_file, *outputs) if file],
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
        text = json.dumps(finite_json(content), indent=2, allow_nan=False) + "\n"
        if self._json_file is not None:
            write_atomically(self._json_file, lambda file: file.write_text(text))
        elif self._json is not None:
            sys.stdout.write(text)
            sys.stdout.flush()

    @property
    def _json_file(self) -> Path | None:
        return None if self._json in (None, "-") else Path(str(self._json))


def _paths(config: Section) -> list[str]:
    """Return the names of all paths in the settings."""
    path, evaluation = getattr(config, "path", None), getattr(config, "evaluation", None)
    return [*([path.source] if path else []), *(evaluation.unseen_paths if evaluation else [])]


def require_suffix(file: Path | None, suffix: str) -> None:
    """Refuse a file whose name does not tell what it is to hold."""
    if file is not None and file.suffix.lower() != suffix:
        raise typer.BadParameter(f"{str(file)!r} does not end in {suffix}")
