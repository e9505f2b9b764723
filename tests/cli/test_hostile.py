"""Two thousand malformed inputs through the command line: a sentence, a hint, and no harm."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from diffcar.cli.app import app
from tests.cli import hostile
from tests.cli.hostile import BegunError, Case, case_of, surroundings, violation

PER_TEST = 200


@pytest.mark.parametrize("first", range(0, 2000, PER_TEST))
def test_malformed_inputs_are_refused_with_a_sentence(first: int, tmp_path: Path) -> None:
    """Exit code 0 or 2, `error:` and a hint, no traceback, no file made or changed."""
    found = {}
    with surroundings():
        for seed in range(first, first + PER_TEST):
            folder = tmp_path / str(seed)
            folder.mkdir()
            case = case_of(seed)
            if (told := violation(case, folder)) is not None:
                found[seed] = (case.arguments, told)
    assert found == {}


@pytest.mark.parametrize(
    "make",
    [
        hostile.yaml_case,
        hostile.track_case,
        hostile.data_case,
        hostile.model_case,
        hostile.suite_case,
    ],
)
def test_the_same_inputs_are_accepted_where_nothing_is_damaged(
    make: Callable[[Random], Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or all of them could be refused for something that they have in common."""
    monkeypatch.setattr(hostile, "damaged", lambda text, random: text)
    monkeypatch.chdir(tmp_path)
    case = make(Random(3))
    for name, data in case.files.items():
        (tmp_path / name).write_bytes(data)
    with surroundings():
        done = CliRunner().invoke(app, case.arguments)
    assert done.exit_code == 0 or isinstance(done.exception, BegunError), done.stderr
