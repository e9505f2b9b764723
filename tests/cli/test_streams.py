"""What becomes of a command whose output nobody reads, in processes of their own."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.cli.conftest import environment

TRAINING = [
    "train-e2e",
    "--no-certify",
    "--path=circle",
    "--set=train.num_updates=6",
    "--set=train.num_envs=4",
    "--set=train.horizon=4",
    "--set=dt=0.05",
    "--set=evaluation.duration=0.2",
    "--set=evaluation.num_envs=2",
    "--set=evaluation.unseen_paths=[]",
    "--out=run [/b] $x",
    "--json=r.json",
]
DRIVE = ["simulate", "--controller=pure-pursuit", "--path=circle", "--set=max_time=0.2"]
CLOSE = "import os, sys\nfor n in (1, 2): os.close(n)\nos.execv(sys.executable, sys.argv[1:])"


def start(folder: Path, *arguments: str, **how: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.cli.on_bicycles", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), text=True, **how)  # type: ignore[call-overload,no-any-return]


def test_a_reader_that_leaves_ends_no_training(tmp_path: Path) -> None:
    """`2>&1 | head -1`: all updates are done and written, the exit code is that of success."""
    run = start(tmp_path, *TRAINING, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.stdout is not None
    assert run.stdout.readline()
    run.stdout.close()
    assert run.wait(timeout=300) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["num_updates"], len(result["losses"])) == (6, 6)
    folder = tmp_path / "run [/b] $x"
    assert len((folder / "metrics.csv").read_text().splitlines()) == 8
    assert (folder / "checkpoints" / "best.pt").is_file()
    assert (folder / "plots" / "training.png").is_file()


def test_streams_that_are_closed_or_full_lose_no_file(tmp_path: Path) -> None:
    """Nor does a file take the place of a closed stream, and with it what is printed."""
    track = tmp_path / "$\\frac$ [red].csv"
    track.write_text("x_m,y_m\n" + "".join(f"{x},0\n" for x in range(9)))
    files = [f"--path={track.name}", "--csv=t.csv", "--json=r.json", "--plot=p.png"]
    command = [sys.executable, "-m", "tests.cli.on_bicycles", *DRIVE, *files]
    done = subprocess.run(
        [sys.executable, "-c", CLOSE, *command],
        cwd=tmp_path,
        env=environment(),
        timeout=300,
        check=False,
    )
    assert done.returncode == 0
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 11
    assert json.loads((tmp_path / "r.json").read_text())["num_steps"] == 10
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
def test_a_result_for_a_full_stdout_is_an_error_and_is_shown_all_the_same(tmp_path: Path) -> None:
    """In ASCII, where the terminal can do no more."""
    with open("/dev/full", "w") as full:
        run = start(tmp_path, *DRIVE, "--json=-", stdout=full, stderr=subprocess.PIPE)
        _, told = run.communicate(timeout=300)
    assert run.returncode == 2
    assert "cross-track RMSE" in told
    assert "error: the result cannot be written to stdout: No space left on device" in told
    assert "Traceback" not in told


def test_a_result_for_a_closed_stdout_is_refused_before_the_work(tmp_path: Path) -> None:
    """With what mends it."""
    close = CLOSE.replace("(1, 2)", "(1,)")
    command = [sys.executable, "-m", "diffcar", *DRIVE, "--json=-"]
    done = subprocess.run(
        [sys.executable, "-c", close, *command],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 2)
    assert "closed" in done.stderr


def test_ctrl_c_while_modules_are_loaded_ends_the_process_quietly(tmp_path: Path) -> None:
    """Even where a library takes it for a module that is missing."""
    source = """
        import os, signal, sys

        class Interrupts:
            def find_spec(self, name, path=None, target=None):
                if name in ("rich", "torch"):
                    try:
                        os.kill(os.getpid(), signal.SIGINT)
                    except KeyboardInterrupt:
                        raise ImportError(name)

        from diffcar.__main__ import main
        sys.meta_path.insert(0, Interrupts())
        main()
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), "--help"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_help_and_errors_reach_a_terminal_without_utf_8(encoding: str, tmp_path: Path) -> None:
    """Frames are drawn in ASCII, names escaped."""
    for arguments, code in ((["simulate", "--help"], 0), (["simulate", "--path", "Ω→é"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "diffcar", *arguments],
            cwd=tmp_path,
            env={**environment(), "PYTHONIOENCODING": encoding},
            capture_output=True,
            timeout=300,
            check=False,
        )
        text = (done.stdout + done.stderr).decode(encoding)
        assert done.returncode == code, text
        assert "Traceback" not in text
        assert ("\\u03a9\\u2192" in text) == (code == 2)
