"""What was given to a command, and what every command does with it."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from diffcar.base.config import load_config
from diffcar.base.errors import OutputError
from diffcar.base.files import RUNS, Unwritten, check_outputs, json_text, kept, write_text
from diffcar.base.section import Section
from diffcar.base.table import Shown
from diffcar.cli.console import errors, messages, note, results
from diffcar.cli.options import Option, Options
from diffcar.cli.show import show
from diffcar.cli.streams import require_stdout, write_result
from diffcar.path.config import COLUMNS, check_path_source

if TYPE_CHECKING:
    from diffcar.training.run_folder import RunFolder

__all__ = ["Given", "with_options"]

ConfigT = TypeVar("ConfigT", bound=Section)


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
