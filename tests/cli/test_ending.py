"""The end of the process: quick, and nothing is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

_ENDING = """
import atexit, pathlib, sys, threading
from diffcar.cli.ending import end_quickly, prepare_end
prepare_end()
folder = pathlib.Path(sys.argv[1])
class Slow:
    def __del__(self):
        (folder / "taken apart").touch()
slow = Slow()
atexit.register((folder / "at exit").touch)
def work():
    threading.main_thread().join()  # which is over once the end has begun
    (folder / "thread").touch()
threading.Thread(target=work).start()
left_open = (folder / "left open").open("w")
left_open.write("all of it")
sys.stdout.write("written")
end_quickly({code})
raise SystemExit({code})
"""


@pytest.mark.parametrize(("code", "exit_code"), [("0", 0), ("None", 0), ("1", 1), ("130", 130)])
def test_everything_is_waited_for_but_the_teardown(
    code: str, exit_code: int, tmp_path: Path
) -> None:
    """Buffers, threads and what is registered to be done; the exit code is the one meant."""
    command = [sys.executable, "-c", _ENDING.format(code=code), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (exit_code, "written", "")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["at exit", "left open", "thread"]
    assert (tmp_path / "left open").read_text() == "all of it"


def test_where_something_waits_for_the_end_already_the_process_ends_as_ever(tmp_path: Path) -> None:
    """As what measures coverage from the process's beginning."""
    script = "import atexit\natexit.register(print, 'told')\n" + _ENDING.format(code="3")
    command = [sys.executable, "-c", script, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.splitlines()) == (3, ["writtentold"])
    assert (tmp_path / "taken apart").exists()


def test_an_exit_with_words_is_pythons_own(tmp_path: Path) -> None:
    """It prints them."""
    script = _ENDING.format(code="'words'")
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "words" in ended.stderr
