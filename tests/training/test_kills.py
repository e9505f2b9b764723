"""Whatever moment a training is killed at, it goes on to the weights that it would have had."""

import functools
import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from diffcar.base.errors import OutputError
from diffcar.controllers.checkpoint import load_checkpoint
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training import scalar_log
from diffcar.training.methods import METHODS
from diffcar.training.run import require_method, train
from diffcar.training.run_folder import RunFolder
from tests.bicycle import bicycle_scenes
from tests.training.small import config_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
NUM_KILLS = {"e2e": 14, "bc": 4, "ppo": 4}


def session(method: str, folder: Path) -> None:
    """Train, or go on with what an earlier session has left."""
    config = config_of(
        method,
        "train.num_updates=5",
        "train.checkpoint_interval=1",
        "evaluation.keep_snapshots=true",
        "evaluation.duration=0.2",
        *(["train.horizon=4"] if method == "e2e" else []),
    )
    begun = (folder / "checkpoints" / "last.pt").is_file()
    if not begun:  # the folder may have been made, and nothing in it
        shutil.rmtree(folder, ignore_errors=True)
    where = {"resume": folder} if begun else {"out": folder}
    train(method, config, scenes=bicycle_scenes(config), certify=False, **where)


def forked(work: Callable[[], object]) -> int:
    """Start a process that does some work, and return its number."""
    if process := os.fork():
        return process
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def was_killed(process: int, delay: float) -> bool:
    """Let a process work for so long [s], then kill it; tell whether it was still at it."""
    end = time.monotonic() + delay
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            assert status == 0
            return False
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


@pytest.fixture
def _undriven(_unpainted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drives after training, which lose nothing and take the longest."""
    monkeypatch.setattr(TrackingTask, "finish", lambda task, folder: {})


@pytest.mark.usefixtures("_undriven")
@pytest.mark.parametrize("method", NUM_KILLS)
def test_a_killed_training_goes_on_to_the_same_weights(method: str, tmp_path: Path) -> None:
    """Bit for bit, except in reinforcement learning, whose episodes are not saved."""
    if method == "ppo":
        pytest.importorskip("rsl_rl")
    # What is imported here needs not be imported by every process.
    assert scalar_log.ScalarLog
    require_method(METHODS[method])
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    began = time.monotonic()
    assert not was_killed(forked(lambda: session(method, tmp_path / "whole")), delay=120.0)
    seconds = time.monotonic() - began
    whole = load_checkpoint(tmp_path / "whole" / "checkpoints" / "last.pt")
    moments, num_kills = random.Random(0), 0
    while num_kills < NUM_KILLS[method]:
        folder = tmp_path / f"run-{num_kills}"
        work = functools.partial(session, method, folder)
        while was_killed(forked(work), moments.uniform(0, seconds)):
            num_kills += 1
        last = load_checkpoint(folder / "checkpoints" / "last.pt")
        assert last["trainer"]["num_updates_done"] == 5
        if method != "ppo":
            for name, weight in whole["network"].items():
                assert torch.equal(weight, last["network"][name]), name


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    """The second is told, until the first has ended; a killed one holds nobody up."""
    folder = RunFolder.create(tmp_path / "run", "x")
    started = tmp_path / "started"

    def hold() -> None:
        with folder.locked():
            started.touch()
            time.sleep(60)

    holder = forked(hold)
    while not started.exists():
        time.sleep(0.002)
    with pytest.raises(OutputError, match="another process is writing in"), folder.locked():
        pytest.fail("both had it")
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    folder.__dict__["last"] = "what it was before the other process went on with it"
    with folder.locked():
        assert "last" not in folder.__dict__


def test_run_folders_of_the_same_second_are_not_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight processes at once get eight folders."""
    monkeypatch.chdir(tmp_path)
    processes = [forked(lambda: RunFolder.create(None, "x")) for _ in range(8)]
    assert [os.waitpid(process, 0)[1] for process in processes] == [0] * 8
    assert len(list(Path("runs").iterdir())) == 8
