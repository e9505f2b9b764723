"""Calls in processes of their own."""

import os
import signal
import time
from pathlib import Path

import pytest

from diffcar.base.child import Child
from diffcar.base.errors import ConfigError, DiffcarError


def power(base: int, exponent: int) -> int:
    return base**exponent


def refuse() -> None:
    raise ConfigError("not so", hint="but so")


def leave() -> None:
    os._exit(3)


def write_and_sleep(file: Path) -> None:
    file.write_text(str(os.getpid()))
    time.sleep(60)


def test_result_comes_from_another_process() -> None:
    with Child(power, 2, 10) as two, Child(os.getpid) as other:
        assert two.result() == 1024
        assert other.result() != os.getpid()


def test_what_the_call_raises_is_raised_where_it_is_awaited() -> None:
    with Child(refuse) as child, pytest.raises(ConfigError, match="not so") as raised:
        child.result()
    assert raised.value.hint == "but so"


def test_a_process_that_dies_is_told_of() -> None:
    with Child(leave) as child, pytest.raises(DiffcarError, match="before its time"):
        child.result()


def test_ctrl_c_leaves_it_alone_and_the_end_of_the_block_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    began = time.monotonic()
    with Child(write_and_sleep, file) as child:
        while not (file.exists() and file.read_text()):
            assert time.monotonic() - began < 30
            time.sleep(0.01)
        process = int(file.read_text())
        os.kill(process, signal.SIGINT)
        time.sleep(0.1)
        os.kill(process, 0)  # still there
        assert child._process.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert time.monotonic() - began < 30
