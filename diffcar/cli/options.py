"""Options of commands, those that several share, and what every command does with them."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from diffcar.base.config import load_config
from diffcar.base.errors import OutputError
from diffcar.base.files import RUNS, Unwritten, check_outputs, json_text, kept, write_text
from diffcar.base.section import Section
from diffcar.base.table import Shown
from diffcar.cli.console import errors, messages, note, results
from diffcar.cli.show import show
from diffcar.cli.streams import require_stdout, write_result
from diffcar.controllers.config import CONTROLLERS, SHIPPED
from diffcar.path.config import COLUMNS, PATHS, check_path_source

if TYPE_CHECKING:
    from diffcar.training.run_folder import RunFolder

__all__ = [
    "BACKEND",
    "CAR",
    "JOINTS",
    "JSON",
    "MESSAGES",
    "MODEL",
    "MODEL_FILE",
    "PATH",
    "PATH_SOURCE",
    "SERVOS",
    "VIEWER",
    "Entity",
    "Given",
    "Option",
    "Options",
    "common",
    "controller",
    "engine",
    "files",
    "option",
    "output",
    "run_folder",
    "setting",
    "with_options",
]

ConfigT = TypeVar("ConfigT", bound=Section)
Entity = Literal["rigid", "mpm"]
"""A car, or a soft body of particles."""


@dataclass(frozen=True)
class Option:
    """An option that need not be given."""

    kind: Any
    """Its type with its help, as Typer reads it."""
    key: str | None = None
    """Of the setting that it is, with dots; empty for its own name, None where it is no setting."""
    suffix: str | None = None
    """How the file's name ends that it asks for; None where it asks for none."""


Options = dict[str, Option]
"""A group of options, by the names of parameters."""


def option(kind: Any, text: str, *names: str, **how: Any) -> Option:  # noqa: ANN401
    """Return an option with its help, its names if not the parameter's, and what Typer takes."""
    return Option(Annotated[kind | None, typer.Option(*names, help=text, **how)])


def setting(kind: Any, text: str, *names: str, key: str = "", **how: Any) -> Option:  # noqa: ANN401
    """Return an option that is a setting."""
    return replace(option(kind, text, *names, **how), key=key)


def output(text: str, *names: str, suffix: str = "", metavar: str = "FILE") -> Option:
    """Return an option that asks for a file beside the JSON."""
    return replace(option(Path, text, *names, metavar=f"{metavar}{suffix}"), suffix=suffix)


_CLOSED = "Whether a file's path is a loop; guessed by default."
_PATH = f"{', '.join(PATHS)}, a CSV or GPX file, or package.module:function."
_COLUMN = "What a path's file calls x, y or speed: speed=v*0.278. May be repeated."
PATH_SOURCE = Options(
    path=setting(str, _PATH, key="path.source"),
    column=option(list[str], _COLUMN, metavar="NAME=THEIRS[*FACTOR]"),
)
PATH = PATH_SOURCE | Options(
    path_scale=setting(float, "Factor on a path's coordinates. (default: 1)", key="path.scale"),
    closed=setting(bool, _CLOSED, "--closed/--open", key="path.closed"),
    lap=setting(bool, "Cut a lap out of the log of a drive.", "--lap", key="path.lap"),
    latlon=setting(bool, "Project latitude and longitude.", "--latlon", key="path.latlon"),
    smooth=setting(bool, "Round corners that are too sharp.", "--smooth", key="path.smooth"),
    grip=setting(
        float, "Share of the car's grip to use, such as 0.9, up to path.top_speed.", key="path.grip"
    ),
)
_SERVOS = "Servos in torch, or Genesis's own. (default: torque)"
SERVOS = Options(actuation=setting(Literal["torque", "pd"], _SERVOS))
MODEL = Options(
    car=setting(
        str, "car, racer, buggy, sedan, or an MJCF or URDF file. (default: car)", key="model"
    ),
    drive=setting(
        Literal["rear", "front", "all"], "Wheels that are driven. (default: as the model says)"
    ),
)
JOINTS = Options(
    steering_joints=setting(
        str,
        "A file's steering joints; found by where they are by default.",
        key="car_reading.steering_joints",
        metavar="NAME,NAME",
    ),
    wheel_joints=setting(
        str,
        "A file's four wheel joints; found by where they are by default.",
        key="car_reading.wheel_joints",
        metavar="NAME,...",
    ),
)
MODEL_FILE = (
    MODEL
    | JOINTS
    | Options(
        wheels=setting(
            Literal["spheres", "as-is"],
            "What a file's wheels collide as. (default: spheres)",
            key="car_reading.wheels",
        )
    )
)
CAR = PATH | MODEL_FILE | SERVOS
JSON = Options(
    json_target=option(str, "Write the result as JSON; - for stdout.", "--json", metavar="FILE")
)
_BACKEND = "Where Genesis runs. (default: cpu)"
BACKEND = Options(backend=setting(Literal["cpu", "gpu", "auto"], _BACKEND))
MESSAGES = Options(
    verbose=setting(bool, "Let Genesis log to the terminal.", "--verbose"),
    debug=option(bool, "Show tracebacks of errors.", "--debug"),
)
VIEWER = Options(viewer=setting(bool, "Watch in Genesis's own window.", "--viewer"))


