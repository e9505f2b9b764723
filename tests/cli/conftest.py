"""How the tests of the command line run it."""

import functools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer import testing
from typer.testing import CliRunner, Result

from diffcar.cli.app import app
from diffcar.comparison import suite
from diffcar.demonstrations import record
from diffcar.export import subject
from diffcar.tasks.tracking import grip, simulate
from diffcar.tasks.tracking.scenes import Scenes
from tests.bicycle import bicycles

# Every invocation would build the commands with all their options again, which takes half of it.
testing._get_command = functools.cache(testing._get_command)

_ROOT = Path(__file__).parents[2]
# Runs commands one after the other, as if each had a process of its own.
_DRIVER = textwrap.dedent(
    """
    import contextlib, functools, io, json, os, sys

    sys.path.insert(0, ROOT)
    import typer
    from diffcar.cli.app import main

    typer.main.get_command = functools.cache(typer.main.get_command)

    class Refuses:
        def find_spec(self, name, path=None, target=None):
            if name in ("torch", "genesis", "mujoco"):
                heavy.append(name)
                raise SystemExit(f"{name} was imported")

    sys.meta_path.insert(0, Refuses())
    heavy, outcomes = [], {}
    for name, (arguments, folder) in json.load(sys.stdin).items():
        os.chdir(folder)
        sys.argv = ["diffcar", *arguments]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as exit:
                code = exit.code or 0
        outcomes[name] = (code, out.getvalue(), err.getvalue(), heavy[:])
        heavy.clear()
    json.dump(outcomes, sys.stdout)
    """
).replace("ROOT", repr(str(_ROOT)))


@dataclass(frozen=True)
class Outcome:
    """What a command has come to."""

    code: int | str
    stdout: str
    stderr: str
    heavy: list[str]
    """Of torch, genesis and mujoco, what it would have imported."""


def run_light(cases: Mapping[str, tuple[Sequence[str], Path]]) -> dict[str, Outcome]:
    """Run commands, each in its folder, in a process that can import nothing heavy."""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps({name: (list(args), str(where)) for name, (args, where) in cases.items()}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: Outcome(*values) for name, values in json.loads(done.stdout).items()}


@pytest.fixture
def diffcar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        done = CliRunner().invoke(app, arguments)
        assert "Traceback" not in done.stderr
        return done

    return run


def environment() -> dict[str, str]:
    """Return the environment of a process that finds the package as this one does."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture
def _on_bicycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command drive bicycles."""
    for module in (simulate, record, suite, grip, subject):
        monkeypatch.setattr(module, "build_scene", bicycles)
    monkeypatch.setitem(Scenes.__init__.__kwdefaults__, "build", bicycles)
