"""Calls in processes of their own."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from diffcar.base.child import Child
from diffcar.base.errors import ConfigError, DiffcarError
from tests.base.calls import fail, hold, hold_in_another, leave, power, refuse


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_result_comes_from_another_process() -> None:
    with Child(power, 2, 10) as two, Child(os.getpid) as other:
        assert two.result() == 1024
        assert other.result() != os.getpid()


def test_what_the_call_raises_is_raised_where_it_is_awaited() -> None:
    with Child(refuse) as child, pytest.raises(ConfigError, match="not so") as raised:
        child.result()
    assert raised.value.hint == "but so"


def test_an_error_that_nobody_knows_here_is_told_in_words() -> None:
    with Child(fail) as child, pytest.raises(DiffcarError, match="PeculiarError: notably"):
        child.result()


def test_what_is_blocked_stays_so() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with Child(power, 2, 10) as child:
            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            assert child.result() == 1024
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_process_that_dies_is_told_of() -> None:
    with Child(leave) as child, pytest.raises(DiffcarError, match="before its time"):
        child.result()


def test_ctrl_c_leaves_it_alone_and_the_end_of_the_block_ends_it(fifo: Path) -> None:
    began = time.monotonic()
    with Child(hold, fifo), fifo.open() as held:
        os.kill(int(held.readline()), signal.SIGINT)
        time.sleep(0.1)
        os.set_blocking(held.fileno(), False)
        with pytest.raises(BlockingIOError):  # as the other end is still open
            os.read(held.fileno(), 1)
    assert time.monotonic() - began < 30


def test_it_ends_with_its_parent(fifo: Path) -> None:
    """Which is killed, or leaves without a word."""
    parent = multiprocessing.get_context("fork").Process(target=hold_in_another, args=(fifo,))
    parent.start()
    began = time.monotonic()
    with fifo.open() as held:
        assert int(held.readline()) != parent.pid
        parent.kill()
        parent.join()
        assert held.read() == ""
    assert time.monotonic() - began < 30
