"""Options of commands, those that several share, and what every command does with them."""

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
    "CAR",
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
    "common",
    "option",
    "precision",
    "require_suffix",
    "setting",
    "with_options",
]

ConfigT = TypeVar("ConfigT", bound=Section)
Options = dict[str, Any]
"""A group of options: types with their help, by the name of a parameter."""
Entity = Literal["rigid", "mpm"]
"""A car, or a soft body of particles."""


def option(kind: Any, text: str, *names: str, **how: Any) -> Any:  # noqa: ANN401
    """Return the type of an option that need not be given, with its help.

    Args:
        kind: Type of its value.
        text: Its help.
        names: What it is called, if not as its parameter.
        how: What else Typer takes.
    """
    return Annotated[kind | None, typer.Option(*names, help=text, **how)]


def setting(kind: Any, text: str, *names: str, key: str = "", **how: Any) -> Any:  # noqa: ANN401
    """Return the type of an option that is a setting, of the parameter's name or by dotted key."""
    return Annotated[option(kind, text, *names, **how), key]


def precision(default: int, remark: str = "") -> Options:
    """Return the option of how many bits a number has."""
    text = f"Bits of a number{remark}. (default: {default})"
    return Options(precision=setting(Literal["32", "64"], text))


_CLOSED = "Whether a file's path is a loop; guessed by default."
PATH_SOURCE = Options(path=setting(str, f"{', '.join(PATHS)}, or a CSV file.", key="path.source"))
PATH = PATH_SOURCE | Options(
    path_scale=setting(float, "Factor on a path's coordinates. (default: 1)", key="path.scale"),
    closed=setting(bool, _CLOSED, "--closed/--open", key="path.closed"),
)
_SERVOS = "Servos in torch, or Genesis's own. (default: torque)"
SERVOS = Options(actuation=setting(Literal["torque", "pd"], _SERVOS))
CAR = PATH | SERVOS
RUN = Options(
    out=option(Path, "Run folder to make. (default: one below runs/)"),
    resume=option(Path, "Run folder to go on with."),
    stop_after=option(int, "Stop this session after so many updates.", min=1),
)
JSON = Options(
    json_target=option(str, "Write the result as JSON; - for stdout.", "--json", metavar="FILE")
)
FILES = Options(
    config_file=option(Path, "YAML file of settings; see configs/.", "--config"),
    overrides=option(
        list[str], "One setting, such as train.horizon=64.", "--set", metavar="KEY=VALUE"
    ),
)
_BACKEND = "Where Genesis runs. (default: cpu)"
BACKEND = Options(backend=setting(Literal["cpu", "gpu", "auto"], _BACKEND))
SEED = Options(seed=setting(int, "Seed of everything random. (default: 0)"))
ENGINE = SEED | BACKEND | precision(32)
MESSAGES = Options(
    verbose=setting(bool, "Let Genesis log to the terminal.", "--verbose"),
    debug=option(bool, "Show tracebacks of errors.", "--debug"),
)


def common(bits: int = 32, remark: str = "") -> Options:
    """Return the options at the end of every command that does not train."""
    return JSON | FILES | SEED | BACKEND | precision(bits, remark) | MESSAGES


def with_options(*groups: Options) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give groups of options to a command, in the order of its help.

    Those that it has parameters for it gets by name, with its defaults; all of them as `given`.
    Errors that a user can act on become text and an exit code.
    """
    options = {name: kind for group in groups for name, kind in group.items()}
    keys = {name: key or name for name in options for key in options[name].__metadata__[1:]}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = {name: each.default for name, each in inspect.signature(command).parameters.items()}
        del own["given"]

        @functools.wraps(command)
        def run(**values: object) -> None:
            given = Given(values, {key: values[name] for name, key in keys.items()})
            with errors(given.debug):
                command(**{name: values[name] for name in own}, given=given)

        kind = inspect.Parameter.KEYWORD_ONLY
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, kind, default=own.get(name), annotation=annotation)
                for name, annotation in options.items()
            ]
        )
        run.__annotations__ = options
        return run

    return decorate


class Given:
    """What was given to the options of a command.

    Args:
        values: By the names of the options; None where one was not given.
        settings: Those of them that are settings, by dotted key.
    """

    def __init__(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self._values = values
        self._settings = settings
        self.debug = bool(values.get("debug"))
        self.out: Path | None = values.get("out")
        self.resume: Path | None = values.get("resume")
        self.run: RunFolder | None = None
        """The run that goes on, once it is opened."""
        self.stop_after: int | None = values.get("stop_after")
        json_target: str | None = values.get("json_target")
        self._json_file = None if json_target in (None, "-") else Path(json_target)
        # Stdout belongs to the JSON where that was asked for.
        self._is_json_shown = json_target == "-"
        self.console = messages() if self._is_json_shown else results()

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
            own: What options set besides, by dotted key; None stands for "not given".
            base: What the settings begin with.
        """
        flags = {**self._settings, **(own or {})}
        if bits := flags.get("precision"):
            flags["precision"] = int(bits)
        config = load_config(
            schema,
            base=base,
            file=self._values.get("config_file"),
            overrides=self._values.get("overrides") or (),
            flags=flags,
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
        elif self._is_json_shown:
            sys.stdout.write(text)
            sys.stdout.flush()


def _paths(config: Section) -> list[str]:
    """Return the names of all paths in the settings."""
    path, evaluation = getattr(config, "path", None), getattr(config, "evaluation", None)
    return [*([path.source] if path else []), *(evaluation.unseen_paths if evaluation else [])]


def require_suffix(file: Path | None, suffix: str) -> None:
    """Refuse a file whose name does not tell what it is to hold."""
    if file is not None and file.suffix.lower() != suffix:
        raise typer.BadParameter(f"{str(file)!r} does not end in {suffix}")
