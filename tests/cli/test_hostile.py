"""Two thousand malformed inputs through the command line: a sentence, a hint, and no harm."""

from pathlib import Path

import pytest

from tests.cli.hostile import case_of, surroundings, violation

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
