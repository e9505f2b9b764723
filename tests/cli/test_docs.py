"""What is written about the commands, as users copy it."""

import itertools
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest
import typer

from diffcar.cli.app import app
from diffcar.cli.settings import load_config

_ROOT = Path(__file__).parents[2]
_WRITTEN = ["README.md", "README.ko.md", *(f"docs/{file.name}" for file in _ROOT.glob("docs/*.md"))]


def commands_in(text: str) -> list[list[str]]:
    """Return the arguments of `diffcar` wherever a block of shell commands runs it."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text.replace("\\\n", " "), re.M | re.S)
    lines = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and Path(line[0]).name == "diffcar"]


@pytest.mark.parametrize("name", _WRITTEN)
def test_commands_in_the_documentation_are_ones_that_there_are(name: str) -> None:
    """With their options, the kinds of values that these take, and settings of the command."""
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for command, *arguments in commands_in((_ROOT / name).read_text()):
        given = known[command].make_context(command, list(arguments)).params
        schema = "train-push" if given.get("entity") == "mpm" and "certify" in given else command
        load_config(schema, overrides=given["overrides"] or ())


def test_what_the_commands_leave_in_a_checkout_is_not_git_s() -> None:
    """By their options, or by default."""
    names = {"exported", "demonstrations.csv", "runs"}
    for file in _WRITTEN:
        for _, *arguments in commands_in((_ROOT / file).read_text()):
            given = dict(itertools.pairwise(arguments))
            outputs = {"--out", "--plot", "--csv", "--video", "--json"} & given.keys()
            names |= {given[option] for option in outputs}
    patterns = [line.strip("/") for line in (_ROOT / ".gitignore").read_text().splitlines()]
    assert [n for n in names if not any(fnmatch(n, pattern) for pattern in patterns)] == []


def test_what_the_readme_runs_is_in_a_fresh_checkout() -> None:
    """Its files are shipped, or made by a command before; nothing has to be found elsewhere."""
    commands = commands_in((_ROOT / "README.md").read_text())
    assert [command for command, *_ in commands] == [
        *("train-e2e", "simulate", "train-e2e", "check-grad", "check-car", "train-e2e"),
        *("compare", "simulate", "train-e2e", "export"),
    ]
    made: set[str] = set()
    for _, *arguments in commands:
        given = dict(itertools.pairwise(arguments))
        for option in ("--car", "--controller"):
            file = given.get(option)
            assert file is None or file in made or (_ROOT / file).is_file()
        assert "." not in given.get("--path", "")
        made |= {given[option] for option in ("--out",) if option in given}