def controller(text: str, default: str) -> Option:
    """Return an option that names a controller."""
    known = ", ".join([SHIPPED, *CONTROLLERS])
    names = f"a run folder, a checkpoint, {known} or package.module:Class"
    return setting(str, f"{text}: {names}. (default: {default})", metavar="RUN|CHECKPOINT|NAME")


def run_folder(of: str = "") -> Options:
    """Return the options of a run's folder."""
    return Options(
        out=option(Path, f"Run folder{of} to make. (default: one below runs/)"),
        resume=option(Path, f"Run folder{of} to go on with."),
    )


def files(example: str) -> Options:
    """Return the options of settings, with an example of one that the command has."""
    text = f"One setting, such as {example}."
    return Options(
        config_file=option(Path, "YAML file of settings; see configs/.", "--config"),
        overrides=option(list[str], text, "--set", metavar="KEY=VALUE"),
    )


def engine(bits: int = 32, remark: str = "") -> Options:
    """Return the options of how Genesis runs."""
    text = f"Bits of a number{remark}. (default: {bits})"
    return Options(
        seed=setting(int, "Seed of everything random. (default: 0)"),
        **BACKEND,
        precision=setting(Literal["32", "64"], text),
    )


def common(example: str, bits: int = 32, remark: str = "") -> Options:
    """Return the last options of every command that does not train."""
    return JSON | files(example) | engine(bits, remark) | MESSAGES


def with_options(**options: Option) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give options to a command, in the order of its help.

    Those that it has parameters for it gets by name, with its defaults; all of them as `given`.
    Errors that a user can act on become text and an exit code.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = {name: each.default for name, each in inspect.signature(command).parameters.items()}
        del own["given"]

        @functools.wraps(command)
        def run(**values: object) -> None:
            given = Given(options, values)
            with errors(given.debug):
                try:
                    command(**{name: values[name] for name in own}, given=given)
                finally:
                    given.require_written()

        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter(name, kind, default=own.get(name), annotation=each.kind)
            for name, each in options.items()
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {name: each.kind for name, each in options.items()}
        return run

    return decorate


