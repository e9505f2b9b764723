"""Options that commands share, and what becomes of them."""

import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from diffcar.base.errors import ConfigError, GradientError
from diffcar.cli import given as given_module
from diffcar.cli import options, train
from diffcar.cli.app import app
from diffcar.cli.given import Given, with_options
from diffcar.cli.options import option, output, setting
from diffcar.cli.settings import load_config
from diffcar.tasks.tracking.config import SimulateConfig
from diffcar.training.methods import METHODS

_PATH = [
    "--path",
    "--column",
    "--path-scale",
    "--closed",
    "--lap",
    "--latlon",
    "--smooth",
    "--grip",
]
_JOINTS = ["--steering-joints", "--wheel-joints"]
_CAR = ["--car", "--drive", *_JOINTS, "--wheels", "--actuation"]
_RUN = ["--out", "--resume", "--stop-after"]
_FILES = ["--config", "--set"]
_ENGINE = ["--seed", "--backend", "--precision"]
_MESSAGES = ["--verbose", "--debug"]
_TRAINING = [*_FILES, *_ENGINE, "--json", *_MESSAGES]
OPTIONS = {
    "train-e2e": [
        "--entity",
        *_PATH,
        *_CAR,
        *_RUN,
        "--robust",
        "--certify",
        "--viewer",
        *_TRAINING,
    ],
    "train-bc": [
        *("--data", "--column", "--skip-incomplete", "--expert", "--dagger-rounds"),
        *(own for own in _PATH if own != "--column"),
        *(*_CAR, *_RUN, *_TRAINING),
    ],
    "train-ppo": [*_PATH, *_CAR, *_RUN, "--robust", *_TRAINING],
    "simulate": [
        *("--controller", *_PATH, "--start", *_CAR, "--engine"),
        *("--csv", "--plot", "--video", "--viewer", "--json", *_FILES, *_ENGINE, *_MESSAGES),
    ],
    "record": [
        *("--expert", *_PATH, "--out", "--episodes", "--duration", *_CAR),
        *("--json", *_FILES, *_ENGINE, *_MESSAGES),
    ],
    "export": [
        *(
            "controller",
            "--format",
            *_PATH,
            "--out",
            "--overwrite",
            "--car",
            "--drive",
            "--actuation",
        ),
        *("--json", *_FILES, "--seed", "--precision", *_MESSAGES),
    ],
    "measure-grip": [
        *(*_CAR, "--engine", "--json", *_FILES, *_ENGINE, *_MESSAGES),
    ],
    "compare": [
        *("--quick", "--suite", "--load", "--out", "--resume", *_PATH, *_CAR),
        *(*_FILES, "--backend", "--json", *_MESSAGES),
    ],
    "check-car": [
        *("car", *_CAR[1:], "--certify", "--plot", "--json", *_FILES, *_ENGINE, *_MESSAGES),
    ],
    "check-grad": [
        *("--entity", "--model", "--car", "--drive", *_JOINTS, "--wheels"),
        *("--no-repairs", "--path", "--column", "--actuation"),
        *("--json", *_FILES, *_ENGINE, *_MESSAGES),
    ],
    "franka-test": [
        "--out",
        "--resume",
        "--plot",
        "--video",
        "--json",
        *_FILES,
        *_ENGINE,
        *_MESSAGES,
    ],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_and_their_order_stay(name: str) -> None:
    """What scripts use, and what a reader of the help expects where."""
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert [each.opts[0] for each in command.params if each.name != "help"] == OPTIONS[name]


def test_no_command_is_without_a_list_of_its_options() -> None:
    """The list above is whole."""
    assert set(typer.main.get_command(app).commands) == set(OPTIONS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", OPTIONS)
def test_help_of_set_has_an_example_that_the_command_takes(name: str) -> None:
    """And that changes something."""
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    text = next(each.help for each in command.params if each.name == "overrides")
    example = text.removeprefix("One setting, such as ").removesuffix(".")
    assert load_config(name, overrides=[example]) != load_config(name)


def run(command: typer.models.CommandFunctionType, *arguments: str) -> Result:
    own = typer.Typer()
    own.command()(command)
    return CliRunner().invoke(own, arguments)


def test_options_stand_where_they_are_named_and_settings_are_set() -> None:
    """A command gets by name what it has parameters for."""
    seen: list[object] = []

    @with_options(
        car=setting(str, "Who drives.", key="controller"),
        **options.PATH,
        laps=option(int, "How often."),
        **options.engine(),
        **options.files("dt=0.01"),
        **options.MESSAGES,
    )
    def drive(laps: int = 1, *, given: Given) -> None:
        """Drive."""
        config = given.config(SimulateConfig, {"engine": None})
        seen.extend([config.path.source, config.controller, laps, config.precision, config.verbose])
        seen.extend([config.seed, given.out])

    arguments = ("--path=line", "--car=zero", "--laps=3", "--precision=64", "--set=seed=7")
    result = run(drive, *arguments, "--verbose")
    assert result.exit_code == 0, result.output
    assert seen == ["line", "zero", 3, 64, True, 7, None]
    names = [line.split()[1] for line in run(drive, "--help").output.splitlines() if "--" in line]
    assert names[:11] == ["--car", *_PATH, "--laps", "--seed"]


def test_errors_become_text_and_an_exit_code() -> None:
    """A wrong name is a usage error, a wrong gradient a verdict; --debug lets both through."""

    @with_options(wrong=option(bool, "No.", "--wrong"), **options.PATH_SOURCE, **options.MESSAGES)
    def drive(wrong: bool = False, *, given: Given) -> None:
        """Drive."""
        if wrong:
            raise GradientError("it is wrong", hint="mend it")
        given.config(SimulateConfig)

    refused = run(drive, "--path=lien")
    assert refused.exit_code == 2
    assert "did you mean 'line'?" in refused.output
    negative = run(drive, "--wrong")
    assert (negative.exit_code, negative.output) == (1, "error: it is wrong\nhint: mend it\n")
    assert isinstance(run(drive, "--wrong", "--debug").exception, GradientError)


def test_results_go_where_they_were_asked_for(tmp_path: Path) -> None:
    """Tables to stdout, JSON beside; with --json - the tables make room; never over an input."""

    @with_options(
        **options.PATH_SOURCE,
        curve=output("Draw it.", suffix=".png"),
        film=output("Film it.", suffix=".mp4"),
        **options.JSON,
        **options.MESSAGES,
    )
    def drive(given: Given) -> None:
        """Drive."""
        config = given.config(SimulateConfig)
        given.check_files(config)
        given.report(["shown"], {"x": float("nan")}, notes=["know this"])

    file, curve = tmp_path / "r.json", tmp_path / "a.PNG"
    beside = run(drive, f"--json={file}", f"--curve={curve}")
    assert beside.stdout == "shown\n"
    assert beside.stderr == f"note: know this\nnote: wrote {curve}\nnote: wrote {file}\n"
    assert file.read_text() == '{\n  "x": null\n}\n'
    alone = run(drive, "--json=-")
    assert alone.stdout == '{\n  "x": null\n}\n'
    assert "shown" in alone.stderr
    assert "wrote" not in alone.stderr
    assert run(drive, f"--path={file}", f"--json={file}").exit_code == 2
    assert run(drive, "--film=b.png").exit_code == 2


def test_a_method_with_a_new_command_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes what train-ppo takes, and says of itself what its row says."""
    shac = replace(METHODS["ppo"], name="shac", command="train-shac", help="Try.")
    monkeypatch.setitem(METHODS.entries, "shac", shac)
    command = train.commands()["train-shac"]
    assert command.__doc__ == "Try."
    assert list(inspect.signature(command).parameters) == list(
        inspect.signature(train.commands()["train-ppo"]).parameters
    )


def test_a_result_is_written_before_it_is_shown_and_shown_if_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two goes wrong, the other is done."""

    @with_options(**options.JSON, **options.MESSAGES)
    def drive(given: Given) -> None:
        """Drive."""
        given.report(["shown"], {"x": 1})

    missing = run(drive, f"--json={tmp_path / 'nowhere' / 'r.json'}")
    assert (missing.exit_code, missing.stdout) == (2, "shown\n")
    assert "cannot be written" in missing.stderr
    monkeypatch.setattr(given_module, "show", None)
    file = tmp_path / "r.json"
    assert run(drive, f"--json={file}").exception is not None
    assert file.read_text() == '{\n  "x": 1\n}\n'


def test_what_is_echoed_is_cut() -> None:
    """A message of megabytes is none."""

    @with_options(**options.MESSAGES)
    def drive(given: Given) -> None:
        """Drive."""
        raise ConfigError("x" * 5_000_000, hint="[/b] :smile:")

    told = run(drive).stderr
    assert len(told) < 6000
    assert "4,995,000 characters left out" in told
    assert told.endswith("hint: [/b] :smile:\n")