class Given:
    """What was given to the options of a command; None where one was not."""

    def __init__(self, options: Options, values: Mapping[str, Any]) -> None:
        self._options = options
        self.values = values
        """All of it, by the names of the options."""
        self.files: dict[str, Path | None] = {
            name: values[name] for name, each in options.items() if each.suffix is not None
        }
        """What is written besides JSON, by the names of the options."""
        self.debug = bool(values.get("debug"))
        self.out: Path | None = values.get("out")
        self.resume: Path | None = values.get("resume")
        self.run: RunFolder | None = None
        """The run that goes on, once it is opened."""
        self.stop_after: int | None = values.get("stop_after")
        self.is_robust = bool(values.get("robust"))
        json_target: str | None = values.get("json_target")
        self._unwritten: Unwritten = {}
        self._json_file = None if json_target in (None, "-") else Path(json_target)
        # Stdout belongs to the JSON where that was asked for.
        self._is_json_shown = json_target == "-"
        self.console = messages() if self._is_json_shown else results()

    @property
    def columns(self) -> dict[str, str]:
        """What `--column` tells, by name."""
        return dict(map(_split, self.values.get("column") or ()))

    def config(
        self,
        schema: type[ConfigT],
        own: Mapping[str, object] | None = None,
        *,
        base: Mapping[str, Any] | None = None,
        preset: Mapping[str, Any] | None = None,
    ) -> ConfigT:
        """Resolve the settings from all that was given, and check the names of paths in them.

        Args:
            own: What options set besides, by dotted key; None stands for "not given".
            base: What the settings begin with.
            preset: What their defaults are instead.
        """
        flags: dict[str, Any] = {
            each.key or name: self.values[name]
            for name, each in self._options.items()
            if each.key is not None
        }
        for name, theirs in self.columns.items():
            if name not in COLUMNS and "columns" not in schema.model_fields:
                known = ", ".join(COLUMNS)
                raise typer.BadParameter(f"--column {name}={theirs}: a path has {known}")
            flags.setdefault("path.columns" if name in COLUMNS else "columns", {})[name] = theirs
        if bits := flags.get("precision"):
            flags["precision"] = int(bits)
        config = load_config(
            schema,
            base=base,
            preset=preset,
            file=self.values.get("config_file"),
            overrides=self.values.get("overrides") or (),
            flags={**flags, **(own or {})},
        )
        for source in _paths(config):
            check_path_source(source)
        return config

    def check_files(self, config: Section, inputs: Iterable[Path | str | None] = ()) -> None:
        """Refuse results that could not be written, or would overwrite what is read.

        Args:
            inputs: What is read besides what `config` names; None stands for "not given".
        """
        for name, file in self.files.items():
            suffix = self._options[name].suffix or ""
            if file and not file.name.lower().endswith(suffix):
                raise typer.BadParameter(f"{str(file)!r} does not end in {suffix}")
        model = getattr(config, "model", None)
        read = (*_paths(config), model, self.values.get("config_file"), self.resume, *inputs)
        folder = None
        if "out" in self._options and "out" not in self.files:
            folder = self.resume or self.out or RUNS / "new"  # by whatever name
        check_outputs(
            [file for file in (self._json_file, *self.files.values()) if file],
            folder=folder,
            inputs=[Path(file) for file in read if file],
        )
        if self._is_json_shown:
            require_stdout()

    def report(
        self,
        shown: Iterable[Shown],
        content: object,
        *,
        notes: Iterable[str] = (),
        unwritten: Unwritten | None = None,
    ) -> None:
        """Write a result's content as JSON where that was asked for, and show notes and result.

        What can be shown is shown even if the file system refuses the rest, which ends the command
        with an error.

        Args:
            unwritten: Files that the command could not write.
        """
        self._unwritten |= unwritten or {}
        text = json_text(content)
        with kept(self._unwritten, self._json_file or Path("-")):
            if self._json_file is not None:
                write_text(self._json_file, text)
            elif self._is_json_shown:
                write_result(text)
        for each in notes:
            note(each)
        show(shown, self.console)
        for file in (*self.files.values(), self._json_file):
            if file is not None and file not in self._unwritten:
                note(f"wrote {file}")

    def require_written(self) -> None:
        """Refuse to end well where a file that was reported about could not be written.

        Raises:
            OutputError: With all of them.
        """
        if problems := list(self._unwritten.values()):
            told = "; ".join(problem.message for problem in problems)
            raise OutputError(told, problems[0].hint)


def _split(given: str) -> tuple[str, str]:
    """Split an argument of `--column`."""
    name, separator, theirs = given.partition("=")
    if not (separator and name.strip() and theirs.strip()):
        raise typer.BadParameter(
            f"--column {given!r} is not of the form NAME=THEIRS or NAME=THEIRS*FACTOR"
        )
    return name.strip(), theirs.strip()


def _paths(config: Section) -> list[str]:
    """Return the names of all paths in the settings."""
    names = ("path", "suite", "evaluation")
    path, suite, evaluation = (getattr(config, name, None) for name in names)
    sources = [each.source for each in (path, *getattr(suite, "paths", [])) if each]
    return [*sources, *getattr(evaluation, "unseen_paths", [])]
